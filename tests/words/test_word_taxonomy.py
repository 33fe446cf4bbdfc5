"""The graph of synsets: by hand, by every walk, and the shipped facts against WordNet where it is installed."""

from importlib.resources import files

import numpy as np
import pytest

from devise.backbones import imagenet
from devise.words import Synset, Taxonomy, label_synsets, shipped_taxonomy, taxonomy_for
from devise.words import taxonomy as room
from devise.words.taxonomy import FAR

CLASSES = imagenet.identities()
FILE = files("devise.words").joinpath("wordnet.npz")
#        thing
#       /     \
#    animal   vehicle
#    /    \      |   \
#  dog    cat   car   bike
#   |  \   |
# poodle  chimera          (a dog and a cat)
KINDS = {"thing": (), "animal": ("thing",), "vehicle": ("thing",), "dog": ("animal",), "cat": ("animal",),
         "car": ("vehicle",), "bike": ("vehicle",), "poodle": ("dog",), "chimera": ("dog", "cat")}
SENSES = {"cat": ("cat",), "automobile": ("car",), "beast": ("animal",), "star": ("poodle", "bike"), "run": ()}


def graph(kinds, senses=None):
    return Taxonomy({identity: Synset((identity.title(),), above) for identity, above in kinds.items()}, senses)


@pytest.fixture
def tree():
    return graph(KINDS, SENSES)


def drawn(seed, n=40):
    """A graph in which each synset has up to two hypernyms among those before it."""
    random = np.random.default_rng(seed)
    above = [random.choice(i, min(i, random.integers(1, 3)), replace=False) if i else () for i in range(n)]
    return graph({str(i): tuple(map(str, above[i])) for i in range(n)},
                 {f"w{i}": tuple(map(str, random.integers(0, n, 1 + i % 3).tolist())) for i in range(20)})


def walks(tree, start, down=False):
    """Every walk that goes up, then down, as (end, length): by recursion."""
    yield start, 0
    for identity, synset in tree.synsets.items():
        if start in synset.hypernyms:
            yield from ((end, length + 1) for end, length in walks(tree, identity, True))
    if not down:
        for above in tree[start].hypernyms:
            yield from ((end, length + 1) for end, length in walks(tree, above))


def test_above_and_below(tree):
    assert tree.above(["chimera"]) == {"chimera", "dog", "cat", "animal", "thing"}
    assert tree.above(["car", "bike"]) == {"car", "bike", "vehicle", "thing"}
    assert tree.below(["dog"]) == {"dog", "poodle", "chimera"}
    assert tree.below(["thing"]) == set(KINDS) and tree.below(["bike"]) == {"bike"} and tree.below([]) == set()
    assert len(tree) == 9 and "dog" in tree and "wolf" not in tree


def test_distances_counted_on_the_drawing(tree):
    labels = ["dog", "poodle", "animal", "chimera", "cat", "car"]
    assert tree.distances(labels).tolist() == [[0, 1, 1, 1, 2, 4],  # down to the chimera and up again is no way
                                               [1, 0, 2, 2, 3, 5],
                                               [1, 2, 0, 2, 1, 3],
                                               [1, 2, 2, 0, 1, 5],
                                               [2, 3, 1, 1, 0, 4],
                                               [4, 5, 3, 5, 4, 0]]
    assert tree.distances([]).shape == (0, 0) and tree.distances(["dog", "dog"]).tolist() == [[0, 0], [0, 0]]


def test_steps_counted_on_the_drawing(tree):
    steps = tree.steps(["dog", "car"], ["cat", "automobile", "beast", "star", "run", "unheard"])
    assert steps.tolist() == [[2, 4, 1, 1, FAR, FAR],
                              [4, 0, 3, 2, FAR, FAR]]
    assert steps.dtype == np.uint8
    assert tree.steps([], ["cat"]).shape == (0, 1) and tree.steps(["cat"], []).shape == (1, 0)


@pytest.mark.parametrize("seed", range(3))
def test_against_every_walk(seed):
    tree = drawn(seed)
    shortest = {}
    for start in tree.synsets:
        for end, length in walks(tree, start):
            shortest[start, end] = min(length, shortest.get((start, end), length))
    labels = list(tree.synsets)[::3]
    np.testing.assert_array_equal(tree.distances(labels), [[shortest[a, b] for b in labels] for a in labels])
    np.testing.assert_array_equal(tree.steps(labels, list(tree.senses)), [
        [min(shortest[label, sense] for sense in senses) for senses in tree.senses.values()] for label in labels])
    for n in (1, 2, 3, 4):
        within = {end for (start, end), length in shortest.items() if start in labels[:3] and length < n}
        assert tree.hops(labels[:3], n) == within - set(labels[:3])


