"""Steps between classes and words: by hand, by brute force, and the shipped facts against WordNet."""

from importlib.resources import files

import numpy as np
import pytest

from devise.backbones import imagenet
from devise.words import steps as steps_room
from devise.words.hierarchy import Hierarchy
from devise.words.steps import FAR, Nouns, nouns_of, shipped_nouns, write_nouns
from devise.words.synsets import label_synsets
from devise.words.wordnet import WordNet

CLASSES = [identity for identity, _name in imagenet.classes()]
FILE = files("devise.words").joinpath("nouns.npz")
# entity ─ animal ─ pet ─ cat     a cat is a pet and a feline, a lion a feline, a violin no animal
#                └─ feline ─ lion, cat
#        └ violin
TREE = {"entity": (), "animal": ("entity",), "violin": ("entity",), "pet": ("animal",),
        "feline": ("animal",), "cat": ("pet", "feline"), "lion": ("feline",)}
SENSES = {"cat": ("cat",), "lion": ("lion",), "fiddle": ("violin",), "beast": ("animal",),
          "star": ("lion", "violin"), "run": ()}


def tree():
    rows = {identity: row for row, identity in enumerate(TREE)}
    return Nouns(TREE, [tuple(rows[above] for above in hypernyms) for hypernyms in TREE.values()],
                 {word: tuple(rows[sense] for sense in senses) for word, senses in SENSES.items()})


@pytest.fixture(scope="module")
def wordnet():
    try:
        return WordNet.open()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def all_nouns(wordnet):
    return Nouns.from_wordnet(wordnet)


def brute(nouns, classes, words):
    """The definition: for each sense the shortest way up and down again, in a graph of their own."""
    graph = Hierarchy.from_json({"nodes": {
        identity: {"hypernyms": [nouns.synsets[above] for above in nouns.hypernyms[row]]}
        for row, identity in enumerate(nouns.synsets)}})
    return [[min([FAR, *(graph.distance(name, sense) for sense in nouns.identities(word))]) for word in words]
            for name in classes]


def test_steps_by_hand():
    steps = tree().steps(["cat", "violin"], ["cat", "lion", "fiddle", "beast", "star", "run", "unheard"])
    assert steps.tolist() == [[0, 2, 4, 2, 2, FAR, FAR],  # a lion through feline; a star is a lion here
                              [4, 4, 0, 2, 0, FAR, FAR]]
    assert steps.dtype == np.uint8 and steps.shape == (2, 7)


def test_steps_are_the_shortest_ways():
    nouns = tree()
    names = list(SENSES)
    assert nouns.steps(list(TREE), names).tolist() == brute(nouns, list(TREE), names)
    assert nouns.steps([], ["cat"]).shape == (0, 1) and nouns.steps(["cat"], []).shape == (1, 0)


def test_steps_in_a_drawn_graph_are_the_shortest_ways():
    random = np.random.default_rng(4)
    hypernyms = [()] + [tuple(sorted({int(row) for row in random.integers(0, n, random.integers(1, 4))}))
                        for n in range(1, 40)]
    names = [f"s{row}" for row in range(40)]
    senses = {f"w{i}": tuple(random.integers(0, 40, 1 + i % 3).tolist()) for i in range(20)}
    nouns = Nouns(names, hypernyms, senses)
    words = list(nouns.senses)
    assert nouns.steps(names[5:30], words).tolist() == brute(nouns, names[5:30], words)


def test_what_has_no_hypernym_in_common_is_far():
    assert Nouns(["a", "b"], [(), ()], {"b": (1,)}).steps(["a"], ["b"]).tolist() == [[FAR]]


def test_words_are_found_however_they_are_written():
    nouns = Nouns(["a"], [()], {"dollar bill": (0,)})
    assert all(spelling in nouns for spelling in ("dollar_bill", "Dollar Bill", " dollar  bill"))
    assert nouns.identities("dollar_bill") == ("a",) and "dollar" not in nouns


def test_a_class_that_is_no_synset_is_refused():
    with pytest.raises(KeyError, match="'dog' is none of these 7 synsets"):
        tree().steps(["dog"], ["cat"])


