"""devise export, of a model on a small network of Keras."""

import re

import numpy as np
import pytest

from devise import backbones, cli
from devise.backbones import Backbone, Preprocessing, describe
from devise.datasets import ImageSet
from devise.features import FeatureTable
from devise.heads import RidgeHead
from devise.model import train_labels


@pytest.fixture
def model(tmp_path, vocabulary, monkeypatch):
    import keras

    preprocessing = Preprocessing((4, 6))
    pictures, scaled = preprocessing.inputs()
    flat = keras.layers.Flatten(name="flat")(scaled)
    network = Backbone("tiny", keras.Model(pictures, flat), layer="flat", weights="none", trained=True,
                       preprocessing=preprocessing)
    monkeypatch.setattr(backbones, "load", lambda *args, **options: network)
    labels = np.arange(20) % 2
    table = FeatureTable(np.random.default_rng(0).random((20, 72), np.float32) + labels[:, None],
                         ImageSet(tuple(map(str, range(20))), labels, ("cat", "dog"), root=None), describe(network))
    train_labels(table, vocabulary, backbone=network, head=RidgeHead(penalty=1.0)).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("ending", ["keras", "onnx"])
def test_it_writes_a_file_and_says_how_far_it_is_from_the_model(ending, model, tmp_path, answer, devise):
    if ending == "onnx":
        pytest.importorskip("tf2onnx")
    file = tmp_path / f"m.{ending}"
    found = answer("export", model, "-o", file)
    assert set(found) - {"title", "trained", "facts", "tables", "pictures", "notes"} <= set(
        re.findall(r'"(\w+)"', cli.command_parser("export").description))
    assert found["bytes"] == file.stat().st_size > 0 and found["format"] == ending
    assert found["input"] == [None, 4, 6, 3] and found["output"] == [None, 12]
    if ending == "keras":
        assert 0 <= found["largest_difference"] < 1e-5
    ran = devise("export", model, "-o", file)
    assert ran.code == 0 and "pictures (n, 4, 6, 3), 0 to 255" in ran.out and "unit embeddings (n, 12)" in ran.out
    assert answer("export", model, "--space", "raw", "-o", file)["output"] == [None, 72]


def test_another_ending_is_refused(model, tmp_path, devise):
    ran = devise("export", model, "-o", tmp_path / "m.h5")
    assert ran.code == 1 and "there is no format '.h5': expected .keras, .onnx" in ran.err