def test_apart():
    forest = graph({**KINDS, "idea": ()}, {"notion": ("idea",)})
    assert forest.distances(["idea", "dog"]).tolist() == [[0, np.inf], [np.inf, 0]]
    assert forest.steps(["dog"], ["notion"]).tolist() == [[FAR]]


def test_hops_count_the_label_itself(tree):
    assert tree.hops(["dog"], 1) == frozenset()
    assert tree.hops(["dog"], 2) == {"animal", "poodle", "chimera"}
    assert tree.hops(["dog"], 3) == {"animal", "poodle", "chimera", "thing", "cat"}
    assert tree.hops(["dog", "animal"], 2) == {"poodle", "chimera", "cat", "thing"}
    with pytest.raises(ValueError, match="expected 1 or more"):
        tree.hops(["dog"], 0)


def test_masked_is_the_synset_and_its_kinds(tree):
    classes = ["poodle", "car", "dog", "animal", "cat", "chimera"]
    assert tree.masked("dog", classes).tolist() == [True, False, True, False, False, True]
    assert tree.masked(["dog", "car"], classes).tolist() == [True, True, True, False, False, True]
    assert tree.masked("thing", classes).all() and not tree.masked([], classes).any()
    assert not tree.masked("poodle", ["dog", "animal", "thing", "chimera"]).any()  # wider classes stay


def test_words_are_found_however_they_are_written(tree):
    kinds = Taxonomy({"a": Synset(("dollar bill", "Buck"))})
    assert all(kinds.senses_of(word) == ("a",) for word in ("dollar_bill", "Dollar Bill", " dollar  bill", "buck"))
    assert not kinds.knows("dollar") and kinds.senses_of("dollar") == ()
    assert tree.knows("run") and tree.senses_of("run") == ()


def test_a_subset_keeps_what_is_above_and_changes_no_step(tree):
    part = tree.subset(["star", "run"], ["cat"])
    assert set(part.synsets) == {"thing", "animal", "vehicle", "dog", "poodle", "bike", "cat"}
    assert dict(part.senses) == {"star": ("poodle", "bike"), "run": ()}
    np.testing.assert_array_equal(part.steps(["cat"], ["star", "run"]), tree.steps(["cat"], ["star", "run"]))
    np.testing.assert_array_equal(part.distances(["cat", "bike"]), tree.distances(["cat", "bike"]))


@pytest.mark.parametrize("call", [
    lambda tree: tree["wolf"], lambda tree: tree.above(["wolf"]), lambda tree: tree.below(["wolf"]),
    lambda tree: tree.distances(["dog", "wolf"]), lambda tree: tree.steps(["wolf"], ["cat"]),
    lambda tree: tree.hops(["wolf"], 2), lambda tree: tree.imagenet_tree(["wolf"]),
    lambda tree: tree.masked("wolf", ["dog"]), lambda tree: tree.masked("dog", ["wolf"])])
def test_unknown_synsets_are_named(tree, call):
    with pytest.raises(KeyError, match="'wolf' is none of these 9 synsets"):
        call(tree)


def test_what_is_no_taxonomy_is_refused():
    with pytest.raises(ValueError, match="'dog' has the hypernym 'animal', which is none"):
        graph({"dog": ("animal",)})
    with pytest.raises(ValueError, match="circle: (a → b → c → a|b → c → a → b|c → a → b → c);"):
        graph({"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",)})


def test_hypernyms_come_first_and_nothing_changes():
    kinds = graph(dict(reversed(KINDS.items())))
    order = list(kinds.synsets)
    assert all(order.index(above) < order.index(name) for name in order for above in kinds[name].hypernyms)
    with pytest.raises(TypeError):
        kinds.synsets["wolf"] = Synset(("wolf",))


def test_a_file_gives_back_what_was_saved(tmp_path):
    kinds = Taxonomy({"n00000001": Synset(("thing", "It")), "n00000022": Synset(("café",), ("n00000001",))},
                     {"café": ("n00000022", "n00000001"), "run": (), "thing": ("n00000001",)})
    kinds.save(tmp_path / "kinds.npz")
    again = Taxonomy.load(tmp_path / "kinds.npz")
    assert (dict(again.synsets), dict(again.senses)) == (dict(kinds.synsets), dict(kinds.senses))


