"""Models × verbs: each cell is an answer, or an error that says which space is lacking and how to get one."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from devise import backbones
from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise
from devise.checks import check
from devise.datasets import open_images
from devise.features import compute
from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.model import Devise, captions, pretrained, train_captions, train_classes, train_labels
from devise.model.saving import largest_difference
from devise.model.sources import Words
from devise.search import Search
from devise.web.service import Service

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220), "yellow": (230, 220, 40),
           "white": (235, 235, 235), "black": (25, 25, 25)}
MODELS = ("labels", "ridge", "beside", "classes", "captions", "everyday", "conse", "lift", "raw")
FAST = {"epochs": 1, "batch_size": 8}


def small_backbone():
    """A convolution with a classifier of ImageNet's 1,000 classes behind its features."""
    preprocessing = Preprocessing((12, 16), scale=(1 / 128,) * 3, offset=(-1.0,) * 3)
    pictures, x = preprocessing.inputs()
    x = keras.layers.ReLU(name="relu")(keras.layers.Conv2D(12, 3, name="first")(x))
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    network = keras.Model(pictures, keras.layers.Dense(1000, name="classes")(x), name="small")
    randomise(network, 0)
    return Backbone("small", network, layer="mean", weights="random:0", trained=False, preprocessing=preprocessing,
                    class_names=backbones.imagenet.class_names())


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    from devise.words import WordVectors

    folder = tmp_path_factory.mktemp("words") / "words"
    names = ("the", "a", "picture", "of", "fish", "dog", "cat", "shark", "bird", "wolf", "truck", *COLOURS)
    WordVectors(names, np.random.default_rng(3).normal(size=(len(names), 8)), name="few").save(folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Six classes of six pictures with two captions each."""
    root, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for number in range(6):
            pixels = np.array(colour) * random.uniform(0.6, 1) + random.normal(scale=12, size=(12, 16, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / name / f"{number}.png")
    return open_images(root)


def told(images):
    """The pictures without classes, and captions that name their colour."""
    captions = [(f"a picture of the {path.split('/')[0]}", f"{path.split('/')[0]} fish") for path in images.paths]
    return replace(images, labels=np.full(len(images), -1), label_names=(), captions=tuple(captions))


@pytest.fixture(scope="module")
def models(images, words, drawn_space, untrain, tmp_path_factory):
    """One of each kind, their heads at the start."""
    folder, network = tmp_path_factory.mktemp("features"), small_backbone()
    common = {"backbone": network, "folder": folder / "features"}
    head = MlpHead(HeadConfig(dim=8, sizes=(6,), dropout=0.0))
    steps = {"visual": FAST, "joint": FAST}
    everyday = Devise(network, words, {"shared": drawn_space(Words(words), 12)})
    with pytest.MonkeyPatch.context() as patch:
        untrain(patch)
        return {
            "labels": train_labels(images, words, head=head, unseen=["blue"], **FAST, **common),
            "ridge": train_labels(images, words, head=RidgeHead(0.1), unseen=["blue"], **common),
            "classes": train_classes(images, validation=2, test=2, epochs=1, classes=2, per_class=2, **common),
            "captions": train_captions(told(images), words, validation=0.2, test=0.2, backbone=network,
                                       folder=folder / "told", **steps),
            "beside": train_labels(images, words, start=everyday, unseen=["blue"], **common),
            "everyday": everyday,
            "conse": pretrained("conse", words, backbone=network), "lift": pretrained("lift", words, backbone=network),
            "raw": Devise(network)}


@pytest.fixture
def opened(models, monkeypatch):
    """The backbone by its name, as a model of another process loads it."""
    monkeypatch.setattr(backbones, "load", lambda name, **options: small_backbone())
    monkeypatch.setitem(captions.VISUAL, "epochs", 2)  # of what is trained anew behind a tuned network
    return models


NO_TEXT = "has a text side .*train_labels.*pretrained"
TEXT = {name: None for name in MODELS} | {"classes": NO_TEXT, "raw": NO_TEXT}
CELLS = {  # verb: {model: None for an answer, else what the error says}
    "embed_images": {}, "similarity": {}, "search_image": {}, "save": {}, "check": {}, "serve": {}, "calibrate": {},
    "embed_text": TEXT, "tag": TEXT, "search_text": TEXT, "search_change": TEXT,
    "evaluate": {},
    "finetune": {"ridge": "closed form", "beside": "extended head.*--from none",
                 "conse": "trained on no images.*train_labels", "everyday": "trained on no images",
                 "raw": "trained on no images", "lift": "trained on no images"},
    "export": {"conse": "conse head is no network", "lift": "lift head is no network"},
}


def run(verb, name, model, images, tmp_path):
    """What a verb of a model gives, checked as far as every model must agree."""
    file = images.file(7)
    if verb == "embed_images":
        found = [model.embed_images(one) for one in (file, [file], Image.open(file), images.read(7),
                                                     compute(images.subset([7]), model.backbone))]
        for other in found[1:]:
            np.testing.assert_allclose(other, found[0], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found[0], axis=1), 1, atol=1e-5)
    elif verb == "embed_text":
        one, several = model.embed_text("red fish"), model.embed_text(["red fish", "blue dog"])
        np.testing.assert_allclose(one[0], several[0], atol=1e-6)
        assert several.shape == (2, model.spaces[model.text_space()].dim)
    elif verb == "tag":
        [tags] = model.tag(file, k=3, candidates=["red", "blue", "fish", "dog"])
        cosines = model.embed_images(file) @ model.embed_text(["red", "blue", "fish", "dog"]).T
        assert [tag.score for tag in tags] == pytest.approx(sorted(cosines[0], reverse=True)[:3], abs=1e-5)
        assert len(model.tag(images, k=2)) == len(images)
    elif verb == "similarity":
        rows = [model.embed_images(images.file(row), next(iter(model.spaces)))[0] for row in (7, 8)]
        assert model.similarity(file, images.file(8)) == pytest.approx(rows[0] @ rows[1], abs=1e-5)
    elif verb == "calibrate":
        assert model.calibrate(images, false_accept_rate=0.1).space().threshold is not None
    elif verb == "evaluate":
        figures = model.evaluate(*([told(images)] if name == "captions" else [images]))
        assert figures.to_json() and any(part for part in (figures.hits, figures.retrieval, figures.captions))
    elif verb == "finetune":
        given = told(images) if name == "captions" else images
        options = {"classes": 2, "per_class": 2} if name == "classes" else {}
        tuned = model.finetune(given, layers=1, epochs=1, folder=tmp_path / "tuned", **options)
        assert list(tuned.spaces) == list(model.spaces)
        assert tuned.network.record["base"] == model.network.record and tuned.history
    elif verb == "export":
        assert largest_difference(model, model.export(tmp_path / "model.keras")) < 1e-5
    elif verb in ("save", "check"):
        model.save(tmp_path / "model")
        again = Devise.load(tmp_path / "model")
        assert again.fingerprint == model.fingerprint and list(again.spaces) == list(model.spaces)
        np.testing.assert_allclose(again.embed_images(file), model.embed_images(file), atol=1e-6)
        assert [found.problems for found in check(tmp_path / "model")] == [[]]
    else:
        searched(verb, model, images, tmp_path)


def searched(verb, model, images, tmp_path):
    search = Search.build(model, images, engine="exact", folder=tmp_path / "features")
    if verb == "search_image":
        assert search.by_image(images.file(7), k=3).matches == search.by_image(images.paths[7], k=3).matches
    elif verb == "search_text":
        best = search.by_text("red fish", k=1).matches[0]
        cosines = model.embed_images(images) @ model.embed_text("red fish")[0]
        assert best.score == pytest.approx(cosines.max(), abs=1e-5)
    elif verb == "search_change":
        assert len(search.by_change(images.paths[0], k=3, plus="red", minus=["dog"]).matches) == 3
    else:
        service = Service(search)
        assert service.by_row(0, 3).matches and service.can_text == ("shared" in model.spaces)


@pytest.mark.parametrize("verb", CELLS)
@pytest.mark.parametrize("name", MODELS)
def test_a_cell(verb, name, opened, images, tmp_path):
    refused = CELLS[verb].get(name)
    if refused:
        with pytest.raises(ValueError, match=refused):
            run(verb, name, opened[name], images, tmp_path)
    else:
        run(verb, name, opened[name], images, tmp_path)


def test_a_space_that_is_lacking_is_named(models):
    with pytest.raises(ValueError, match="there is no space 'learnt'.*train_classes"):
        models["labels"].space("learnt")
    with pytest.raises(ValueError, match="'raw' has no text side .*'shared' has one"):
        models["labels"].embed_text("red", space="raw")
    with pytest.raises(ValueError, match="no threshold to reject by"):
        Search.build(models["raw"], models["labels"].table, engine="exact").by_image("red/0.png", reject=True)


def test_spaces_come_in_the_order_in_which_images_are_compared(models):
    assert {name: list(model.spaces) for name, model in models.items()} == {
        "labels": ["raw", "hidden", "shared"], "ridge": ["raw", "shared"], "beside": ["raw", "shared"],
        "classes": ["learnt", "raw"], "captions": ["learnt", "raw", "shared"], "everyday": ["raw", "shared"],
        "conse": ["raw", "shared"], "lift": ["raw", "shared"], "raw": ["raw"]}
