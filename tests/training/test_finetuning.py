import threading

import keras
import numpy as np
import pytest

from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.losses import Cosine, Softmax
from devise.training import finetune, train
from devise.training.finetuning import stream

SIZE, DIM = (8, 6), 6
COLOURS = np.array([(220, 40, 40), (40, 200, 60), (40, 60, 220), (230, 220, 40)])
CONVOLUTIONS = ["first/kernel", "second/kernel", "third/kernel"]


def small_network():
    """Blue first, three convolutions, each normalised by statistics that are not its pictures'."""
    keras.utils.set_random_seed(5)
    pictures = keras.Input((*SIZE, 3), name="pictures")
    x = keras.layers.Rescaling(1 / 128, -1)(keras.ops.flip(pictures, axis=-1))
    for name in ("first", "second", "third"):
        x = keras.layers.Conv2D(DIM, 3, padding="same", use_bias=False, name=name)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    network = keras.Model(pictures, keras.layers.GlobalAveragePooling2D(name="pooled")(x), name="small")
    network.trainable = False  # as a backbone's is
    return network


class Pictures:
    """Noise over the colour of each class, and label vectors of dim 5."""

    def __init__(self, n=40, seed=0):
        rng = np.random.default_rng(seed)
        self.labels = np.arange(n) % 4
        noise = rng.normal(scale=60, size=(n, *SIZE, 3))
        self.pictures = np.clip(COLOURS[self.labels][:, None, None] + noise, 0, 255).astype(np.uint8)
        self.vectors = np.random.default_rng(98).standard_normal((4, 5)).astype(np.float32)


@pytest.fixture
def data():
    return Pictures()


@pytest.fixture
def held():
    more = Pictures(n=24, seed=1)
    return more.pictures, more.labels


@pytest.fixture(scope="module")
def network():
    """Nobody changes it, nor the head: a fine-tuning copies both."""
    return small_network()


@pytest.fixture(scope="module")
def head():
    return MlpHead(HeadConfig(dim=5, sizes=(), dropout=0.0)).build(DIM, seed=3)


