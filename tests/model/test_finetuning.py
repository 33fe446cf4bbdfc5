import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from devise import features
from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise
from devise.datasets import ImageSet, from_folder
from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.losses import Cosine
from devise.model import SHARED, Devise, train_labels
from devise.model.finetuning import finetune
from devise.model.sources import Network

SIZE = (12, 16)
CONVOLUTIONS = ["first/kernel", "second/kernel"]


def small_backbone(seed=0):
    """Two normalised convolutions."""
    preprocessing = Preprocessing(SIZE, scale=(1 / 128,) * 3, offset=(-1.0,) * 3)
    pictures, x = preprocessing.inputs()
    for name in ("first", "second"):
        x = keras.layers.Conv2D(8, 3, use_bias=False, name=name)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    network = keras.Model(pictures, keras.layers.GlobalAveragePooling2D(name="mean")(x), name="small")
    randomise(network, seed)
    return Backbone("small", network, layer="pooled", weights=f"random:{seed}", trained=False,
                    preprocessing=preprocessing)


def trained(images, vocabulary, folder, *, epochs=3, **options):
    """A model with a linear head; its features go to the folder."""
    head = MlpHead(HeadConfig(dim=12, sizes=(), dropout=0.0))
    return train_labels(images, vocabulary, backbone=small_backbone(), head=head, folder=folder, epochs=epochs,
                        **options)


@pytest.fixture(scope="module", autouse=True)
def start(untrain):
    """What is tuned here begins with heads at their start."""
    with pytest.MonkeyPatch.context() as patch:
        untrain(patch)
        yield


