import shutil

import keras
import pytest

from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise
from devise.datasets import from_folder
from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.model import Devise

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


@pytest.fixture
def trained(picture_folder, words_file, tmp_path, monkeypatch):
    """A model of a network of Keras in a folder, and the function that makes others."""
    from devise import backbones

    monkeypatch.setattr(backbones, "load", lambda name, **options: network())

    def train(head):
        model = Devise(str(words_file), backbone=network())
        model.fit(from_folder(picture_folder), head=head, unseen=["horse"], folder=tmp_path / "features",
                  **({"epochs": 3} if isinstance(head, MlpHead) else {}))
        model.save(tmp_path / "model")
        return model

    train(MlpHead(HeadConfig(dim=12, sizes=(), dropout=0.0)))
    return train


def test_it_writes_another_model_and_says_how_both_fare(trained, answer, tmp_path):
    document = answer("finetune", tmp_path / "model", "-o", tmp_path / "tuned", *FAST)
    base, tuned = Devise.load(tmp_path / "model"), Devise.load(tmp_path / "tuned")
    assert len(document["history"]["loss"]) == 2
    assert document["before"]["hit_at_k"]["test"]["seen"]["1"] == base.evaluate().hit_at_k["test"]["seen"][1]
    assert document["after"]["hit_at_k"]["test"]["seen"]["1"] == tuned.evaluate().hit_at_k["test"]["seen"][1]
    assert list(tuned.backbone.changes) == ["first/kernel"]
    assert document["after"]["backbone"]["base"]["fingerprint"] == base.backbone.fingerprint


def test_as_text_it_shows_both_tables(trained, devise, tmp_path):
    ran = devise("finetune", tmp_path / "model", "-o", tmp_path / "tuned", *FAST)
    assert ran.code == 0, ran.err
    before, after = ran.out.split("\nafter\n")
    assert before.startswith("before\n") and "flat hit@k" in before and "flat hit@k" in after


def test_the_pictures_may_have_moved(trained, devise, picture_folder, tmp_path):
    moved = picture_folder.rename(tmp_path / "moved")
    ran = devise("finetune", tmp_path / "model", moved, "-o", tmp_path / "tuned", *FAST)
    assert ran.code == 0, ran.err
    lost = devise("finetune", tmp_path / "model", "-o", tmp_path / "again", *FAST)
    assert lost.code == 1 and "Traceback" not in lost.err and not (tmp_path / "again").exists()


def test_it_does_not_overwrite_its_own_model(trained, devise, tmp_path):
    ran = devise("finetune", tmp_path / "model", "-o", tmp_path / "model", *FAST)
    assert ran.code == 1 and "name another folder" in ran.err


def test_a_closed_form_has_nothing_to_tune(trained, devise, tmp_path):
    trained(RidgeHead())
    ran = devise("finetune", tmp_path / "model", "-o", tmp_path / "tuned", *FAST)
    assert ran.code == 1 and "mlp head" in ran.err


@pytest.fixture
def siamese(picture_folder, tmp_path, monkeypatch):
    """The folder of a siamese model on eight classes of small pictures."""
    from devise.model.siamese import Siamese

    from devise import backbones

    for name in ("cat", "dog", "horse", "car"):
        for number in range(10):
            place = tmp_path / "eight" / f"{name}{number % 2}" / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture_folder / name / f"{number}.png", place)
    monkeypatch.setattr(backbones, "load", lambda name, **options: network())
    Siamese(network()).fit(from_folder(tmp_path / "eight"), validation=3, test=2, epochs=1, classes=3,
                           folder=tmp_path / "table").save(tmp_path / "learnt")
    return tmp_path / "learnt"


def test_a_siamese_model_is_tuned_end_to_end(siamese, answer, devise, tmp_path):
    from devise.model.siamese import Siamese, difference

    found = answer("finetune", siamese, "-o", tmp_path / "tuned", *FAST, "--classes", 3, "--per-class", 2,
                   "--augment", "0.5", "--loss", "contrastive")
    base, tuned = Siamese.load(siamese), Siamese.load(tmp_path / "tuned")
    runs = base.evaluate(), tuned.evaluate()
    assert found["before"]["learnt"] == runs[0]["learnt"].to_json()
    assert found["after"]["learnt"] == runs[1]["learnt"].to_json()
    gain = difference({"raw": runs[0]["learnt"], "learnt": runs[1]["learnt"]})
    assert found["difference"]["difference"] == pytest.approx(gain.difference)
    assert (tuned.loss["name"], tuned.loss["augment"]) == ("contrastive", 0.5)
    assert found["thresholds"]["raw"] == tuned.thresholds["raw"]
    ran = devise("finetune", siamese, "-o", tmp_path / "again", *FAST, "--classes", 3)
    assert ran.code == 0 and "MAP@R after − before" in ran.out and "validation classes chose the threshold" in ran.out


def test_options_of_the_other_kind_of_model_are_refused(siamese, trained, devise, tmp_path):
    for model, options, said in [(siamese, ("--batch-size", 4), "one of `devise siamese`"),
                                 (tmp_path / "model", ("--augment", 0.5), "one of `devise train`"),
                                 (tmp_path / "model", ("--loss", "triplet"), "expected cosine, hinge, infonce")]:
        ran = devise("finetune", model, "-o", tmp_path / "tuned", *options)
        assert ran.code == 2 and said in ran.err
