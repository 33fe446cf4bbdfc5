"""Threads at one object: each is answered as if it were alone, by every runtime and every engine."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from devise.backbones import Backbone, Preprocessing, runtimes
from devise.backbones.base import randomise
from devise.datasets import read_image
from devise.errors import MissingDependency
from devise.heads import HeadConfig, MlpHead
from devise.index import engines, make
from devise.model import Devise, Space
from devise.model.sources import Words
from devise.model.space import WordText
from devise.search import Search

SIDE, THREADS = 16, (2, 8) if os.environ.get("DEVISE_FAULTS") == "full" else (8,)
SHALLOW = {"faiss": {"n_probes": 1}, "hnswlib": {"search_depth": 10}, "usearch": {"search_depth": 10}}
DATABASES = {"lancedb", "milvus"}  # an answer takes them a hundred times as long


def at_once(n, ask, questions):
    """The answers of n threads that begin together and ask all questions, each in an order of its own."""
    ready, answers = threading.Barrier(n), [[None] * len(questions) for _ in range(n)]

    def work(thread):
        order = np.random.default_rng(thread).permutation(len(questions))
        ready.wait()
        for place in order:
            answers[thread][place] = ask(questions[place])

    with ThreadPoolExecutor(n) as pool:
        list(pool.map(work, range(n)))
    return answers


@pytest.fixture(autouse=True)
def hasty(monkeypatch, tmp_path):
    """Threads change more often than they do by default."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def network(runtime):
    keras = pytest.importorskip("keras")
    if runtime in runtimes.ENGINES and not all(map(runtimes.find_spec, (runtime, "onnx", "tf2onnx"))):
        pytest.skip(f"no {runtime}")
    keras.utils.set_random_seed(0)
    preprocessing = Preprocessing((SIDE, SIDE))
    pictures, x = preprocessing.inputs()
    for width in (8, 16):
        x = keras.layers.Conv2D(width, 3, strides=2, activation="relu")(x)
    model = keras.Model(pictures, keras.layers.Dense(5, name="classes")(keras.layers.GlobalAveragePooling2D()(x)))
    randomise(model, 0)
    return Backbone("small", model, layer="pooled", weights="imagenet", trained=True, preprocessing=preprocessing,
                    class_names=tuple("abcde"), runtime=runtime, batch=4)


@pytest.mark.parametrize("n", THREADS)
@pytest.mark.parametrize("runtime", [name for name in runtimes.RUNTIMES if name != "auto"])
def test_features_are_those_of_the_picture_that_was_asked(runtime, n, size):
    asked = list(np.random.default_rng(1).integers(0, 256, (size(8, 60), 3, SIDE, SIDE, 3), np.uint8))
    alone = network(runtime)
    expected = [(alone.features(block), alone.logits(block), alone.classify(alone.features(block))) for block in asked]
    together = network(runtime)  # not asked before: they open it together, too
    for answers in at_once(n, lambda block: (together.features(block), together.logits(block),
                                             together.classify(together.features(block))), asked):
        for mine, theirs in zip(answers, expected, strict=True):
            for found, right in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6 * np.abs(right).max())


@pytest.fixture(params=["openvino", "function"])
def model(request, vocabulary):
    head = MlpHead(HeadConfig(vocabulary.dim, sizes=(6,))).build(16)
    return Devise(network(request.param), vocabulary, {"shared": Space(head, WordText(Words(vocabulary)))})


@pytest.mark.parametrize("n", THREADS)
def test_a_search_answers_each_thread(n, model, drawn_folder, vocabulary, tmp_path):
    files = sorted(drawn_folder.rglob("*.png"))
    search = Search.build(model, [str(file) for file in files[::2]], engine="exact", folder=tmp_path / "features")
    search.save(tmp_path / "index")
    held = Image.open(files[1])  # read when it is first looked at
    verbs = {
        "by_image": lambda each: [match[:2] for match in each.by_image(files[3], 5).matches],
        "by_itself": lambda each: [match[:2] for match in each.by_image(files[4], 5, space="hidden").matches],
        "by_pixels": lambda each: [match[:2] for match in each.by_image(read_image(files[5]), 5).matches],
        "by_picture": lambda each: [match[:2] for match in each.by_image(held, 5).matches],
        "by_text": lambda each: [match[:2] for match in each.by_text("red cat", 5).matches],
        "by_change": lambda each: [match[:2] for match in each.by_change(files[7], 5, plus="dog").matches],
        "by_word": lambda each: each.by_word("cat"),
        "tag": lambda each: [tag.name for tag in each.tag(files[9], 3)],
        "similarity": lambda each: round(each.similarity(files[11], files[13], space="shared"), 4),
        "embed_images": lambda each: each.model.embed_images(files[:6], "hidden").round(4).tolist(),
        "embed_text": lambda each: each.model.embed_text(["dog", "ocean"]).tolist(),
        "tags": lambda each: [[tag.name for tag in tags] for tags in each.model.tag(files[:3], 2)]}
    expected = [verb(search) for verb in verbs.values()]
    opened = Search.load(tmp_path / "index", words=vocabulary)
    opened.model.network._opened = lambda: network(model.backbone.runtime)  # no name opens it
    for answers in at_once(n, lambda verb: verb(opened), list(verbs.values())):
        assert dict(zip(verbs, answers, strict=True)) == dict(zip(verbs, expected, strict=True))


@pytest.mark.parametrize("n", THREADS)
@pytest.mark.parametrize("engine", engines())
def test_an_index_looks_as_deep_for_each_thread_as_for_one(engine, n, size):
    rows = np.random.default_rng(2).standard_normal((2000, 64)).astype(np.float32)
    try:
        index = make(engine, **SHALLOW.get(engine, {})).build(rows)
    except MissingDependency as error:
        pytest.skip(str(error))
    questions = [(row, k) for row in range(size(2 if engine in DATABASES else 10, 60)) for k in (1, 100, 300)]

    def ask(question):
        return index.search(rows[question[0]][None], question[1], exclude=np.array([question[0]])).ids.tolist()

    expected = [ask(question) for question in questions]
    for answers in at_once(n, ask, questions):
        assert answers == expected
