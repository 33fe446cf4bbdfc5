"""An exported model, opened by others than devise, gives the model's own embeddings."""

import json
import zipfile

import numpy as np
import pytest

from devise.backbones import Backbone, Preprocessing, describe
from devise.datasets import ImageSet
from devise.features import FeatureTable
from devise.heads import ConseHead, HeadConfig, MlpHead, ProjectionHead, RidgeHead
from devise.model import Space, train_classes, train_labels
from devise.model.saving import largest_difference

CLASSES = ("cat", "dog", "horse", "car")
ALIKE = 1e-5  # float32, summed in another order


@pytest.fixture(scope="module")
def backbone():
    """A small network with all that preprocessing knows: blue first, scaled, shifted."""
    import keras

    preprocessing = Preprocessing((12, 16), scale=(0.01, 0.02, 0.03), offset=(-1.0, 0.0, 0.5), bgr=True)
    pictures, scaled = preprocessing.inputs()
    x = keras.layers.Conv2D(8, 3, activation="relu6", kernel_initializer=keras.initializers.HeNormal(seed=1))(scaled)
    x = keras.layers.BatchNormalization()(x)
    network = keras.Model(pictures, keras.layers.GlobalAveragePooling2D(name="top")(x))
    network.layers[-2].set_weights([np.linspace(0.5, 2, 8), np.linspace(-1, 1, 8), np.linspace(0, 1, 8), np.ones(8)])
    return Backbone("small", network, layer="top", weights="drawn", trained=True, preprocessing=preprocessing)


@pytest.fixture(scope="module")
def table(backbone):
    labels = np.arange(40) % 4
    pictures = np.random.default_rng(0).integers(0, 60, (40, 12, 16, 3)) + 45 * labels[:, None, None, None]
    images = ImageSet(tuple(f"{row}.png" for row in range(40)), labels, CLASSES, root=None)
    return FeatureTable(backbone.features(pictures.astype(np.uint8)), images, describe(backbone))


@pytest.fixture(scope="module")
def models(table, backbone, vocabulary, untrain):
    mlp = train_labels(
        table, vocabulary, backbone=backbone, head=MlpHead(HeadConfig(dim=12, sizes=(16,))), epochs=3, batch_size=8
    )
    ridge = train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(penalty=1.0))
    with pytest.MonkeyPatch.context() as patch:
        untrain(patch)
        classes = train_classes(
            table, backbone=backbone, head=ProjectionHead(4, start="pca"), validation=2, test=0, epochs=1, classes=2
        )
    return {"mlp": mlp, "ridge": ridge, "classes": classes}


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(7).integers(0, 256, (5, 12, 16, 3), np.uint8)


@pytest.mark.parametrize("kind", ["mlp", "ridge", "classes"])
def test_plain_keras_opens_it(kind, models, pictures, tmp_path):
    import keras

    model = models[kind]
    path = model.export(tmp_path / "model.keras")
    config = json.loads(zipfile.ZipFile(path).read("config.json"))
    named = json.dumps(config)
    assert "devise." not in named and '"registered_name": "devise' not in named  # nothing of ours is needed to open it
    found = np.asarray(keras.saving.load_model(path, compile=False)(pictures.astype(np.float32)))
    np.testing.assert_allclose(found, model.embedding_space().embed(model.backbone.features(pictures)), atol=ALIKE)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=ALIKE)
    assert largest_difference(model, path) < ALIKE


@pytest.mark.parametrize("kind", ["mlp", "ridge", "classes"])
def test_onnxruntime_opens_it(kind, models, pictures, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = models[kind]
    path = model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [given], [made] = session.get_inputs(), session.get_outputs()
    assert made.name == "embeddings" and given.shape[1:] == [12, 16, 3]
    expected = model.embedding_space().embed(model.backbone.features(pictures))
    for n in (1, 5):  # the number of pictures is free
        found = session.run(None, {given.name: pictures[:n].astype(np.float32)})[0]
        np.testing.assert_allclose(found, expected[:n], atol=ALIKE)


def test_a_file_is_replaced_whole_or_not_at_all(models, tmp_path, monkeypatch):
    import keras

    path = models["mlp"].export(tmp_path / "model.keras")
    before = path.read_bytes()

    def fail(self, place, *args, **options):
        place.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="full"):
        models["mlp"].export(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_what_is_refused(models, backbone, vocabulary, tmp_path):
    with pytest.raises(ValueError, match=r"there is no format '.onx': did you mean .onnx"):
        models["mlp"].export(tmp_path / "model.onx")
    mixed = models["mlp"].with_space("shared", Space(ConseHead(np.eye(8, 9), np.zeros(9), np.eye(9, 12))))
    with pytest.raises(ValueError, match="conse head is no network"):
        mixed.export(tmp_path / "model.keras", "shared")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.keras", "model.onnx"])
def test_only_an_export_of_the_same_model_is_replaced_unasked(models, tmp_path, name):
    if name.endswith("onnx"):
        pytest.importorskip("tf2onnx")
    path = tmp_path / name
    for _ in range(2):
        models["mlp"].export(path)
    mine = path.read_bytes()
    with pytest.raises(FileExistsError, match=f"{name} is there already, and is not what is about to be written anew"):
        models["ridge"].export(path)
    assert path.read_bytes() == mine
    models["ridge"].export(path, overwrite=True)
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="move it away"):
        models["ridge"].export(path)
    assert path.read_bytes() == b"mine"
