"""The making of the shipped model, part by part: gradients by differences, names and measures by hand."""

import numpy as np
import pytest

from devise.datasets import ImageSet
from devise.features import FeatureTable
from devise.model import Devise
from devise.model.sources import Words
from devise.recipes.pretrained import making, measuring
from devise.recipes.pretrained.making import Lesson, shares, terms_of
from devise.recipes.pretrained.names import Nouns, kinds, similarities, vocabulary
from devise.words import Synset, Taxonomy, WordVectors
from devise.words.wordnet import Detail, read_details

CAPTIONS = [("a dog runs", "a brown dog"), ("dogs on a beach", "a dog"), ("a red car", "the car"),
            ("a car", "cars")] * 3
NAMES = ("the", "a", "dog", "car", "beach", "red", "brown", "cat", "tabby", "animal", "thing")


@pytest.fixture(scope="module")
def words():
    return WordVectors(NAMES, np.random.default_rng(0).normal(size=(len(NAMES), 5)), name="few")


@pytest.fixture(scope="module")
def told(words):
    return making.sentences(CAPTIONS, making.lexicon(CAPTIONS), words)


def loss(maps, images, bags, vectors):
    """The symmetric contrastive loss, in float64 and in loops."""
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True)
            for side in (images @ maps["image"], bags @ maps["bag"] + vectors @ maps["vector"])]
    scores = unit[0] @ unit[1].T / making.TEMPERATURE
    n = len(scores)
    rows = sum(np.log(np.exp(scores[i]).sum()) - scores[i, i] for i in range(n))
    columns = sum(np.log(np.exp(scores[:, i]).sum()) - scores[i, i] for i in range(n))
    return (rows + columns) / (2 * n)


def test_the_gradient_is_the_slope_of_the_loss(told):
    random = np.random.default_rng(1)
    images, rows = random.normal(size=(4, 6)), [0, 3, 5, 7]
    maps = {"image": random.normal(size=(6, 3)), "bag": random.normal(size=(told.bags.shape[1], 3)),
            "vector": random.normal(size=(5, 3))}
    given = images, told.bags[rows].toarray().astype(float), told.vectors[rows].astype(float)
    found = making._gradients(maps, *given)
    for name, place in (("image", (2, 1)), ("bag", (0, 2)), ("vector", (4, 0))):
        values = []
        for step in (1e-5, -1e-5):
            moved = {key: np.array(value) for key, value in maps.items()}
            moved[name][place] += step
            values.append(loss(moved, *given))
        assert found[name][place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-7)


def test_training_brings_images_to_their_sentences_and_a_seed_gives_the_same(told):
    random = np.random.default_rng(2)
    kinds_ = np.array([0, 0, 1, 1] * 3)
    images = (np.eye(6)[kinds_] + 0.1 * random.normal(size=(12, 6))).astype(np.float32)
    maps, again = (making.train(images, told, 3, epochs=20, seed=0) for _ in range(2))
    assert all(np.array_equal(maps[name], again[name]) for name in maps)
    text = told.bags @ maps["bag"] + told.vectors @ maps["vector"]
    scores = (images @ maps["image"]) @ (text / np.linalg.norm(text, axis=1, keepdims=True)).T
    assert (kinds_[told.owners[scores.argmax(axis=1)]] == kinds_).all()


def test_sentences_are_weighted_counts(told, words):
    known = making.lexicon(CAPTIONS)
    assert known == sorted({word for each in CAPTIONS for text in each for word in text.split()})
    row = told.bags[1].toarray()[0]  # a brown dog
    weights = {word: 1e-3 / (1e-3 + 1 / ((NAMES.index(word) + 1) * (np.log(len(NAMES)) + 0.5772156649)))
               for word in ("a", "brown", "dog")}
    length = np.sqrt(sum(weight ** 2 for weight in weights.values()))
    for word, weight in weights.items():
        assert row[known.index(word)] == pytest.approx(weight / length, rel=1e-5)
    assert np.count_nonzero(row) == 3 and told.owners.tolist() == sorted([*range(12)] * 2)


def test_terms_are_words_and_pairs_without_stop_words():
    assert terms_of("two dogs on the red cars", {"dog": 0, "car": 1}) == {
        "two", "dog", "red", "car", "two dog", "red car"}
    assert shares([("a dog", "dogs", "a cat", "cat dog")], {"dog": 0}) == [
        {"dog": 0.75, "cat": 0.5, "cat dog": 0.25}]


