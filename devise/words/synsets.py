"""Labels and classes in WordNet: the synset of a label, the vector of a synset, the classes that name a label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.words.phrases import SEPARATORS, as_texts, direction, pooled, resolve
from devise.words.taxonomy import Taxonomy, shipped_taxonomy, taxonomy_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.words.vectors import WordVectors


class LabelSynset(NamedTuple):
    """The synset that a label stands for.

    Attributes:
        synset: its identity in WordNet 3.0.
        lookalikes: ImageNet classes whose images show the same though WordNet has them elsewhere:
            ImageNet's "cup" is a punch there, its "cock" no rooster, its "tusker" no elephant.

    >>> LabelSynset("n02503517", ("n01871265",)).synset
    'n02503517'
    """

    synset: str
    lookalikes: tuple[str, ...]


@cache
def label_synsets() -> dict[str, LabelSynset]:
    """The synset of each of 60 labels of Caltech-101, chosen by hand from images and glosses.

    The 37 of the bundled set come first. A strict figure that hides a label's synset and its
    kinds alone still lets the network see an elephant as "tusker": hide the lookalikes too.

    >>> label_synsets()["crab"]
    LabelSynset(synset='n01976957', lookalikes=('n01986214',))
    """
    text = files("devise.words").joinpath("label_synsets.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return {label: LabelSynset(synset, tuple(" ".join(rest).split())) for label, synset, _kind, *rest in rows}


def synset_vectors(synsets: str | Sequence[str], words: WordVectors, taxonomy: Taxonomy | None = None
                   ) -> NDArray[np.float32]:
    """A vector for each synset: the unit mean of those of its lemmas.

    A lemma is a phrase (`phrase_vector`), parted at hyphens; of one with unknown words those that are known.

    Args:
        synsets: n identities, such as those of ImageNet's classes.
        taxonomy: that holds them; None takes `taxonomy_for` them.
    Returns:
        float32 (n, dim), unit rows; zero where no lemma has a word with a vector.

    >>> from devise.words import WordVectors
    >>> synset_vectors(["n02123045"], WordVectors(["tabby", "cat"], [[1, 0], [0, 1]])).shape
    (1, 2)
    """
    synsets = as_texts(synsets)
    taxonomy = taxonomy_for(synsets=synsets) if taxonomy is None else taxonomy
    vectors = np.zeros((len(synsets), words.dim), np.float32)
    for row, identity in enumerate(synsets):
        known = [vector for lemma in taxonomy[identity].lemmas
                 if (vector := pooled(resolve(lemma.replace("-", " "), words).words, words)) is not None]
        if known and (mean := direction(np.sum(known, axis=0))) is not None:
            vectors[row] = mean
    return vectors


def strict_mask(label: str, classes: Sequence[str], *, synsets: str | Iterable[str] | None = None,
                wide: bool = False) -> NDArray[np.bool_]:
    """Which classes of a network name a label: a strict zero-shot figure must not use them.

    Args:
        label: a word or a phrase.
        classes: C identities, such as those of ImageNet's classes.
        synsets: the identities it stands for; by default the one of `label_synsets`, for other words
            all noun senses.
        wide: also the classes that look the same by that table, and every class with the label
            among the words of its lemmas: cock for rooster, coffee mug for cup.
    Returns:
        bool (C,), true for a class that is one of the synsets or a kind of one, and so masked.
    Raises:
        KeyError: if the label is no noun that is known, and no synsets are given.

    >>> strict_mask("elephant", ["n02504013", "n02123045"])  # an Indian elephant, a tabby
    array([ True, False])
    """
    entry = label_synsets().get(label)
    if synsets is None:
        synsets = (entry.synset,) if entry else taxonomy_for([label]).senses_of(label)
        if not synsets:
            raise KeyError(f"{label!r} is no noun among the {len(shipped_taxonomy().senses):,} words in the "
                           "package: name its synsets, or install WordNet")
    taxonomy = taxonomy_for(synsets=classes)
    synsets = {synsets} if isinstance(synsets, str) else set(synsets)
    mask = taxonomy.masked(synsets & taxonomy.synsets.keys(), classes)  # what it lacks has no class below it
    if wide:
        lookalikes, own = entry.lookalikes if entry else (), f" {_spaced(label)} "
        mask |= np.array([identity in lookalikes or any(own in f" {_spaced(lemma)} "
                                                        for lemma in taxonomy[identity].lemmas)
                          for identity in classes])
    return mask


def _spaced(text):
    return " ".join(SEPARATORS.split(text.lower().replace("'s", "").strip()))
