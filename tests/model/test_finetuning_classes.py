"""A siamese model whose network is trained along, on pictures that change ever more."""

import keras
import numpy as np
import pytest
from PIL import Image

from devise import backbones
from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise
from devise.datasets import from_folder
from devise.datasets.augmentation import Augmentation
from devise.heads import ProjectionHead, RidgeHead
from devise.losses.pairs import Triplet
from devise.model import LEARNT, Devise, Space, classes, train_classes

FAST = {"layers": 1, "epochs": 2, "learning_rate": 0.02, "classes": 3, "per_class": 2}


def small_backbone():
    preprocessing = Preprocessing((12, 16), scale=(1 / 128,) * 3, offset=(-1.0,) * 3)
    pictures, x = preprocessing.inputs()
    x = keras.layers.ReLU(name="relu")(keras.layers.Conv2D(6, 3, name="first")(x))
    network = keras.Model(pictures, keras.layers.GlobalAveragePooling2D(name="mean")(x), name="small")
    randomise(network, 0)
    return Backbone("small", network, layer="pooled", weights="random:0", trained=False, preprocessing=preprocessing)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the pictures lie and the features of `model`."""
    return tmp_path_factory.mktemp("classes")


@pytest.fixture(scope="module")
def images(folder):
    """Ten classes of six pictures, each class a colour under changing light."""
    random = np.random.default_rng(0)
    for number in range(10):
        (folder / "pictures" / f"class{number}").mkdir(parents=True)
        colour = np.array([25 * number, 250 - 25 * number, 90])
        for picture in range(6):
            pixels = colour * random.uniform(0.4, 1) + random.normal(scale=12, size=(12, 16, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                folder / "pictures" / f"class{number}" / f"{picture}.png")
    return from_folder(folder / "pictures")


@pytest.fixture(autouse=True)
def by_name(monkeypatch):
    """The backbone by its name, as a model of another process loads it."""
    monkeypatch.setattr(backbones, "load", lambda name, **options: small_backbone())


@pytest.fixture(scope="module", autouse=True)
def start(untrain):
    """What is tuned here begins with heads at their start."""
    with pytest.MonkeyPatch.context() as patch:
        untrain(patch)
        yield


@pytest.fixture(scope="module")
def model(images, folder):
    """Made once, as `tuned` is; the tests leave both as they are."""
    head = ProjectionHead(start="pca", power=0.5)
    return train_classes(
        images,
        backbone=small_backbone(),
        seed=2,
        head=head,
        validation=3,
        test=3,
        epochs=1,
        classes=3,
        folder=folder / "features",
        loss_options={"margin": 0.3},
    )


@pytest.fixture(scope="module")
def before(model):
    """The model's embeddings and fingerprint before anything was fine-tuned."""
    return model.spaces[LEARNT].embed(model.table.matrix), model.backbone.fingerprint


@pytest.fixture(scope="module")
def tuned(model, before, tmp_path_factory):
    """The model fine-tuned, each epoch scored as better than the one before."""
    rising = iter(range(1, 9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes, "scores", lambda rows, labels: {"MAP@R": next(rising) / 10})
        return model.finetune(folder=tmp_path_factory.mktemp("tuned") / "features", **FAST)


def test_network_and_head_train_and_the_model_stays_as_it_was(model, before, tuned):
    (rows, fingerprint), new = before, tuned
    assert list(new.backbone.changes) == ["first/kernel", "first/bias"]
    assert (
        new.network.record["base"] == model.network.record
        and new.spaces[LEARNT].head is not model.spaces[LEARNT].head
    )
    assert model.network.record["fingerprint"] == fingerprint != new.network.record["fingerprint"]
    np.testing.assert_array_equal(model.spaces[LEARNT].embed(model.table.matrix), rows)
    assert (
        new.split.names == model.split.names
        and new.record["loss"]["name"] == "triplet"
        and new.record["loss"]["margin"] == 0.3
    )
    history = new.history[LEARNT]
    assert len(history.loss) == 2 and all(space.threshold is not None for space in new.spaces.values())
    assert (history.start_score, history.score, history.best_epoch) == (0.1, (0.2, 0.3), 2)


def test_saved_and_opened_it_embeds_pictures_the_same(model, tuned, images, tmp_path):
    new = tuned
    new.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model")
    files = [images.file(0), images.file(40)]
    np.testing.assert_allclose(again.embed_images(files), new.embed_images(files), atol=1e-5)
    np.testing.assert_allclose(new.embed_images(files), new.spaces[LEARNT].embed(new.table.matrix[[0, 40]]), atol=1e-4)
    assert again.backbone.fingerprint == new.backbone.fingerprint
    np.testing.assert_allclose(
        again.evaluate().retrieval[LEARNT].map_at_r, new.evaluate().retrieval[LEARNT].map_at_r, atol=1e-6
    )
    third = again.finetune(folder=tmp_path / "third", **FAST | {"epochs": 1})  # what was tuned can be tuned again
    assert third.network.record["base"] == model.network.record


def test_changes_of_the_pictures_grow_with_the_epochs(model, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(Augmentation, "__call__",
                        lambda self, picture, random, strength: shown.append(strength) or picture)
    model.finetune(folder=tmp_path / "tuned", augment=0.6, **FAST | {"epochs": 3})
    assert sorted(set(shown)) == pytest.approx([0.0, 0.3, 0.6]) and shown == sorted(shown)
    assert shown.count(0.6) == shown.count(0.0) > 0


def test_another_loss_or_miner_may_take_over(model, tmp_path):
    once = FAST | {"epochs": 1}
    new = model.finetune(folder=tmp_path / "one", loss="normalised-softmax", **once)
    assert new.record["loss"]["name"] == "normalised-softmax" and new.history[LEARNT].validation_loss == ()
    assert model.finetune(folder=tmp_path / "two", loss=Triplet(margin=0.1), **once).record["loss"]["margin"] == 0.1


@pytest.mark.parametrize(("options", "message"), [
    ({"augment": 1.5}, "augment is 1.5"), ({"classes": 9}, "4 classes with two pictures or more"),
    ({"loss": "tripled"}, "there is no loss 'tripled'"), ({"layers": 9}, "layers is 9: expected 1 to 1")])
def test_what_does_not_fit_is_refused(model, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        model.finetune(folder=tmp_path / "tuned", **FAST | options)
    assert not (tmp_path / "tuned").exists()


def test_a_closed_form_other_pictures_and_a_used_folder_are_refused(model, images, folder, tmp_path):
    with pytest.raises(ValueError, match="holds features already"):
        model.finetune(folder=folder / "features", **FAST)
    with pytest.raises(ValueError, match="other classes than the model"):
        model.finetune(from_folder(folder / "pictures", labels={path: "one" for path in images.paths}), **FAST)
    ridge = RidgeHead(1.0).fit(np.asarray(model.table.matrix), images.labels, np.eye(10))
    with pytest.raises(ValueError, match="closed form"):
        model.with_space(LEARNT, Space(ridge)).finetune(folder=tmp_path / "tuned", **FAST, loss=Triplet())
