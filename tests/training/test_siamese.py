"""Fine-tuning by batches of classes and on augmented pictures: one network sees both of a pair."""

import keras
import numpy as np
import pytest

from devise.heads import HeadConfig, MlpHead, ProjectionHead
from devise.losses import Cosine
from devise.training import finetune
from devise.training.batches import ClassRows
from devise.training.finetuning import BATCH_SIZE

SIZE, DIM = (8, 6), 6


@pytest.fixture(scope="module")
def network():
    """Nobody changes it, nor the head: a fine-tuning copies both."""
    keras.utils.set_random_seed(5)
    pictures = keras.Input((*SIZE, 3), name="pictures")
    x = keras.layers.Rescaling(1 / 128, -1)(pictures)
    for name in ("first", "second"):
        x = keras.layers.Conv2D(DIM, 3, padding="same", activation="relu", name=name)(x)
    network = keras.Model(pictures, keras.layers.GlobalAveragePooling2D()(x), name="small")
    network.trainable = False
    return network


@pytest.fixture(scope="module")
def head():
    return MlpHead(HeadConfig(dim=5, sizes=(), dropout=0.0)).build(DIM, seed=3)


class Counted:
    """Pictures that hold their own row number, and write down which were asked for."""

    def __init__(self, n=40):
        self.labels = np.arange(n) % 4
        self.pictures = np.random.default_rng(0).integers(0, 256, (n, *SIZE, 3), dtype=np.uint8)
        self.pictures[:, 0, 0, 0] = np.arange(n)
        self.rows = []

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, row):
        self.rows.append(row)
        return self.pictures[row]


@pytest.fixture
def shown():
    return Counted()


def pull(labels, embeddings):
    """The mean squared distance of matching rows, as fractions of a batch's pairs."""
    rows = keras.ops.normalize(embeddings, axis=-1)
    same = keras.ops.cast(labels[:, None] == labels[None], "float32")
    return keras.ops.mean(same * (2 - 2 * keras.ops.matmul(rows, keras.ops.transpose(rows))))


def tuned(network, head, shown, loss=pull, **options):
    return finetune(network, head, shown, shown.labels, loss,
                    **{"layers": 1, "learning_rate": 0.05, "epochs": 2, **options})


def assert_same(one, other):
    for path, weight in one.weights.items():
        np.testing.assert_array_equal(weight, other.weights[path])


def test_batches_of_classes_show_the_pictures_that_were_drawn(network, head, shown):
    seen = []
    result = tuned(network, head, shown, classes=3, per_class=4, seed=9, progress=lambda *at: seen.append(at))
    rng, draw = np.random.default_rng(9), ClassRows(shown.labels, 3, 4)
    expected = np.concatenate([draw.draw(rng)[0] for _ in range(2)])
    assert sorted(shown.rows[1:]) == sorted(expected.tolist())  # the first is looked at
    assert result.history.batch_size == 12
    assert seen == [(13, 80), (26, 80), (40, 80), (53, 80), (66, 80), (80, 80)]


def test_with_batches_of_everything_the_loss_is_that_of_all_pairs(network, head, shown):
    result = tuned(network, head, shown, classes=4, per_class=10, epochs=1, learning_rate=1e-9)
    features = network(shown.pictures.astype(np.float32), training=False)
    rows = np.asarray(head.copy().keras_model()(features, training=True))
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    total = sum(((rows[i] - rows[j]) ** 2).sum() for i in range(40) for j in range(40) if i % 4 == j % 4)
    assert result.history.loss[0] == pytest.approx(total / 40 ** 2, rel=1e-4)


def test_pictures_of_a_class_come_together(network, head, shown):
    result = tuned(network, head, shown, classes=2, per_class=5, epochs=8, layers=2)
    assert result.history.loss[-1] < 0.9 * result.history.loss[0]


def test_classes_of_one_picture_are_left_out(network, head, shown):
    shown.labels[0] = 9
    with pytest.warns(UserWarning, match="1 are left out: 9"):
        assert tuned(network, head, shown, classes=2).history.left_out == (9,)


