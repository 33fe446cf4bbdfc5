"""What a model with a text side finds in everyday photographs and among objects, and the thresholds of its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devise.arrays import top_k
from devise.backbones import imagenet
from devise.evaluation.captions import text_retrieval
from devise.features import FeatureTable
from devise.metrics import hit_at_k, precision_at_k, precision_ceiling
from devise.model import Devise, naming
from devise.model.concept_text import FLOOR
from devise.model.concepts import STOP, WORD, singular
from devise.recipes.pretrained.making import Lesson
from devise.words import Taxonomy, label_synsets, taxonomy_for

SAID = 2  # captions of five with a word, for a picture to show it
FEWEST = 8  # pictures that show a word, for it to be asked
FIRST = 800  # pictures of a part that are tagged
BESIDE = 600  # everyday pictures beside ImageNet's
RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1)
SCENES = ("beach mountain street forest river lake city snow park field desert ocean pool woods sidewalk road stadium "
          "building playground bridge").split()
NO_THINGS = set("""front background side back top way one two three other group large small young middle something left
    right next air outside black white red blue yellow green orange brown pink gray purple light dark look run walk jump
    play stand sit ride smile hand""".split())


class Words(NamedTuple):
    """Words that are asked of a part of the everyday pictures.

    Attributes:
        words: (w,).
        shown: bool (w, n), whether two of a picture's captions or more have the word.
        said: bool (w, n), whether one has it.
    """

    words: list[str]
    shown: NDArray[np.bool_]
    said: NDArray[np.bool_]


def tokens_of(captions: Sequence[Sequence[str]], nouns) -> list[list[list[str]]]:
    """Of each image the words of its captions, plurals as singulars."""
    return [[[singular(token, nouns) for token in WORD.findall(text.lower())] for text in each] for each in captions]


def times_said(name: str, told: list[list[str]]) -> int:
    """How many of an image's captions have a name of one or more words."""
    parts = name.split()
    return sum(any(tokens[place:place + len(parts)] == parts for place in range(len(tokens))) for tokens in told)


def everyday_words(captions: Sequence[Sequence[str]], taxonomy: Taxonomy, only: Iterable[str] | None = None) -> Words:
    """The nouns that captions say of eight pictures or more, twice of each, no colours or acts; or those of `only`."""
    told = tokens_of(captions, taxonomy.senses)
    unwanted = STOP | NO_THINGS
    counts: Counter = Counter()
    for each in told:
        said = Counter(term for tokens in each for term in {*tokens, *map(" ".join, zip(tokens, tokens[1:],
                                                                                        strict=False))})
        counts.update(term for term, n in said.items() if n >= SAID)
    words = sorted(word for word, n in counts.items() if n >= FEWEST and len(word) > 2 and word not in unwanted
                   and taxonomy.senses.get(word)) if only is None else list(only)
    times = np.array([[times_said(word, each) for each in told] for word in words])
    return Words(words, times >= SAID, times >= 1)


