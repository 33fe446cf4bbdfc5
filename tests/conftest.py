"""A small world that every room can be tested in: pictures of four classes, a network that needs no
framework, and a vocabulary in which the classes have words."""

import functools
import gc
import hashlib
import itertools
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

WORDS = ("the", "cat", "dog", "horse", "car", "ocean", "animal", "red", "cats", "dollar", "bill")
COLOURS = {"cat": (220, 40, 40), "dog": (40, 200, 60), "horse": (40, 60, 220), "car": (230, 220, 40)}


gc.disable()  # what is collected stays until the end: to look through it for garbage takes a fifth of the time


def pytest_collection_finish():
    """Leave what was collected out of the search for garbage, and run TensorFlow's graphs as they are written.

    To optimise them is a quarter of the time of a short training.
    """
    gc.freeze()
    gc.enable()
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


class ThumbnailBackbone(SimpleNamespace):
    """A stand-in network: the colours of a 4 × 4 thumbnail, through a fixed matrix."""

    def __init__(self, seed=0):
        self.matrix = np.random.default_rng(seed).normal(size=(48, 24)).astype(np.float32)
        super().__init__(name="thumbnail", layer="top", dim=24, size=(8, 8), weights=f"drawn:{seed}", trained=True,
                         fingerprint=hashlib.sha256(bytes([seed])).hexdigest(),
                         class_names=("red", "green", "blue"), calls=0)

    def prepare(self, image):
        return np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BOX))

    def features(self, pictures):
        self.calls += len(pictures)
        small = pictures.reshape(-1, 4, 2, 4, 2, 3).mean(axis=(2, 4)).reshape(len(pictures), -1)
        # float64 sums, so that a row does not depend on how many are computed with it
        return (np.maximum(small / 255 @ self.matrix.astype(np.float64), 0) + 0.01).astype(np.float32)

    def logits(self, pictures):
        return pictures.mean(axis=(1, 2), dtype=np.float32)


@pytest.fixture(scope="session")
def data_roots(tmp_path_factory):
    """Paths of folders that are not there yet, one after the other."""
    root = tmp_path_factory.mktemp("data")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_data_root(data_roots, monkeypatch, tmp_path_factory):
    """Features of no other test, and none of the developer's, are found under the data root.

    The vectors that come in a package are the same for all: they are converted once.
    """
    from devise import storage
    from devise.words import readers

    place_of, shared = readers._cache_folder, tmp_path_factory.getbasetemp() / "packaged"
    monkeypatch.setattr(readers, "_cache_folder",
                        lambda path, name=None: shared / name if name else place_of(path))
    place, told = next(data_roots), storage.data_root
    developers = told()
    monkeypatch.setattr(storage, "data_root", functools.wraps(told)(
        lambda: place if told() == developers and "DEVISE_HOME" not in os.environ else told()))


@pytest.fixture
def backbone():
    return ThumbnailBackbone()


@pytest.fixture(scope="session")
def make_backbone():
    return ThumbnailBackbone


def drawn_concepts(words, input_dim, classes=1000, seed=0):
    """A small space of the kind that comes with devise, all of its numbers drawn: every word is a name and a term.

    Every other name has classes of its own, three for the first; the last word is a name and no term.
    """
    from devise.arrays import pack
    from devise.heads import JointHead
    from devise.model import ConceptText, Space
    from devise.model.concepts import as_lines

    random, dim, names = np.random.default_rng(seed), 6, [*words.vectors.words]
    n, own = len(names), [[0, 1, 2] if row == 0 else [row % classes] if row % 2 == 0 else []
                          for row in range(len(names))]

    def packed(name, *shape):
        found = pack(random.normal(size=shape))
        return {name: found.rows, f"{name}_scale": found.scale}

    head = JointHead({**packed("kernel", classes, input_dim), "bias": random.normal(size=classes).astype(np.float32),
                      "feature_mean": np.full(input_dim, 0.1), "class_mean": np.full(classes, 0.01),
                      **packed("map", input_dim + classes, dim)})
    background = pack(head.embed(random.normal(size=(20, input_dim))))
    text = ConceptText(words, {
        "names": as_lines(names), "aliases": as_lines(["moggy"]), "alias_rows": np.array([1]),
        "exact": np.array([bool(each) for each in own]), "near": random.integers(0, classes, (n, 4)).astype(np.uint16),
        "near_weights": random.integers(1, 128, (n, 4)).astype(np.int8),
        "kinds": np.concatenate(own).astype(np.uint16), "kinds_starts": np.cumsum([0, *map(len, own)]),
        "gate": np.full(n, 0.9), "trust": np.full(n, 0.8), "name_terms": np.array([*range(n - 1), -1]),
        "terms": as_lines(names[:-1]), **packed("probes", n - 1, dim), "probe_mean": np.zeros(dim),
        "term_shares": np.full(n - 1, 0.1), "term_images": np.arange(6, n + 5), "term_reliability": np.ones(n - 1),
        "lexicon": as_lines(names), **packed("bag", n, dim), "word_map": random.normal(size=(words.vectors.dim, dim)),
        "class_vectors": random.normal(size=(classes, words.vectors.dim)), "background": background.rows,
        "background_scale": background.scale, "rates": np.array([0.01, 0.1]), "limits": np.array([2.0, 1.0]),
        "tag_threshold": np.array([0.3])})
    return Space(head, text)