@pytest.fixture(scope="module")
def nouns(words):
    """A thing, animals, two classes of the classifier among them, and a kind that cannot be seen."""
    synsets = {"n0": Synset(("thing",)), "n1": Synset(("beast", "animal"), ("n0",)), "n2": Synset(("dog",), ("n1",)),
               "n02123045": Synset(("tabby", "tabby cat"), ("n1",)), "n3": Synset(("idea",), ("n0",)),
               "n4": Synset(("Felis catus", "cat"), ("n1",)), "n5": Synset(("genus Felis",), ("n0",))}
    fields = {"n0": "tops", "n3": "cognition"}
    taxonomy = Taxonomy(synsets)
    details = {name: Detail(fields.get(name, "animal"), False, "a red thing") for name in synsets}
    above = {name: taxonomy.above([name]) for name in synsets}
    information = {name: 1 - np.log(len(taxonomy.below([name]))) / np.log(len(synsets)) for name in synsets}
    return Nouns(taxonomy, details, {("animal", 0): 3}, above, information, words)


def test_names_are_the_usual_ones_of_what_can_be_seen(nouns, monkeypatch):
    monkeypatch.setattr("devise.backbones.imagenet.identities", lambda: ("n02123045",))
    found = vocabulary(nouns)
    assert found.names == ("animal", "cat", "dog", "tabby")  # "animal" was met more often than "beast"
    assert dict(zip(found.names, found.synsets, strict=True))["cat"] == "n4"
    own = kinds(nouns, found)
    assert own[:, 0].tolist() == [True, False, False, True]
    alike = similarities(nouns, found.synsets)[:, 0]
    lin = 2 * nouns.information["n1"] / (nouns.information["n2"] + nouns.information["n02123045"])
    cosine = float(nouns.words.unit([NAMES.index("dog")])[0] @ synset_vector(nouns, "n02123045"))
    assert alike[2] == pytest.approx((2 * lin + cosine + 2) / 5, abs=1e-5)
    assert alike[3] == alike.max()


def synset_vector(nouns, identity):
    from devise.words import synset_vectors

    return synset_vectors([identity], nouns.words, nouns.taxonomy)[0]


def test_words_are_right_where_two_captions_have_them(words, drawn_space, backbone):
    captions = [("a dog", "dogs run", "a cat"), ("a dog", "the cat", "a cat"), ("a car", "a car", "a car")]
    taxonomy = Taxonomy({"d": Synset(("dog",)), "c": Synset(("cat",)), "v": Synset(("car",))})
    asked = measuring.everyday_words(captions, taxonomy, ["dog", "cat"])
    assert asked.shown.tolist() == [[True, False, False], [False, True, False]]
    assert asked.said.tolist() == [[True, True, False], [True, True, False]]
    model = Devise(backbone, Words(words), {"shared": drawn_space(Words(words), 24)})
    rows = np.random.default_rng(3).normal(size=(12, 24)).astype(np.float32)
    asked = measuring.Words(["dog", "car"], np.arange(24).reshape(2, 12) % 3 == 0, np.zeros((2, 12), bool))
    order = np.argsort(-(model.embed_text(["dog", "car"]) @ model.spaces["shared"].embed(rows).T), axis=1)[:, :10]
    found = measuring.word_precision(model, asked, rows)
    assert found["P@10"] == pytest.approx(np.mean([asked.shown[row, order[row]].mean() for row in range(2)]))
    assert found["ceiling"] == pytest.approx(0.4)


def test_limits_let_the_wanted_share_through(words, drawn_space, backbone):
    space, random = drawn_space(Words(words), 24), np.random.default_rng(5)
    model = Devise(backbone, Words(words), {"shared": space})
    objects = FeatureTable(random.normal(size=(40, 24)).astype(np.float32),
                           ImageSet([f"{row}.png" for row in range(40)], [0, 1] * 20, ("cat", "car"), root=None), {})
    part = Lesson(random.normal(size=(40, 24)).astype(np.float32), [])
    asked = measuring.Words(["dog"], np.zeros((1, 40), bool), np.zeros((1, 40), bool))
    found = measuring.limits(model, part, asked, objects)
    assert (np.diff(found["limits"]) < 0).all() and found["rates"].tolist() == list(measuring.RATES)
    tuned = space.text.restore(space.text.config, space.text.weights() | found, Words(words))
    scores = [(text, model.spaces["shared"].embed(rows)) for text, rows in
              (("dog", part.features), ("cat", objects.matrix[1::2]), ("car", objects.matrix[::2]))]
    passed = np.concatenate([tuned.embed(text)[0] @ rows.T >= tuned.thresholds(tuned.embed(text), 0.1)[0]
                             for text, rows in scores])
    assert passed.mean() == pytest.approx(0.1, abs=0.03)


def test_what_wordnet_says_beside_words_and_hypernyms():
    try:
        details, counts = read_details()
    except FileNotFoundError:
        pytest.skip("WordNet is not installed")
    assert details["n02084071"].field == "animal" and not details["n02084071"].instance
    gloss = details["n02084071"].gloss
    assert gloss.startswith("a member of the genus Canis") and '"' not in gloss
    assert counts["dog", 0] > counts.get(("dog", 2), 0)