def test_every_picture_that_is_shown_is_augmented_and_only_that(network, head, shown):
    asked = []

    def dark(picture, rng):
        asked.append(int(picture[0, 0, 0]))
        return picture // 2

    held = Counted(8)
    result = tuned(network, head, shown, augment=dark, validation=(held, held.labels), epochs=1)
    assert sorted(asked) == list(range(40))
    darkened = Counted()
    darkened.pictures //= 2
    assert_same(result, tuned(network, head, darkened, epochs=1))


def drawn_by(network, head, shown, **options):
    """{row: what its generator gave, epoch by epoch}; the pictures are blackened."""
    seen = {}

    def note(picture, rng):
        seen.setdefault(int(picture[0, 0, 0]), []).append(rng.random())
        picture[:] = 0
        return picture

    tuned(network, head, shown, augment=note, **options)
    return seen


def test_the_seed_decides_the_augmentation_whatever_the_threads_do_and_pictures_stay(network, head, shown):
    before = shown.pictures.copy()
    first, again, other = (drawn_by(network, head, shown, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    values = [value for row in first.values() for value in row]
    assert len(set(values)) == len(values) == 80  # another for each picture and each epoch
    np.testing.assert_array_equal(shown.pictures, before)


@pytest.mark.parametrize("change", [lambda picture: picture[:4], lambda picture: picture / 255])
def test_an_augmentation_that_changes_shape_or_type_is_refused(network, head, shown, change):
    with pytest.raises(ValueError, match=r"augment returned .* of an image uint8 \(8, 6, 3\): expected the same"):
        tuned(network, head, shown, augment=lambda picture, rng: change(picture))


def test_who_is_called_when_and_the_start_is_scored_too(network, head, shown):
    calls, held, scores = [], Counted(8), iter([0.5, 0.1, 0.2])
    result = tuned(network, head, shown, validation=(held, held.labels), before_epoch=lambda epoch: calls.append(epoch),
                   validate=lambda rows: calls.append("validate") or {"map_at_r": next(scores)},
                   after_epoch=lambda history: calls.append(history.scores))
    assert calls == ["validate", 1, "validate", {"map_at_r": (0.1,)},
                     2, "validate", {"map_at_r": (0.1, 0.2)}]
    history = result.history
    assert (history.start_score, history.score, history.best_epoch) == (0.5, (0.1, 0.2), 0)
    assert history.batch_size == BATCH_SIZE == 8


def test_batches_without_a_pair_are_warned_of(network, head, shown):
    class Own(Cosine):
        empty_batches = keras.Variable(0, dtype="int32", trainable=False)

        def __call__(self, labels, embeddings):
            self.empty_batches.assign_add(1)
            return super().__call__(labels, embeddings)

    with pytest.warns(UserWarning, match="10 of 10 batches had no pair"):
        assert tuned(network, head, shown, loss=Own(np.eye(4, 5))).history.empty_batches == 10


def test_a_projection_head_is_tuned_from_its_start(network, shown):
    features = np.asarray(network(shown.pictures.astype(np.float32), training=False))
    head = ProjectionHead(3, start="pca").fit(features)
    result = tuned(network, head, shown, classes=2, per_class=4)
    assert isinstance(result.head, ProjectionHead) and result.head.config == head.config
    assert not np.allclose(result.head.outputs(features), head.outputs(features))
    again = ProjectionHead(3, start="pca").fit(features)
    np.testing.assert_array_equal(head.outputs(features), again.outputs(features))


@pytest.mark.parametrize(("options", "message"), [
    ({"classes": 5}, "classes is 5, but of 4 classes 4"), ({"classes": 2, "batch_size": 4}, "give one of them"),
    ({"classes": 2, "per_class": 1}, "per_class is 1")])
def test_what_does_not_fit_is_refused(network, head, shown, options, message):
    with pytest.raises(ValueError, match=message):
        tuned(network, head, shown, **options)
    assert len(shown.rows) <= 1