def test_the_shipped_file_holds_classes_and_labels_below_one_root_and_is_small():
    kinds = shipped_taxonomy()
    labels = [*CLASSES, *(entry.synset for entry in label_synsets().values())]
    assert all("n00001740" in kinds.above([label]) for label in labels)  # entity
    assert all(entry.synset in kinds.senses_of(label) for label, entry in label_synsets().items())
    assert all(map(kinds.knows, imagenet.class_names()))
    assert kinds.knows("the") and kinds.senses_of("the") == ()
    assert len(FILE.read_bytes()) < 500_000
    assert "Princeton University" in FILE.with_name("wordnet_licence.txt").read_text("utf-8")


def test_the_shipped_file_says_what_wordnet_says(wordnet):
    kinds = shipped_taxonomy()
    assert all(synset == wordnet[identity] for identity, synset in kinds.synsets.items())
    assert all(senses == wordnet.senses_of(word) for word, senses in kinds.senses.items())
    again = wordnet.subset(kinds.senses, [*CLASSES, *(entry.synset for entry in label_synsets().values())])
    assert dict(again.synsets) == dict(kinds.synsets)  # so it can be written again


def test_the_shipped_file_has_every_noun_of_several_kinds(wordnet):
    several = {word for word in wordnet.senses
               if word.isalpha() and len(wordnet.senses[word]) > 1 and len(wordnet.kinds(word)) > 1}
    assert len(several) == 1720 and several <= shipped_taxonomy().senses.keys()
    assert all(shipped_taxonomy().kinds(word) == wordnet.kinds(word) for word in several)


def test_kinds_of_things():
    kinds = shipped_taxonomy().kinds
    assert kinds("crane") == ("artifact", "animal") and kinds("seal")[-1] == "animal"
    assert kinds("elephant") == ("animal",) and len(kinds("lobster")) == len(kinds("scissors")) == 1
    assert kinds("walked") == ()


def test_distances_and_steps_are_the_same_in_all_of_wordnet(wordnet):
    words, classes = list(shipped_taxonomy().senses)[::80], CLASSES[::19]
    np.testing.assert_array_equal(shipped_taxonomy().steps(classes, words), wordnet.steps(classes, words))
    np.testing.assert_array_equal(shipped_taxonomy().distances(classes), wordnet.distances(classes))


def test_rare_words_and_synsets_are_looked_up_where_wordnet_is(wordnet):
    assert taxonomy_for(["cat", "the"], CLASSES[:2]) is shipped_taxonomy()
    assert not shipped_taxonomy().knows("aardwolf")
    (aardwolf,) = wordnet.senses_of("aardwolf")
    assert taxonomy_for(["cat", "aardwolf"]).senses_of("aardwolf") == (aardwolf,)
    assert aardwolf in taxonomy_for(synsets=[aardwolf])


def test_without_wordnet_rare_words_are_far_and_rare_synsets_an_error(monkeypatch):
    def nowhere():
        raise FileNotFoundError("there is no WordNet")

    monkeypatch.setattr(room, "_installed", nowhere)
    assert taxonomy_for(["aardwolf"]) is shipped_taxonomy()
    assert (shipped_taxonomy().steps(CLASSES[:1], ["aardwolf"]) == FAR).all()
    with pytest.raises(FileNotFoundError, match="no WordNet"):
        taxonomy_for(synsets=["n02118176"])


def test_the_chance_row_of_the_paper_is_near():
    """Set sizes behind it: 7, 13, 22 and 42 of 1,000 labels (Frome et al. 2013, Table 1)."""
    distances = shipped_taxonomy().imagenet_tree(CLASSES).distances(CLASSES)
    ranked = np.sort(distances, axis=1)
    sizes = [(distances <= ranked[:, [k - 1]]).sum(axis=1).mean() for k in (2, 5, 10, 20)]
    np.testing.assert_allclose(sizes, [7, 13, 22, 42], rtol=0.15)


def test_the_tree_hangs_what_is_in_no_branch_below_misc():
    tree = shipped_taxonomy().imagenet_tree(CLASSES)
    named = {tree[identity].name: identity for identity in CLASSES}
    assert tree.distances([named["ice cream"], named["street sign"]])[0, 1] == 2
    assert "misc" not in tree.above([named["tench"]])
    assert {"imagenet", "n00015388"} <= tree.above([named["tench"]])  # an animal