@pytest.fixture(scope="module")
def images(drawn_folder):
    return from_folder(drawn_folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the features of `model` lie."""
    return tmp_path_factory.mktemp("finetuning") / "features"


@pytest.fixture(scope="module")
def model(images, vocabulary, folder):
    """Trained once, as `once` and `deep` are; the tests leave the three as they are."""
    return trained(images, vocabulary, folder, unseen=["horse"])


@pytest.fixture(scope="module")
def once(model, images, tmp_path_factory):
    """The model with its last layer fine-tuned for one epoch."""
    return tuned(model, images, tmp_path_factory.mktemp("once"))


@pytest.fixture(scope="module")
def deep(model, images, tmp_path_factory):
    """The model with both layers fine-tuned for four epochs."""
    return tuned(model, images, tmp_path_factory.mktemp("deep"), layers=2, epochs=4)


def tuned(model, images, tmp_path, **options):
    options = {"layers": 1, "epochs": 1, "learning_rate": 0.02, "folder": tmp_path / "tuned", **options}
    return finetune(model, images, **options)


def test_it_has_a_backbone_and_features_of_its_own(model, once, images):
    new = once
    assert isinstance(new, Devise) and new is not model
    assert list(new.backbone.changes) == CONVOLUTIONS[-1:]
    assert new.network.record["fingerprint"] == new.backbone.fingerprint != model.backbone.fingerprint
    assert new.network.record["base"] == model.network.record
    pictures = [new.backbone.prepare(np.asarray(Image.open(images.file(row)))) for row in range(len(images))]
    np.testing.assert_allclose(new.table.matrix, new.backbone.features(np.stack(pictures)), atol=1e-5)


def test_the_model_it_came_from_stays_as_it_was(model, once, images):
    paths, backbone = [images.file(0), images.file(25)], small_backbone()
    before = model.spaces[SHARED].embed(backbone.features(np.stack([
        backbone.prepare(np.asarray(Image.open(path))) for path in paths])))
    assert model.network.record["fingerprint"] == model.backbone.fingerprint == backbone.fingerprint
    np.testing.assert_allclose(model.embed_images(paths), before, atol=1e-6)
    assert np.abs(once.embed_images(paths) - before).max() > 1e-3


def test_embeddings_of_files_and_of_its_table_agree(deep, images):
    from_files = deep.embed_images([images.file(row) for row in (3, 17)])
    np.testing.assert_allclose(from_files, deep.spaces[SHARED].embed(deep.table.matrix[[3, 17]]), atol=1e-5)


def test_it_is_judged_on_the_same_pictures(model, once):
    new = once
    for part in ("train", "validation", "test", "unseen_rows"):
        old_paths = [model.paths[row] for row in getattr(model.split, part)]
        assert [new.paths[row] for row in getattr(new.split, part)] == old_paths
    evaluation = new.evaluate()
    labels = new.table.images.labels[new.split.test]
    seen = [new.labels.names.index(name) for name in new.split.seen]
    cosines = new.spaces[SHARED].embed(np.asarray(new.table.matrix[new.split.test])) @ new.labels.vectors[seen].T
    expected = (np.array(seen)[cosines.argmax(axis=1)] == labels).mean()
    assert evaluation.hit_at_k["test"]["seen"][1] == pytest.approx(expected)


def test_only_training_and_validation_pictures_of_its_features_are_looked_at(model, images, tmp_path, monkeypatch):
    read, trained = set(), set()
    original, extract = ImageSet.read, features.extract

    def extracted(*args, **options):
        trained.update(read)
        return extract(*args, **options)

    monkeypatch.setattr(ImageSet, "read", lambda self, row: read.add(self.file(row)) or original(self, row))
    monkeypatch.setattr(features, "extract", extracted)
    assert tuned(model, None, tmp_path).paths == model.paths
    allowed = {images.file(model.paths.index(model.paths[row]))
               for row in (*model.split.train, *model.split.validation)}
    assert trained == allowed


def test_no_epoch_makes_it_worse_on_the_validation_pictures(model, images, tmp_path):
    new = tuned(model, images, tmp_path, epochs=2, learning_rate=5.0, optimiser="sgd")
    assert new.history[SHARED].best_epoch == 0  # such steps ruin it, so the start is kept
    np.testing.assert_array_equal(new.embed_images(images.file(0)), model.embed_images(images.file(0)))


def test_it_learns(model, deep):
    history = deep.history[SHARED]
    assert history.epochs == 4 and history.loss[-1] < 0.8 * history.loss[0]
    assert model.history[SHARED].epochs == 3


def test_a_loss_may_be_named(model, once, images, tmp_path):
    history = tuned(model, images, tmp_path, loss="infonce").history[SHARED]
    assert np.isfinite(history.loss).all() and history.loss != once.history[SHARED].loss


def test_unseen_labels_are_not_there_to_be_pushed_from(images, vocabulary, tmp_path):
    """The first of four classes is unseen, so the rows of the loss's table are the other three."""
    model = trained(images, vocabulary, tmp_path / "features", unseen=["car"])
    cosine, given = Cosine(model.labels.vectors[1:]), []

    def loss(labels, rows):
        tf.py_function(lambda said: given.append(said.numpy()), [labels], [])  # as often as it is computed
        return cosine(labels, rows)

    new = tuned(model, images, tmp_path, loss=loss, folder=tmp_path / "own")
    assert given[0].tolist() == [label - 1 for label in images.labels[model.split.validation]]
    assert new.history[SHARED].loss == tuned(model, images, tmp_path).history[SHARED].loss


def test_without_validation_pictures_the_last_weights_stay(images, vocabulary, tmp_path):
    model = trained(images, vocabulary, tmp_path / "features", validation=0.0, epochs=1)
    history = tuned(model, images, tmp_path).history[SHARED]
    assert (history.best_epoch, history.score, history.validation_loss) == (None, (), ())


def test_fine_tuned_twice_it_still_knows_its_base(model, once, images, tmp_path):
    twice = tuned(once, images, tmp_path, layers=2, folder=tmp_path / "again")
    assert twice.network.record["base"] == model.network.record
    assert sorted(twice.backbone.changes) == CONVOLUTIONS


def test_its_weights_survive_a_file(once, tmp_path, monkeypatch):
    from devise import backbones

    own = once.network
    np.savez(tmp_path / "backbone.npz", **own.backbone.changes)
    monkeypatch.setattr(backbones, "load", lambda name, **options: small_backbone())
    again = Network.recorded(own.record, tmp_path / "backbone.npz").backbone
    assert again.fingerprint == own.backbone.fingerprint and again.weights == own.backbone.weights
    pictures = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    np.testing.assert_array_equal(again.features(pictures), own.backbone.features(pictures))


def test_a_file_that_does_not_fit_is_refused(once, tmp_path, monkeypatch):
    from devise import backbones

    own, path = once.network, tmp_path / "backbone.npz"
    np.savez(path, **own.backbone.changes)
    monkeypatch.setattr(backbones, "load", lambda name, **options: small_backbone(seed=1))
    with pytest.raises(ValueError, match="bring the weights of the training, or train again"):
        _ = Network.recorded(own.record, path).backbone
    np.savez(tmp_path / "other.npz", kernel=np.ones(3))
    with pytest.raises(ValueError, match="other.npz has no fine-tuned weights of small"):
        _ = Network.recorded(own.record, tmp_path / "other.npz").backbone
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="backbone.npz can't be read as arrays"):
        Network.recorded(own.record, path)


def test_what_does_not_fit_is_refused(model, images, folder, tmp_path, vocabulary):
    with pytest.raises(ValueError, match="not among the 8 here"):
        tuned(model, images.subset(np.arange(8)), tmp_path)
    with pytest.raises(ValueError, match="features holds features already"):
        tuned(model, images, tmp_path, folder=folder)
    with pytest.raises(ValueError, match="layers is 3: expected 1 to 2"):
        tuned(model, images, tmp_path, layers=3)
    table = features.compute(images, small_backbone())
    ridge = train_labels(table, vocabulary, backbone=small_backbone(), head=RidgeHead())
    with pytest.raises(ValueError, match="the ridge head is a closed form"):
        tuned(ridge, images, tmp_path)
    with pytest.raises(ValueError, match="was trained on no images"):
        tuned(Devise(small_backbone(), vocabulary), images, tmp_path)


def test_a_saved_fine_tuned_model_brings_its_network_along(once, images, tmp_path, vocabulary, monkeypatch):
    from devise import backbones

    new = once
    new.save(tmp_path / "model")
    monkeypatch.setattr(backbones, "load", lambda name, **options: small_backbone())
    again = Devise.load(tmp_path / "model", words=vocabulary)
    paths = [images.file(0), images.file(25)]
    np.testing.assert_allclose(again.embed_images(paths), new.embed_images(paths), atol=1e-5)
    again.save(tmp_path / "second")  # what was loaded can be saved again
    assert Devise.load(tmp_path / "second", words=vocabulary).backbone.fingerprint == new.backbone.fingerprint
