import json

import numpy as np
import pytest

from devise.words.hierarchy import Hierarchy, Node

#        thing
#       /     \
#    animal   vehicle
#    /    \      |   \
#  dog    cat   car   bike
#   |  \   |
# poodle  chimera          (a dog and a cat)
KINDS = {"thing": (), "animal": ("thing",), "vehicle": ("thing",), "dog": ("animal",), "cat": ("animal",),
         "car": ("vehicle",), "bike": ("vehicle",), "poodle": ("dog",), "chimera": ("dog", "cat")}


@pytest.fixture
def tree():
    return Hierarchy({identity: Node(identity.title(), kinds) for identity, kinds in KINDS.items()})


def drawn(seed, n=40):
    """A graph in which each node has up to two hypernyms among those before it."""
    random = np.random.default_rng(seed)
    above = [random.choice(i, min(i, random.integers(1, 3)), replace=False) if i else () for i in range(n)]
    return Hierarchy({str(i): Node(str(i), tuple(map(str, above[i]))) for i in range(n)})


def paths(tree, start, down=False):
    """Every walk that goes up, then down, as (end, length): by recursion."""
    yield start, 0
    for below in tree.hyponyms(start):
        yield from ((end, length + 1) for end, length in paths(tree, below, True))
    if not down:
        for above in tree[start].hypernyms:
            yield from ((end, length + 1) for end, length in paths(tree, above))


def test_above_and_below(tree):
    assert tree.ancestors("chimera") == {"dog", "cat", "animal", "thing"}
    assert tree.descendants("dog") == {"poodle", "chimera"}
    assert tree.ancestors("thing") == tree.descendants("bike") == frozenset()
    assert tree.hyponyms("dog") == ("poodle", "chimera")


def test_lowest_common_hypernym(tree):
    assert tree.lowest_common_hypernym("dog", "cat") == "animal"
    assert tree.lowest_common_hypernym("poodle", "chimera") == "dog"
    assert tree.lowest_common_hypernym("poodle", "animal") == "animal"
    assert tree.lowest_common_hypernym("car", "poodle") == "thing"
    assert tree.lowest_common_hypernym("car", "car") == "car"


def test_distances_counted_on_the_drawing(tree):
    assert tree.distance("dog", "dog") == 0
    assert tree.distance("poodle", "animal") == 2
    assert tree.distance("poodle", "chimera") == 2
    assert tree.distance("poodle", "cat") == 3
    assert tree.distance("car", "poodle") == 5
    assert tree.distance("dog", "cat") == 2  # over animal; down to the chimera and up again is no way


@pytest.mark.parametrize("seed", range(3))
def test_against_every_walk(seed):
    tree = drawn(seed)
    shortest = {}
    for start in tree.nodes:
        for end, length in paths(tree, start):
            shortest[start, end] = min(length, shortest.get((start, end), length))
    labels = list(tree.nodes)[::3]
    expected = [[shortest[a, b] for b in labels] for a in labels]
    np.testing.assert_array_equal(tree.distances(labels), expected)
    assert [[tree.distance(a, b) for b in labels] for a in labels] == expected
    for n in (1, 2, 3, 4):
        within = {end for (start, end), length in shortest.items() if start in labels[:3] and length < n}
        assert tree.hops(labels[:3], n) == within - set(labels[:3])


def test_apart(tree):
    forest = Hierarchy({**tree.nodes, "idea": Node("idea")})
    assert forest.distance("idea", "dog") == np.inf
    assert forest.lowest_common_hypernym("idea", "dog") is None
    assert forest.distances(["idea", "dog"]).tolist() == [[0, np.inf], [np.inf, 0]]


def test_a_larger_hierarchy_changes_no_distance(tree):
    labels = ["dog", "cat", "car"]
    above = set(labels).union(*(tree.ancestors(label) for label in labels))
    smaller = Hierarchy({identity: node for identity, node in tree.nodes.items() if identity in above})
    np.testing.assert_array_equal(smaller.distances(labels), tree.distances(labels))


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
    assert tree.masked("thing", classes).all()


def test_a_wider_class_is_not_masked(tree):
    assert not tree.masked("poodle", ["dog", "animal", "thing", "chimera"]).any()


@pytest.mark.parametrize("call", [
    lambda tree: tree["wolf"], lambda tree: tree.ancestors("wolf"), lambda tree: tree.hyponyms("wolf"),
    lambda tree: tree.distances(["dog", "wolf"]), lambda tree: tree.hops(["wolf"], 2),
    lambda tree: tree.masked("wolf", ["dog"]), lambda tree: tree.masked("dog", ["wolf"])])
def test_unknown_nodes_are_named(tree, call):
    with pytest.raises(KeyError, match="'wolf' is none of the 9 nodes"):
        call(tree)


def test_missing_hypernyms_are_named():
    with pytest.raises(ValueError, match="'dog' has the hypernym 'animal', which is no node"):
        Hierarchy({"dog": Node("dog", ("animal",))})


def test_circles_are_named():
    nodes = {"a": Node("a", ("b",)), "b": Node("b", ("c",)), "c": Node("c", ("a",)), "d": Node("d", ("a",))}
    with pytest.raises(ValueError, match="circle: (a → b → c → a|b → c → a → b|c → a → b → c);"):
        Hierarchy(nodes)
    with pytest.raises(ValueError, match="circle: a → a;"):
        Hierarchy({"a": Node("a", ("a",))})


def test_json_there_and_back(tree):
    document = json.loads(json.dumps(tree.to_json()))
    assert Hierarchy.from_json(document).nodes == tree.nodes
    assert document["nodes"]["chimera"] == {"name": "Chimera", "hypernyms": ["dog", "cat"]}
    assert Hierarchy.from_json({"source": "me", "nodes": {"dog": {}}})["dog"] == Node("dog")


@pytest.mark.parametrize("document", [{}, [], {"nodes": []}, {"nodes": {"dog": ["animal"]}},
                                      {"nodes": {"dog": {"hypernyms": "animal"}}}])
def test_other_documents_are_refused(document):
    with pytest.raises(ValueError, match="the document is no hierarchy"):
        Hierarchy.from_json(document)


def test_it_never_changes(tree):
    with pytest.raises(TypeError):
        tree.nodes["wolf"] = Node("wolf")
