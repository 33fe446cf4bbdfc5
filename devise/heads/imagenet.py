"""ImageNet's 1,000 classes among the words: their label vectors, and which of them name a label."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from devise.backbones import imagenet
from devise.words import imagenet_hierarchy, label_synsets, nouns_of, shipped_nouns
from devise.words.phrases import SEPARATORS, direction, pooled, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words import WordVectors


def imagenet_vectors(words: WordVectors) -> NDArray[np.float32]:
    """A label vector for each ImageNet class: the unit mean of the vectors of its WordNet lemmas.

    A lemma is a phrase (`devise.words.phrase_vector`); of one with unknown words those that are known.

    Args:
        words: WordVectors.
    Returns:
        float32 (1000, dim), in the order of the classes; unit rows, zero where no lemma has a vector.

    >>> from devise.words import open_words
    >>> imagenet_vectors(open_words("glove-6b-50d")).shape  # doctest: +SKIP
    (1000, 50)
    """
    hierarchy = imagenet_hierarchy()
    vectors = np.zeros((len(imagenet.classes()), words.dim), np.float32)
    for row, (identity, _name) in enumerate(imagenet.classes()):
        known = [vector for lemma in _lemmas(hierarchy[identity])
                 if (vector := pooled(resolve(lemma, words).words, words)) is not None]
        if known and (mean := direction(np.sum(known, axis=0))) is not None:
            vectors[row] = mean
    return vectors


def strict_mask(label: str, *, synsets: str | Collection[str] | None = None, wide: bool = False) -> NDArray[np.bool_]:
    """Which ImageNet classes name a label: a strict zero-shot figure must not use them.

    Args:
        label: a word or a phrase.
        synsets: the identities it stands for; by default the one of `devise.words.label_synsets`,
            for other words all noun senses.
        wide: also the classes that look the same by that table, and every class with the label
            among the words of its name or lemmas: cock for rooster, coffee mug for cup.
    Returns:
        bool (1000,), true for a class that is one of the synsets or a kind of one, and so masked.
    Raises:
        KeyError: if the label is no noun that is known, and no synsets are given.

    >>> [imagenet.class_names()[row] for row in np.flatnonzero(strict_mask("elephant", wide=True))]
    ['tusker', 'Indian elephant', 'African elephant']
    """
    hierarchy, classes = imagenet_hierarchy(), [identity for identity, _name in imagenet.classes()]
    entry = label_synsets().get(label)
    if synsets is None:
        synsets = (entry.synset,) if entry else nouns_of([label]).identities(label)
        if not synsets:
            raise KeyError(f"{label!r} is no noun among the {len(shipped_nouns().senses):,} words in the "
                           "package: name its synsets, or install WordNet")
    synsets = {synsets} if isinstance(synsets, str) else set(synsets)
    # what the hierarchy lacks has no class below it
    mask = hierarchy.masked(synsets & hierarchy.nodes.keys(), classes)
    if wide:
        lookalikes = entry.lookalikes if entry else ()
        named = [identity in lookalikes or _is_named(label, (name, *_lemmas(hierarchy[identity])))
                 for identity, name in imagenet.classes()]
        mask |= np.array(named)
    return mask


def _lemmas(node):
    return node.name, *node.synonyms


def _is_named(label, names):
    """Whether the words of a label stand side by side in one of the names."""
    return any(f" {_spaced(label)} " in f" {_spaced(name)} " for name in names)


def _spaced(text):
    return " ".join(SEPARATORS.split(text.lower().replace("'s", "").strip()))
