import shutil

import keras
import pytest

from devise import backbones
from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise
from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.model import Devise, train_classes, train_labels

FAST = ("--layers", 1, "--epochs", 2, "--learning-rate", 0.02)


def network():
    """One convolution and its normalisation, drawn."""
    preprocessing = Preprocessing((12, 16), scale=(1 / 128,) * 3, offset=(-1.0,) * 3)
    pictures, x = preprocessing.inputs()
    x = keras.layers.Conv2D(8, 3, use_bias=False, name="first")(x)
    x = keras.layers.ReLU(name="rectified")(x)
    model = keras.Model(pictures, keras.layers.GlobalAveragePooling2D(name="mean")(x), name="small")
    randomise(model, 0)
    return Backbone("small", model, layer="pooled", weights="random:0", trained=False, preprocessing=preprocessing)


@pytest.fixture(autouse=True)
def by_name(monkeypatch):
    """The backbone by its name, as a model of another process loads it."""
    monkeypatch.setattr(backbones, "load", lambda name, **options: network())


@pytest.fixture(scope="module")
def train(vocabulary, tmp_path_factory):
    """Trains a model of a network of Keras on pictures; gives its folder."""
    words = tmp_path_factory.mktemp("words") / "words"
    vocabulary.save(words)

    def make(pictures, head):
        folder, options = tmp_path_factory.mktemp("trained"), {"epochs": 3} if isinstance(head, MlpHead) else {}
        train_labels(pictures, words, backbone=network(), head=head, unseen=["horse"], folder=folder / "features",
                     **options).save(folder / "model")
        return folder / "model"

    return make


@pytest.fixture(scope="module")
def trained(train, drawn_folder):
    """A model trained once; no test may change it."""
    return train(drawn_folder, MlpHead(HeadConfig(dim=12, sizes=(), dropout=0.0)))


def test_it_writes_another_model_and_says_how_both_fare(trained, answer, tmp_path):
    document = answer("finetune", trained, "-o", tmp_path / "tuned", *FAST)
    base, tuned = Devise.load(trained), Devise.load(tmp_path / "tuned")
    assert len(document["history"]["shared"]["loss"]) == 2
    assert document["before"]["hit_at_k"]["test"]["seen"]["1"] == base.evaluate().hit_at_k["test"]["seen"][1]
    assert document["after"]["hit_at_k"]["test"]["seen"]["1"] == tuned.evaluate().hit_at_k["test"]["seen"][1]
    assert list(tuned.backbone.changes) == ["first/kernel"]
    assert document["after"]["backbone"]["base"]["fingerprint"] == base.backbone.fingerprint


def test_the_pictures_may_have_moved_and_as_text_it_shows_both_tables(train, devise, picture_folder, untrained,
                                                                     tmp_path):
    model = train(picture_folder, MlpHead(HeadConfig(dim=12, sizes=(), dropout=0.0)))
    moved = picture_folder.rename(tmp_path / "moved")
    ran = devise("finetune", model, moved, "-o", tmp_path / "tuned", *FAST)
    assert ran.code == 0, ran.err
    before, after = ran.out.index("Before: Flat hit@k"), ran.out.index("After: Flat hit@k")
    assert before < after and "seen" in ran.out[before:after]

    lost = devise("finetune", model, "-o", tmp_path / "again", *FAST)
    assert lost.code == 1 and "Traceback" not in lost.err and not (tmp_path / "again").exists()


def test_it_does_not_overwrite_its_own_model(trained, devise, tmp_path):
    ran = devise("finetune", trained, "-o", trained, *FAST)
    assert ran.code == 2 and "name another folder" in ran.err


def test_a_closed_form_has_nothing_to_tune(train, drawn_folder, devise, tmp_path):
    ran = devise("finetune", train(drawn_folder, RidgeHead()), "-o", tmp_path / "tuned", *FAST)
    assert ran.code == 1 and "ridge head" in ran.err


@pytest.fixture
def siamese(picture_folder, untrained, tmp_path):
    """The folder of a siamese model on eight classes of small pictures."""
    for name in ("cat", "dog", "horse", "car"):
        for number in range(10):
            place = tmp_path / "eight" / f"{name}{number % 2}" / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture_folder / name / f"{number}.png", place)
    train_classes(tmp_path / "eight", backbone=network(), validation=3, test=2, epochs=1, classes=3,
                  folder=tmp_path / "table").save(tmp_path / "learnt")
    return tmp_path / "learnt"


def test_a_siamese_model_is_tuned_end_to_end(siamese, answer, devise, tmp_path):
    found = answer("finetune", siamese, "-o", tmp_path / "tuned", *FAST, "--classes", 3, "--per-class", 2,
                   "--augment", "0.5", "--loss", "contrastive")
    base, tuned = Devise.load(siamese), Devise.load(tmp_path / "tuned")
    runs = [model.evaluate().retrieval["learnt"] for model in (base, tuned)]
    assert found["before"]["retrieval"]["learnt"] == runs[0].to_json()
    assert found["after"]["retrieval"]["learnt"] == runs[1].to_json()
    gain = runs[1].means()["map_at_r"] - runs[0].means()["map_at_r"]
    assert found["difference"]["difference"] == pytest.approx(gain)
    assert (tuned.record["loss"]["name"], tuned.record["augment"]) == ("contrastive", 0.5)
    assert found["thresholds"]["raw"] == tuned.spaces["raw"].threshold
    ran = devise("finetune", siamese, "-o", tmp_path / "again", *FAST, "--classes", 3)
    assert ran.code == 0 and "after − before, in points" in ran.out
    assert "validation classes chose the threshold" in " ".join(ran.out.split())


def test_a_loss_of_another_kind_of_model_is_refused(trained, devise, tmp_path):
    ran = devise("finetune", trained, "-o", tmp_path / "tuned", "--loss", "triplet")
    assert ran.code == 1 and "there is no loss 'triplet': expected cosine, hinge, infonce" in ran.err