def test_a_subset_keeps_what_is_above_and_changes_no_step():
    nouns = tree()
    part = nouns.subset(["lion", "run"], ["pet"])
    assert set(part.synsets) == {"entity", "animal", "feline", "lion", "pet"}
    assert list(part.senses) == ["lion", "run"]
    np.testing.assert_array_equal(part.steps(["pet"], ["lion", "run"]), nouns.steps(["pet"], ["lion", "run"]))


def test_a_file_gives_back_what_was_saved(tmp_path):
    nouns = Nouns(["n00000001", "n00000022"], [(), (0,)], {"café": (1,), "run": (), "thing": (0, 1)})
    nouns.save(tmp_path / "nouns.npz")
    again = Nouns.load(tmp_path / "nouns.npz")
    assert (again.synsets, again.hypernyms, again.senses) == (nouns.synsets, nouns.hypernyms, nouns.senses)


def test_the_shipped_file_holds_classes_and_labels_and_is_small():
    nouns = shipped_nouns()
    assert nouns.steps(CLASSES, imagenet.class_names()).shape == (1000, 1000)
    for label, entry in label_synsets().items():
        assert entry.synset in nouns.identities(label)
    assert "the" in nouns and nouns.identities("the") == ()
    assert len(FILE.read_bytes()) < 300_000
    assert "Princeton University" in FILE.with_name("wordnet_licence.txt").read_text("utf-8")


def test_shipped_steps_are_the_shortest_ways():
    nouns, random = shipped_nouns(), np.random.default_rng(0)
    words = random.choice([word for word, senses in nouns.senses.items() if senses], 40).tolist()
    classes = random.choice(CLASSES, 5).tolist()
    assert nouns.steps(classes, words).tolist() == brute(nouns, classes, words)


def test_the_shipped_file_says_what_wordnet_says(wordnet):
    nouns = shipped_nouns()
    for word in np.random.default_rng(1).choice(list(nouns.senses), 200).tolist():
        assert set(nouns.identities(word)) == set(wordnet.senses(word))
    for row in np.random.default_rng(2).choice(len(nouns.synsets), 500):
        above = {nouns.synsets[hypernym] for hypernym in nouns.hypernyms[row]}
        assert above == set(wordnet[nouns.synsets[row]].hypernyms)


def test_the_shipped_file_can_be_written_again(wordnet, tmp_path):
    synsets = [*CLASSES, *(entry.synset for entry in label_synsets().values())]
    write_nouns(wordnet, shipped_nouns().senses, synsets, tmp_path / "again.npz")
    again = Nouns.load(tmp_path / "again.npz")
    assert (again.synsets, again.hypernyms, again.senses) == (
        shipped_nouns().synsets, shipped_nouns().hypernyms, shipped_nouns().senses)
    assert (tmp_path / "wordnet_licence.txt").read_text("utf-8") == FILE.with_name(
        "wordnet_licence.txt").read_text("utf-8")


def test_steps_are_the_same_in_all_of_wordnet(all_nouns):
    words, classes = list(shipped_nouns().senses)[::40], CLASSES[::9]
    np.testing.assert_array_equal(shipped_nouns().steps(classes, words), all_nouns.steps(classes, words))


def test_rare_words_are_looked_up_where_wordnet_is(wordnet):
    assert nouns_of(["cat", "the"]) is shipped_nouns()
    assert "axolotl" not in shipped_nouns().subset(["cat"]) and "aardwolf" not in shipped_nouns()
    assert nouns_of(["cat", "aardwolf"]).identities("aardwolf") == wordnet.senses("aardwolf")


@pytest.mark.parametrize("version", [None, "3.1"])
def test_without_the_right_wordnet_rare_words_are_far(version, monkeypatch):
    def open_other():
        if version is None:
            raise FileNotFoundError("there is no WordNet")
        return type("Other", (), {"version": version})()

    monkeypatch.setattr(steps_room.WordNet, "open", open_other)
    steps_room._installed_nouns.cache_clear()
    nouns = nouns_of(["aardwolf"])
    assert nouns is shipped_nouns() and (nouns.steps(CLASSES[:1], ["aardwolf"]) == FAR).all()


def test_only_version_3_is_written(wordnet, tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "version", "3.1")
    with pytest.raises(ValueError, match="this is WordNet 3.1: expected 3.0"):
        write_nouns(wordnet, ["cat"], CLASSES[:1], tmp_path / "other.npz")
    assert not list(tmp_path.iterdir())