def precision_at_10(scores: NDArray, shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Precision at 10 of each text, (w,), by its scores (w, n) with pictures that show it or don't, bool (w, n)."""
    return precision_at_k(np.take_along_axis(shown, top_k(scores, 10)[0], axis=1), 10)


def rightly_tagged(model: Devise, rows: NDArray[np.float32], labels: Iterable[str]) -> NDArray[np.bool_]:
    """Whether a usual name of its class is among ten tags of each embedded picture, bool (n,)."""
    return np.array([bool({tag.name for tag in tags} & usual_names(label))
                     for tags, label in zip(naming(model, space="shared").tag(rows, 10), labels, strict=True)])


def word_precision(model: Devise, asked: Words, features: NDArray[np.float32]) -> dict[str, float]:
    """Precision at 10 of words, its ceiling, and how many were asked."""
    space = model.spaces["shared"]
    scores = space.embed_text(asked.words) @ space.embed(features).T
    return {"P@10": float(precision_at_10(scores, asked.shown).mean()),
            "ceiling": float(precision_ceiling(asked.shown.sum(axis=1), 10).mean()), "words": len(asked.words)}


def sentence_recall(model: Devise, part: Lesson) -> dict[str, float]:
    """Recall at 1 and 10 of sentences and pictures."""
    space = model.spaces["shared"]
    assert space.text is not None
    texts = space.text.embed_known([text for each in part.captions for text in each])
    owners = np.repeat(np.arange(len(part.captions)), [*map(len, part.captions)])
    means = text_retrieval(space.embed(part.features) @ texts.T, owners, (1, 10)).means()
    return {**means, "sentences": len(texts)}


def class_precision(model: Devise, table: FeatureTable, names: Sequence[str]) -> dict[str, float]:
    """Precision at 10 of some class names among the pictures of these classes, and the exact tag among ten."""
    rows, labels = _of(table, names)
    space = model.spaces["shared"]
    shown = labels == np.array(names)[:, None]
    embedded = space.embed(rows)
    tagged = rightly_tagged(model, embedded, labels)
    return {"P@10": float(precision_at_10(space.embed_text(list(names)) @ embedded.T, shown).mean()),
            "exact tag in 10": float(np.mean([tagged[labels == name].mean() for name in names])),
            "classes": len(names), "pictures": len(labels)}


def usual_names(label: str) -> set[str]:
    """A class's name, and the words for its synset and for the classes of ImageNet that look the same."""
    entry = label_synsets().get(label)
    if entry is None:
        return {label}
    taxonomy = taxonomy_for(synsets=[entry.synset])
    return {label, *(lemma.lower() for identity in (entry.synset, *entry.lookalikes)
                     for lemma in taxonomy[identity].lemmas)}


def imagenet_names(model: Devise, table: FeatureTable, beside: NDArray[np.float32]) -> dict[str, float]:
    """How many of ImageNet's pictures come first, and among ten, for the name of their class.

    Args:
        table: a picture a class, whose file names end in the class's name: n01514668_cock.JPEG.
        beside: features of everyday pictures.
    """
    identities = imagenet.identities()
    names = [imagenet.class_names()[identities.index(path.rpartition("/")[2].partition("_")[0])].lower()
             for path in table.images.paths]
    space = model.spaces["shared"]
    scores = space.embed_text(names) @ space.embed(np.concatenate([np.asarray(table.matrix, np.float32), beside])).T
    right = top_k(scores, 10)[0] == np.arange(len(names))[:, None]
    return {"first": float(hit_at_k(right, 1).mean()), "among 10": float(hit_at_k(right, 10).mean()),
            "pictures": scores.shape[1]}


def everyday_tags(model: Devise, part: Lesson, taxonomy: Taxonomy) -> dict[str, float]:
    """Whether two captions have one of the first five tags of a picture, and the share of such tags."""
    _, right, weak = _first_five(model, part, taxonomy, SAID)
    kept = right[~weak]
    return {"any right of 5": float(right.any(axis=1).mean()), "right": float(right.mean()),
            "right of those not weak": float(kept.mean()), "not weak": float((~weak).mean()), "pictures": len(right)}


def limits(model: Devise, part: Lesson, asked: Words, objects: FeatureTable) -> dict[str, NDArray]:
    """Thresholds of texts by false-accept rate, from everyday words and from names of objects, half and half.

    A picture counts as one without the thing where no caption has the word, or where its label is another.
    The scores are cosines above the mean over the background, in its standard deviations.
    """
    names = list(objects.images.label_names)
    rows, labels = _of(objects, names)
    wrong = [_deviations(model, asked.words, part.features)[~asked.said],
             _deviations(model, names, rows)[labels != np.array(names)[:, None]]]
    n, random = min(map(len, wrong)), np.random.default_rng(0)
    scores = np.concatenate([random.choice(each, n, replace=False) for each in wrong])
    return {"rates": np.array(RATES), "limits": np.quantile(scores, [1 - rate for rate in RATES])}


def tag_limit(model: Devise, part: Lesson, taxonomy: Taxonomy, false_accept_rate: float) -> NDArray[np.float32]:
    """The score that a share of those of the first five tags reach that no caption has, float32 (1,)."""
    scores, said, _ = _first_five(model, part, taxonomy, 1)
    return np.quantile(scores[~said], [1 - false_accept_rate]).astype(np.float32)


def weak_answers(model: Devise, part: Lesson, asked: Words) -> dict[str, float]:
    """At two false-accept rates the share of pictures without a word that pass, and of those that show it."""
    space = model.spaces["shared"]
    found: dict[str, float] = {}
    assert space.text is not None
    rows = space.embed_text(asked.words)
    scores = rows @ space.embed(part.features).T
    for rate in (0.01, 0.05):
        thresholds = space.text.thresholds(rows, rate)
        assert thresholds is not None
        passed = scores >= thresholds[:, None]
        found |= {f"wrong let through at {rate:g}": float(passed[~asked.said].mean()),
                  f"right kept at {rate:g}": float(passed[asked.shown].mean())}
    return found


def _deviations(model, texts, features):
    space = model.spaces["shared"]
    rows, background = space.embed_text(texts), space.text.background
    usual = rows @ background.T
    return ((rows @ space.embed(features).T - usual.mean(axis=1, keepdims=True))
            / np.sqrt(usual.var(axis=1, keepdims=True) + FLOOR))


def _first_five(model, part, taxonomy, times):
    """Of the first five tags of each picture the scores, whether so many captions have them, whether they are weak."""
    told = tokens_of(part.captions[:FIRST], taxonomy.senses)
    tagged = naming(model, space="shared").tag(model.spaces["shared"].embed(part.features[:FIRST]), 5)
    scores = np.array([[tag.score for tag in tags] for tags in tagged])
    weak = np.array([[tag.weak for tag in tags] for tags in tagged])
    right = np.array([[times_said(tag.name, each) >= times for tag in tags]
                      for tags, each in zip(tagged, told, strict=True)])
    return scores, right, weak


def _of(table: FeatureTable, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray]:
    """(features, labels by name) of the pictures of some classes."""
    labels = np.array([table.images.label_of(row) for row in range(len(table))])
    rows = np.flatnonzero(np.isin(labels, names))
    return np.asarray(table.matrix[rows], np.float32), labels[rows]