@pytest.fixture(scope="session")
def drawn_space():
    """`drawn_concepts`, see there."""
    return drawn_concepts


@pytest.fixture(scope="session")
def vocabulary():
    """Eleven words in 12 dimensions; "cats" lies near "cat"."""
    from devise.words import WordVectors

    matrix = np.random.default_rng(5).normal(size=(len(WORDS), 12)).astype(np.float32)
    matrix[WORDS.index("cats")] = matrix[WORDS.index("cat")] + 0.1
    return WordVectors(WORDS, matrix, name="small")


@pytest.fixture
def picture_folder(tmp_path, drawn_folder):
    """`pictures/<class>/*.png`, ten of each of four classes, noise over the colour of the class."""
    return shutil.copytree(drawn_folder, tmp_path / "pictures")


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    """The same pictures, drawn once for all tests; none of them may change a file of it."""
    return draw_pictures(tmp_path_factory.mktemp("drawn") / "pictures")


def draw_pictures(root, n=10, seed=1):
    random = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(n):
            noise = random.normal(scale=25, size=(24, 32, 3))
            Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(root / name / f"{number}.png")
    return root


class Clusters:
    """Small clustered features: 6 classes, 24 columns, label vectors of dim 5."""

    def __init__(self, n=96, seed=0):
        rng = np.random.default_rng(seed)
        centres = np.random.default_rng(99).standard_normal((6, 24))
        self.labels = np.arange(n) % 6
        noise = 0.4 * rng.standard_normal((n, 24))
        self.features = (centres[self.labels] + noise).astype(np.float32)
        vectors = np.random.default_rng(98).standard_normal((6, 5))
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def hit_at_1(self, embeddings):
        return float(((embeddings @ self.vectors.T).argmax(axis=1) == self.labels).mean())


@pytest.fixture(scope="session")
def make_train_set():
    return Clusters


@pytest.fixture
def train_set(make_train_set):
    return make_train_set()


@pytest.fixture
def validation_set():
    return Clusters(n=48, seed=1)


def started(head, features, labels, loss, *, epochs=60, validation=None, validate=None, seed=0, progress=None,
            **options):
    """In the place of a training: the head at its start, and a history that says nothing changed."""
    from devise.training import History

    if head.input_dim is None:
        head.begin(getattr(features, "levels", [features])[0], labels, seed)
    found = validate(head.embed(validation[0])) if validate else None
    scores = found if isinstance(found, dict) else {}
    score = next(iter(scores.values())) if scores else found
    for epoch in range(epochs):
        if progress is not None:
            progress(epoch + 1, epochs)
    return History(
        (1.0,) * epochs, (1.0,) * epochs if validation else (), (score,) * epochs if validate else (),
        scores={name: (value,) * epochs for name, value in scores.items()}, start_score=score, start_scores=scores,
        best_epoch=0 if validate else None, batch_size=options.get("batch_size"))


@pytest.fixture(scope="session")
def untrain():
    """Lets trainings leave a head at its start, through a MonkeyPatch; for what is tested around them."""
    return lambda patch: patch.setattr("devise.training.train", started)


@pytest.fixture
def untrained(monkeypatch, untrain):
    untrain(monkeypatch)


@pytest.fixture
def small():
    """A head small enough for a test."""
    from devise.heads import HeadConfig

    return HeadConfig(dim=5, sizes=(16,))
