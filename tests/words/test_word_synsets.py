"""The synsets of the labels, vectors of synsets, and what a strict figure hides."""

from importlib.resources import files

import numpy as np
import pytest

from devise.backbones import imagenet
from devise.words import (
    Synset,
    Taxonomy,
    WordVectors,
    label_synsets,
    shipped_taxonomy,
    strict_mask,
    synset_vectors,
)

CLASSES = imagenet.identities()


def hidden(label):
    """Names of the ImageNet classes that a strict figure hides for a label."""
    return {imagenet.class_names()[row] for row in np.flatnonzero(strict_mask(label, CLASSES))}


def test_every_label_is_a_word_of_its_synset():
    kinds = shipped_taxonomy()
    for label, entry in label_synsets().items():
        assert label in {lemma.lower() for lemma in kinds[entry.synset].lemmas}
    text = files("devise.words").joinpath("label_synsets.tsv").read_text("utf-8")
    for row in text.splitlines()[1:]:
        _label, synset, kind, *_ = row.split("\t")
        assert kind in {kinds[hypernym].name for hypernym in kinds[synset].hypernyms}


def test_sixty_labels():
    assert len(label_synsets()) == len({entry.synset for entry in label_synsets().values()}) == 60


def test_lookalikes_are_classes_that_the_synset_does_not_hide():
    for entry in label_synsets().values():
        assert set(entry.lookalikes) <= set(CLASSES)
        assert not shipped_taxonomy().masked(entry.synset, entry.lookalikes).any()


def test_what_a_strict_figure_hides():
    assert hidden("elephant") == {"Indian elephant", "African elephant"}
    assert hidden("crab") == {"Dungeness crab", "rock crab", "fiddler crab", "king crab"}
    assert hidden("flamingo") == {"flamingo"}
    assert hidden("kangaroo") == {"wallaby"}
    assert hidden("helicopter") == hidden("hedgehog") == hidden("cup") == set()


def test_a_wider_label_hides_more_and_a_narrower_class_name_nothing():
    assert strict_mask("dog", CLASSES, synsets="n02084071").sum() == 118  # the figure is ImageNet's own
    assert not strict_mask("okapi", CLASSES).any()  # a kind of giraffe, which is no class


def test_a_wide_mask_hides_lookalikes_and_classes_with_the_word_in_a_lemma():
    names = np.array(imagenet.class_names())
    assert "coffee mug" in names[strict_mask("cup", CLASSES, wide=True)]
    assert "hermit crab" in names[strict_mask("crab", CLASSES, wide=True)]
    assert "crayfish" not in names[strict_mask("ray", CLASSES, wide=True)]  # whole words
    some = [CLASSES[row] for row in (5, 0, 9)]  # of any classes, in their order
    assert strict_mask("tench", some).tolist() == [False, True, False]
    with pytest.raises(KeyError, match="'walked' is no noun"):
        strict_mask("walked", CLASSES)


def test_a_synset_is_the_mean_of_its_lemmas_and_a_lemma_of_its_known_words():
    words = WordVectors(["great", "shark", "hot_dog", "none"], [[3.0, 0], [0, 2], [-1, 1], [0, 0]])
    kinds = Taxonomy({"s": Synset(("great white Shark", "shark")), "h": Synset(("hot dog",)), "n": Synset(("none",))})
    shark = np.array([1, 1]) / 2 ** 0.5 + [0, 1]
    expected = [shark / np.linalg.norm(shark), np.array([-1, 1]) / 2 ** 0.5, [0, 0]]
    vectors = synset_vectors(["s", "h", "n"], words, kinds)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
