"""The facts in the package against WordNet itself, where it is installed, and against each other."""

import json
from importlib.resources import files

import numpy as np
import pytest

from devise.backbones import imagenet
from devise.words.hierarchy import Hierarchy
from devise.words.synsets import imagenet_hierarchy, imagenet_tree, label_synsets, write_hierarchy
from devise.words.wordnet import WordNet

CLASSES = [identity for identity, _name in imagenet.classes()]
FILE = files("devise.words").joinpath("hierarchy.json")


@pytest.fixture(scope="module")
def wordnet():
    try:
        return WordNet.open()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def hidden(label):
    """Names of the ImageNet classes that a strict figure hides for a label."""
    mask = imagenet_hierarchy().masked(label_synsets()[label].synset, CLASSES)
    return {imagenet.class_names()[row] for row in np.flatnonzero(mask)}


def test_the_files_are_what_wordnet_says(wordnet, tmp_path):
    synsets = [*CLASSES, *(entry.synset for entry in label_synsets().values())]
    write_hierarchy(wordnet, synsets, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text("utf-8") == FILE.read_text("utf-8")


def test_every_label_is_a_word_of_its_synset(wordnet):
    for label, entry in label_synsets().items():
        assert label in {lemma.lower() for lemma in wordnet[entry.synset].lemmas}
    text = files("devise.words").joinpath("label_synsets.tsv").read_text("utf-8")
    for row in text.splitlines()[1:]:
        _label, synset, kind, *_ = row.split("\t")
        assert kind in {wordnet[hypernym].lemmas[0] for hypernym in wordnet[synset].hypernyms}


def test_sixty_labels():
    assert len(label_synsets()) == 60
    assert len({entry.synset for entry in label_synsets().values()}) == 60


def test_lookalikes_are_classes_that_the_synset_does_not_hide():
    for entry in label_synsets().values():
        assert set(entry.lookalikes) <= set(CLASSES)
        assert not imagenet_hierarchy().masked(entry.synset, entry.lookalikes).any()


def test_the_hierarchy_holds_classes_and_labels_below_one_root():
    hierarchy = imagenet_hierarchy()
    labels = CLASSES + [entry.synset for entry in label_synsets().values()]
    assert all("n00001740" in hierarchy.ancestors(label) for label in labels)  # entity
    assert "Princeton University" in json.loads(FILE.read_text("utf-8"))["licence"]
    assert len(FILE.read_bytes()) < 400_000


def test_what_a_strict_figure_hides():
    assert hidden("elephant") == {"Indian elephant", "African elephant"}
    assert hidden("crab") == {"Dungeness crab", "rock crab", "fiddler crab", "king crab"}
    assert hidden("flamingo") == {"flamingo"}
    assert hidden("kangaroo") == {"wallaby"}
    assert hidden("helicopter") == hidden("hedgehog") == hidden("cup") == set()


def test_a_wider_label_hides_more_and_a_narrower_class_name_nothing():
    hierarchy = imagenet_hierarchy()
    assert hierarchy.masked("n02084071", CLASSES).sum() == 118  # dog; the figure is ImageNet's own
    okapi = label_synsets()["okapi"].synset  # a kind of giraffe, which is no class
    assert not hierarchy.masked(okapi, CLASSES).any()


def test_only_version_3_is_written(wordnet, tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "version", "3.1")
    with pytest.raises(ValueError, match="this is WordNet 3.1: expected 3.0"):
        write_hierarchy(wordnet, CLASSES[:1], tmp_path / "other.json")
    assert not list(tmp_path.iterdir())


def test_the_chance_row_of_the_paper_is_near():
    """Set sizes behind it: 7, 13, 22 and 42 of 1,000 labels (Frome et al. 2013, Table 1)."""
    distances = imagenet_tree(imagenet_hierarchy(), CLASSES).distances(CLASSES)
    ranked = np.sort(distances, axis=1)
    sizes = [(distances <= ranked[:, [k - 1]]).sum(axis=1).mean() for k in (2, 5, 10, 20)]
    np.testing.assert_allclose(sizes, [7, 13, 22, 42], rtol=0.15)


def test_the_tree_hangs_what_is_in_no_branch_below_misc():
    tree = imagenet_tree(imagenet_hierarchy(), CLASSES)
    named = {tree[identity].name: identity for identity in CLASSES}
    assert tree.distance(named["ice cream"], named["street sign"]) == 2
    assert "misc" not in tree.ancestors(named["tench"])
    assert {"imagenet", "n00015388"} <= tree.ancestors(named["tench"])  # an animal


def test_two_hops_from_the_classes(wordnet):
    """Which of ImageNet's 21,841 labels are near is not known here: that none of the classes is, is."""
    everything = Hierarchy.from_wordnet(wordnet)
    near, nearer = everything.hops(CLASSES, 3), everything.hops(CLASSES, 2)
    assert nearer < near and not near & set(CLASSES)
    parents = {hypernym for identity in CLASSES for hypernym in wordnet[identity].hypernyms}
    children = {hyponym for identity in CLASSES for hyponym in wordnet[identity].hyponyms}
    assert nearer == (parents | children) - set(CLASSES)