def values(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def tuned(network, head, data, **options):
    loss = options.pop("loss", None) or Cosine(data.vectors)
    options = {"layers": 2, "learning_rate": 0.05, "batch_size": 8, **options}
    return finetune(network, head, data.pictures, data.labels, loss, **options)


def assembled(network, weights):
    """The network with the new weights, and all else as it was."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for weight in copy.weights:
        if weight.path in weights:
            weight.assign(weights[weight.path])
    return copy


def by_hand(network, head, data, *, layers, epochs, rate, seed=0):
    """The same, step by step with Keras' own Adagrad; the layers' weights and the head's."""
    network, model = assembled(network, {}), keras.models.clone_model(head.keras_model())
    model.set_weights(head.keras_model().get_weights())
    learned = [weight for weight in network.weights if weight.path in CONVOLUTIONS[-layers:]]
    learned += model.trainable_variables
    import tensorflow as tf

    optimiser, order, loss = keras.optimizers.Adagrad(rate), np.random.default_rng(seed), Cosine(data.vectors)
    for _ in range(epochs):
        for rows in np.split(order.permutation(len(data.labels)), 2):
            with tf.GradientTape() as tape:
                tape.watch([weight.value for weight in learned])
                features = network(data.pictures[rows].astype(np.float32), training=False)
                value = loss(data.labels[rows], model(features, training=True))
            optimiser.apply(tape.gradient(value, [weight.value for weight in learned]), learned)
    return values(network), model.get_weights()


@pytest.mark.parametrize("layers", [1, 3])
def test_equals_the_steps_by_hand_and_only_the_layers_asked_for_change(network, head, data, layers):
    """Of what comes out; what was given stays as it was."""
    before, of_head = values(network), values(head.keras_model())
    result = tuned(network, head, data, layers=layers, epochs=2, batch_size=20)
    assert list(result.weights) == CONVOLUTIONS[-layers:]
    for path, weight in result.weights.items():
        assert weight.shape == before[path].shape and not np.allclose(weight, before[path])
    expected, head_weights = by_hand(network, head, data, layers=layers, epochs=2, rate=0.05)
    for path, weight in values(assembled(network, result.weights)).items():
        np.testing.assert_allclose(weight, expected[path], rtol=1e-4, atol=1e-5, err_msg=path)
    for ours, theirs in zip(result.head.keras_model().get_weights(), head_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    for model, given in ((network, before), (head.keras_model(), of_head)):
        for path, weight in values(model).items():
            np.testing.assert_array_equal(weight, given[path])
    assert not network.trainable_variables
    assert result.head is not head and result.head.config == head.config


def test_learns_what_the_head_alone_can_not(network, data, held):
    """A linear head on six fixed features, then with the features moving too."""
    def hit_at_1(rows):
        return float(((rows @ data.vectors.T).argmax(axis=1) == held[1]).mean())

    features = np.asarray(network(data.pictures.astype(np.float32), training=False))
    head = MlpHead(HeadConfig(dim=5, sizes=(), batch_norm=False)).build(DIM)
    loss = Cosine(data.vectors)
    first = train(head, features, data.labels, loss, epochs=60, batch_size=8)
    result = tuned(network, head, data, layers=3, epochs=15, validation=held, validate=hit_at_1)
    before = hit_at_1(head.embed(np.asarray(network(held[0].astype(np.float32), training=False))))
    assert result.history.loss[-1] < 0.7 * first.loss[-1]
    assert max(result.history.score) >= before


def test_another_seed_gives_another_training(network, head, data, plain):
    assert tuned(network, head, data, epochs=1, seed=1).history.loss != plain[1].history.loss


@pytest.fixture(scope="module")
def plain(network, head):
    """What one and two epochs without validation give, by their number; nobody changes it."""
    return {epochs: tuned(network, head, Pictures(), epochs=epochs) for epochs in (1, 2)}


@pytest.mark.parametrize(("scores", "best"), [([0.2, 0.5, 0.4], 1), ([0.6, 0.5, 0.4], 0)])
def test_the_best_weights_are_kept_the_start_included(network, head, data, held, scores, best, plain):
    given = iter(scores)
    result = tuned(network, head, data, epochs=2, validation=held, validate=lambda rows: next(given))
    assert result.history.best_epoch == best
    assert result.history.score == tuple(scores[1:]) and len(result.history.validation_loss) == 2
    plain = plain.get(best)
    expected = plain.weights if plain else {path: values(network)[path] for path in result.weights}
    for path, weight in result.weights.items():
        np.testing.assert_array_equal(weight, expected[path])
    for ours, theirs in zip(result.head.keras_model().get_weights(),
                            (plain.head if plain else head).keras_model().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_validate_the_last_weights_stay_and_statistics_are_the_old_ones(network, head, data, held, plain):
    """Those of the trained copy's batches are not handed out: the loss is by the normalisation as it was."""
    result = tuned(network, head, data, epochs=2, validation=held)
    assert result.history.best_epoch is None and result.history.score == ()
    for path, weight in plain[2].weights.items():
        np.testing.assert_array_equal(weight, result.weights[path])
    losses = []
    for epochs in (1, 2):
        features = assembled(network, plain[epochs].weights)(held[0].astype(np.float32), training=False)
        losses.append(float(Cosine(data.vectors)(held[1], plain[epochs].head.outputs(np.asarray(features)))))
    np.testing.assert_allclose(result.history.validation_loss, losses, rtol=1e-4)


def test_what_a_loss_learns_is_trained_in_place(network, head, data):
    loss = Softmax(4, dim=5)
    before = [variable.numpy() for variable in loss.trainable_variables]
    tuned(network, head, data, loss=loss, epochs=1)
    assert not np.allclose(before[0], loss.trainable_variables[0].numpy())


def test_progress_counts_the_pictures_of_all_epochs(network, head, data):
    seen = []
    tuned(network, head, data, epochs=2, batch_size=15, progress=lambda *at: seen.append(at))
    assert seen == [(13, 80), (26, 80), (40, 80), (53, 80), (66, 80), (80, 80)]


class Asked:
    """Pictures that write down which were asked for, and fail at one."""

    def __init__(self, pictures, broken=None):
        self.pictures, self.broken, self.rows = pictures, broken, []

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, row):
        self.rows.append(row)
        if row == self.broken:
            raise ValueError("cat/3.jpg: truncated JPEG")
        return self.pictures[row]


def test_pictures_are_asked_for_one_by_one_and_once_an_epoch_and_the_same_is_learned(network, head, data, plain):
    lazy = Asked(data.pictures)
    result = finetune(network, head, lazy, data.labels, Cosine(data.vectors), layers=2, learning_rate=0.05,
                      epochs=2)
    assert lazy.rows[0] == 0 and sorted(lazy.rows[1:]) == sorted([*range(40)] * 2)  # the first is looked at
    assert result.history.loss == plain[2].history.loss
    for path, weight in plain[2].weights.items():
        np.testing.assert_array_equal(weight, result.weights[path])


def test_a_batch_is_decoded_ahead():
    wanted = threading.Event()

    class Lazy:
        def __getitem__(self, row):
            if row == 1:
                wanted.set()
            return np.zeros((2, 2, 3), np.uint8)

    batches = stream(Lazy().__getitem__, [[0], [1], [2]])
    next(batches)
    assert wanted.wait(10)
    assert len(list(batches)) == 2


def test_a_picture_that_can_not_be_had_stops_it_and_the_loss_is_as_it_was(network, head, data):
    loss = Softmax(4, dim=5)
    before = [variable.numpy() for variable in loss.trainable_variables]
    with pytest.raises(ValueError, match="cat/3.jpg: truncated"):
        finetune(network, head, Asked(data.pictures, broken=39), data.labels, loss, layers=1)
    for old, variable in zip(before, loss.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_a_loss_that_is_no_longer_finite_stops(network, head, data):
    with pytest.raises(ValueError, match="in epoch 1: lower learning_rate, now 1e[+]38"):
        tuned(network, head, data, learning_rate=1e38, optimiser="sgd")


@pytest.mark.parametrize(("change", "message"), [
    (lambda data: {"layers": 0}, "layers is 0: expected 1 to 3, as many as small has with weights"),
    (lambda data: {"layers": 4}, "layers is 4"),
    (lambda data: {"head": RidgeHead(1.0)}, "the ridge head is a closed form"),
    (lambda data: {"head": MlpHead(HeadConfig(dim=5))}, "the head takes None features but small gives 6"),
    (lambda data: {"head": MlpHead(HeadConfig(dim=5)).build(7)}, "takes 7 features but small gives 6"),
    (lambda data: {"loss": Cosine(np.eye(4))}, "embeddings have 5 columns but the loss expects 4"),
    (lambda data: {"labels": data.labels + 1}, r"labels hold 4 in row 3, expected in 0\.\.3"),
    (lambda data: {"labels": data.labels[:-1]}, r"labels have shape \(39,\)"),
    (lambda data: {"images": data.pictures.astype(np.float32)}, "the first image is float32"),
    (lambda data: {"images": data.pictures[:, :4]}, r"uint8 \(4, 6, 3\): expected uint8 \(8, 6, 3\)"),
    (lambda data: {"optimiser": "rmsprop"}, "optimiser is 'rmsprop'"),
    (lambda data: {"epochs": 0}, "epochs is 0"),
    (lambda data: {"batch_size": 1}, "batch_size is 1"),
    (lambda data: {"validate": lambda rows: 1.0}, "validate has no rows"),
    (lambda data: {"validation": (data.pictures[:0], data.labels[:0])}, "validation has no images"),
    (lambda data: {"validation": (data.pictures, data.labels + 1)}, "validation labels hold 4"),
])
def test_what_does_not_fit_is_refused(network, head, data, change, message):
    call = {"network": network, "head": head, "images": data.pictures, "labels": data.labels,
            "loss": Cosine(data.vectors), "layers": 1, **change(data)}
    with pytest.raises(ValueError, match=message):
        finetune(**call)
