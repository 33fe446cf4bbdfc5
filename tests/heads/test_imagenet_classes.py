"""ImageNet's classes among the words, and the masks of a strict reading, by hand."""

import numpy as np
import pytest

from devise.backbones import imagenet
from devise.words import WordVectors, strict_mask, synset_vectors

NAMES, CLASSES = imagenet.class_names(), imagenet.identities()
WORDS = WordVectors(["fish", "great", "white", "shark", "hen", "mail", "car", "t-shirt", "tench"],
                    np.random.default_rng(6).normal(size=(9, 4)), name="small")


def unit(vector):
    return vector / np.sqrt((vector ** 2).sum())


def hidden(label, **options):
    return {NAMES[row] for row in np.flatnonzero(strict_mask(label, CLASSES, **options))}


def test_a_class_is_the_mean_of_its_lemmas_and_a_lemma_of_its_words():
    def word(name):
        return unit(WORDS.vector(name).astype(np.float64))

    vectors = synset_vectors(CLASSES, WORDS)
    assert vectors.shape == (1000, 4) and vectors.dtype == np.float32
    # great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias
    lemmas = [unit(word("great") + word("white") + word("shark")), unit(word("white") + word("shark")),
              word("shark")]
    shark = vectors[NAMES.index("great white shark")]
    np.testing.assert_allclose(shark, unit(sum(lemmas)), atol=1e-6)
    np.testing.assert_allclose(vectors[NAMES.index("hen")], word("hen"), atol=1e-6)
    # jersey, T-shirt, tee shirt: the last has no known word
    np.testing.assert_allclose(vectors[NAMES.index("jersey")], word("t-shirt"), atol=1e-6)
    assert not vectors[NAMES.index("accordion")].any()


@pytest.mark.parametrize(("label", "narrow", "more"), [
    ("elephant", {"Indian elephant", "African elephant"}, {"tusker"}),
    ("rooster", set(), {"cock"}),
    ("flamingo", {"flamingo"}, set()),
    ("kangaroo", {"wallaby"}, {"koala"}),  # which is a "kangaroo bear" too
    ("helicopter", set(), set()),
])
def test_what_a_strict_figure_hides(label, narrow, more):
    assert hidden(label) == narrow
    assert hidden(label, wide=True) == narrow | more


def test_a_wide_mask_hides_classes_with_the_word_in_a_name():
    added = hidden("crab", wide=True) - hidden("crab")
    assert "hermit crab" in added
    assert "coffee mug" in hidden("cup", wide=True) - hidden("cup")
    assert "crayfish" not in hidden("ray", wide=True)  # whole words
    assert hidden("dog") < hidden("dog", wide=True)  # a beagle has no dog in its name


def test_every_class_hides_itself():
    for row in range(0, 1000, 37):
        identity, name = imagenet.classes()[row]
        assert strict_mask(name, CLASSES, synsets=identity)[row]
        assert strict_mask(name, CLASSES, synsets=[identity], wide=True)[row]


def test_other_nouns_hide_the_classes_of_all_their_senses():
    both = hidden("crane")  # a bird and a machine
    assert both == {"crane"} and strict_mask("crane", CLASSES).sum() == 2
    assert len(hidden("dog")) >= 118  # all dogs, and a hot dog by another sense
    with pytest.raises(KeyError, match="'walked' is no noun"):
        strict_mask("walked", CLASSES)
