"""Queries that add and subtract: from one picture to another by the words that its captions have and lack."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.metrics import spread
from devise.model import changed
from devise.model.arithmetic import FORCE, LESS
from devise.report import Table

SAID = 3  # captions of a picture that have a telling word
NEAR, WORDS = 5, 2


class Change(NamedTuple):
    """Ask with a picture for another, in words: both are places among the test pictures."""

    query: int
    target: int
    plus: tuple[str, ...]
    minus: tuple[str, ...]


class Speaker:
    """What `changed` asks of a model: the words of a world's joint space."""

    def __init__(self, world, joint):
        self._texts, self._joint = world.texts, joint

    def embed_text(self, texts, space=None):
        return self._joint.embed_text(self._texts.embed(texts))


def changes(world):
    """Each test picture with those five that its captions are nearest to, where words tell the two apart.

    A word is added that three captions or more of the target have and none of the query, and taken
    away the other way round; two words at most, the most frequent first.

    Returns:
        list of Change.
    """
    told = [_said(world, captions) for captions in world.captions]
    truth = world.tfidf(world.captions)
    np.fill_diagonal(truth, -1)
    found = []
    for query, order in enumerate(np.argsort(-truth, axis=1, kind="stable")[:, :NEAR]):
        for target in order.tolist():
            plus, minus = _only(told[target], told[query]), _only(told[query], told[target])
            if plus:
                found.append(Change(query, target, plus, minus))
    return found


def change_table(world, joints, asked):
    """How often the picture that the words ask for is found, a row a way of asking; None without questions."""
    if not asked:
        return None
    runs = [_recalls(world, joint, asked) for joint in joints]
    rows = {how: {column: spread([run[how][column] for run in runs]) for column in runs[0][how]} for how in runs[0]}
    text = (f"Picture + words − words (weights {FORCE:g} and {FORCE * LESS:g}) in the joint space: {len(asked):,} "
            f"questions, from a test picture to one of the {NEAR} whose captions are most like its own, by up to "
            f"{WORDS} words that {SAID} captions or more of one have and none of the other. Recall@k in %: is the "
            f"picture asked for among the first k of {len(world.captions) - 1}; mean, ± standard deviation over the "
            "seeds.")
    return Table.by_name("asked by", rows, caption=text)


def answers(world, joint, change, k):
    """The first k answers to a question, best first: [(place among the test pictures, cosine)]."""
    rows = joint.head.embed(world.features)
    scores = rows @ changed(Speaker(world, joint), rows[[change.query]], plus=change.plus, minus=change.minus)[0]
    scores[change.query] = -np.inf
    return [(int(place), float(scores[place])) for place in np.argsort(-scores, kind="stable")[:k]]


def _recalls(world, joint, asked):
    rows, speaker = joint.head.embed(world.features), Speaker(world, joint)
    ranks = {"the picture alone": [], "the words alone": [], "picture + words": [], "picture + words − words": []}
    for query, target, plus, minus in asked:
        mine = rows[[query]]
        for how, vector in zip(ranks, (mine, unit_rows(speaker.embed_text(plus).sum(axis=0, keepdims=True)),
                                       changed(speaker, mine, plus=plus),
                                       changed(speaker, mine, plus=plus, minus=minus)), strict=True):
            scores = rows @ vector[0]
            scores[query] = -np.inf
            ranks[how].append((scores > scores[target]).sum())
    return {how: {f"recall@{k}": float(np.mean(np.array(found) < k)) for k in (1, 5, 10)}
            for how, found in ranks.items()}


def _said(world, captions):
    """How many captions have each term."""
    found = Counter(term for text in captions for term in set(world.lesson.terms.cut(text)))
    known = world.texts.known(list(found))
    return Counter({term: n for (term, n), kept in zip(found.items(), known, strict=True) if kept})


def _only(mine, theirs):
    return tuple(term for term, n in sorted(mine.items(), key=lambda item: (-item[1], item[0]))
                 if n >= SAID and term not in theirs)[:WORDS]
