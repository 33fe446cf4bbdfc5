"""The rules that the zero-shot recipe puts side by side, made for one draw of unseen classes.

Whatever a rule lets one choose is chosen for each draw anew, on classes held out of its seen ones.
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.heads import ALE, ESZSL, SAE, ConseHead, RidgeHead
from devise.recipes.trial.world import other_system
from devise.zeroshot import (
    CSLS,
    Lift,
    NearestLabel,
    Rule,
    Stacking,
    choose_gamma,
    choose_options,
    class_folds,
    kernel,
    onto,
)

K = 10  # an exact tag is one among so many
CONSE = (1, 10, 1000)
PENALTIES = (0.01, 0.1, 1.0, 10.0)
LIFTS = tuple((a, b) for a in (2.5, 5.0) for b in (0.25, 0.5, 1.0))
TRAINED = ("MLP head", "ALE")  # by steps from a random start or in a random order: these have seeds
TRAINING = {"epochs": 20, "batch_size": 128, "learning_rate": 0.04}
HEAD = (500,)
SAMPLE = 20  # pictures of a seen class that γ is chosen on
FEW = 10  # pictures of a class that stand for it, where many fits or the many words make it costly
GROUP = 5  # labels hidden together where Lift's options are chosen, as many as a draw hides


class Contender(NamedTuple):
    """A rule that is ready for any candidates.

    Attributes:
        x: what the rule takes, a row for each picture of the world.
        onto: callable (which, reading) → Rule over the world's "labels" or "words".
        reads: whether the reading matters: whether it names pictures by ImageNet's classes.
        names_words: whether it has vectors for "words".
    """

    x: np.ndarray
    onto: object
    reads: bool = False
    names_words: bool = True

    def scores(self, rows, reading="open"):
        """The scores of all labels for some pictures, float32 (n, C); those a rule leaves out come last, alike."""
        scores = self.onto("labels", reading).scores(self.x[rows])
        known = np.where(np.isneginf(scores), np.inf, scores)
        return np.where(np.isneginf(scores), known.min(axis=1, keepdims=True) - 1, scores)

    def finds(self, rows, answers, reading="open"):
        """Whether each picture's right word is among its first 10, bool (n,)."""
        ids = self.onto("words", reading).tag(self.x[rows], K).ids
        return (ids == answers[:, None]).any(axis=1)


def contenders(world, draw, *, lifts, training=TRAINING, head=HEAD, seed=0):
    """The rules and their controls, fitted to the seen classes of a draw.

    Args:
        lifts: what `lift_table` gave.
        training: options of `devise.training.train` for the head and the classifier.
        head: hidden layers of the head.
    Returns:
        ({name: Contender}, {what was chosen: value}).
    """
    x, y = world.features[draw.train], world.labels[draw.train]
    methods, chosen = _chosen(world, draw)
    fitted = {name: method().fit(x, y, world.vectors, seed=seed) for name, method in methods.items()}
    found = {name: _projected(world, fit) for name, fit in fitted.items()}
    found["ALE"] = _ale(world, draw, seed)
    found["MLP head"] = _head(world, draw, training, head, seed)
    for name in ("Ridge", "ESZSL"):
        gamma = chosen[f"γ, {name} stacked"] = _gamma(world, draw, methods[name])
        found[f"{name}, stacked"] = _stacked(world, draw, found[name], gamma)
    found["Ridge, CSLS"] = _csls(world, draw, found["Ridge"])
    for top in CONSE:
        found[f"ConSE({top})"] = _conse(world, draw, top)
    a, b = chosen["Lift, a and b"] = _choose_lift(world, draw, lifts)
    found["Lift"] = _lift(world, draw, a, b)
    found["random vectors"] = _random(world, draw, methods["Ridge"], seed)
    found["softmax, seen classes"] = _softmax(world, draw, training, seed)
    return found, chosen


def trained(world, draw, seed, *, training=TRAINING, head=HEAD):
    """The rules of TRAINED alone, from another seed."""
    return {"MLP head": _head(world, draw, training, head, seed), "ALE": _ale(world, draw, seed)}


def lift_table(world):
    """How often each pair of Lift's options finds the right word, for every class, by pictures of it.

    Returns:
        float64 (options, C): the mean of the open and the wide reading; a draw looks at the columns
        of its seen classes alone. Classes are hidden GROUP at a time.
    """
    rows = world.few(np.flatnonzero(world.labels >= 0), FEW)
    groups = np.array_split(np.arange(len(world.vectors)), -(-len(world.vectors) // GROUP))
    table = np.zeros((len(LIFTS), len(world.vectors)))
    for number, (a, b) in enumerate(LIFTS):
        near = kernel(world.classes, world.candidates("words"), world.steps, a=a, b=b)
        for reading in ("open", "wide"):
            for group in [np.arange(len(world.vectors))] if reading == "open" else groups:
                mine = rows[np.isin(world.labels[rows], group)]
                tagger = Contender(world.logits, partial(_lift_onto, near, world.hidden(reading, group)))
                found = tagger.finds(mine, world.words.answers[world.labels[mine]])
                for label in np.unique(world.labels[mine]):
                    table[number, label] += found[world.labels[mine] == label].mean() / 2
    return table


def others(world, paths, beside):
    """Other systems, compared by cosine.

    Args:
        paths: of the world's pictures.
        beside: (name, file) pairs, as `other_system` reads them.
    Returns:
        ({name: Contender}, notes).
    """
    found, notes = {}, []
    for name, file in beside:
        pictures, words, lacking = other_system(file, paths, world)
        found[name] = _other(unit_rows(pictures, "pictures"), words)
        notes.append(f"{name}: another system's embeddings, from {Path(file).name}; what it had seen is not known "
                     "here, and nothing is hidden from it.")
        if lacking:
            notes.append(f"{name} has no embedding for {lacking:,} of the {len(world.words):,} words: no exact tags.")
    return found, notes


def _other(pictures, words):
    return Contender(pictures, lambda which, reading: NearestLabel(words[which]),
                     names_words=words["words"] is not None)


def _projected(world, head):
    return Contender(world.features, lambda which, reading: onto(head, world.candidates(which)))


def _ale(world, draw, seed):
    return _projected(world, ALE().fit(world.features[draw.train], world.labels[draw.train], world.vectors, seed=seed))


def _head(world, draw, training, sizes, seed):
    from devise.heads import HeadConfig, MlpHead
    from devise.losses import Cosine
    from devise.training import train

    head = MlpHead(HeadConfig(world.vectors.shape[1], sizes))
    train(head, world.features[draw.train], world.labels[draw.train], Cosine(world.vectors), seed=seed, **training)
    return _projected(world, head)


def _stacked(world, draw, contender, gamma):
    def rule(which, reading):
        return Stacking(contender.onto(which, reading), world.seen(which, draw), gamma)

    return Contender(contender.x, rule)


def _csls(world, draw, contender):
    reference = contender.x[world.few(draw.train, FEW)]
    return Contender(contender.x, lambda which, reading: CSLS(contender.onto(which, reading), reference))


def _conse(world, draw, top):
    def rule(which, reading):
        head = ConseHead.of_logits(world.classes, top=top, mask=world.hidden(reading, world.unseen(draw)))
        return onto(head, world.candidates(which))

    return Contender(world.logits, rule, reads=True)


def _lift(world, draw, a, b):
    def rule(which, reading):
        return _lift_onto(_kernel(world, a, b)[:, world.columns(which)], world.hidden(reading, world.unseen(draw)))

    return Contender(world.logits, rule, reads=True)


@lru_cache(maxsize=2)  # one is 80 MB, and most draws choose the same
def _kernel(world, a, b):
    return kernel(world.classes, world.candidates("words"), world.steps, a=a, b=b)


def _lift_onto(near, mask, *_which):
    return Lift(near, mask=mask)


def _choose_lift(world, draw, lifts):
    seen = world.seen("labels", draw)
    return LIFTS[lifts[:, seen].mean(axis=1).argmax()]


def _random(world, draw, method, seed):
    """The same rule where every word and label stands for a vector that was drawn."""
    drawn = np.random.default_rng([seed, *world.unseen(draw)]).normal(size=world.words.vectors.shape)
    vectors = unit_rows(drawn)
    head = method().fit(world.features[draw.train], world.labels[draw.train], vectors[world.columns("labels")])
    return Contender(world.features, lambda which, reading: onto(head, vectors[world.columns(which)]))


class SeenOnly(Rule):
    """A classifier of seen classes among candidates it does not know, and leaves out.

    Args:
        outputs: callable x → logits (n, classes).
        columns: the candidate that each class is.
        n_candidates: c.
    """

    n_candidates: int | None = None

    def __init__(self, outputs, columns, n_candidates):
        self.outputs, self.columns, self.n_candidates = outputs, columns, n_candidates

    def prepare(self, x):
        return self.outputs(x)

    def compare(self, rows):
        scores = np.full((len(rows), self.n_candidates), -np.inf, np.float32)
        scores[:, self.columns] = rows
        return scores


def _softmax(world, draw, training, seed):
    from devise.heads import HeadConfig, MlpHead
    from devise.losses import cross_entropy
    from devise.training import train

    classes, labels = np.unique(world.labels[draw.train], return_inverse=True)
    head = MlpHead(HeadConfig(len(classes), (), batch_norm=False))
    train(head, world.features[draw.train], labels, cross_entropy, seed=seed, **training)

    def rule(which, reading):
        columns = classes if which == "labels" else world.words.answers[classes]
        return SeenOnly(head.outputs, columns, len(world.columns(which)))

    return Contender(world.features, rule)


def _chosen(world, draw):
    """({name: how to make the head}, {what was chosen: value}), by folds over the seen classes."""
    rows = world.few(draw.train, FEW)
    data = world.features[rows], world.labels[rows], world.vectors
    ridge = choose_options(RidgeHead, {"penalty": PENALTIES}, *data).options
    eszsl = choose_options(ESZSL, {"gamma": PENALTIES, "lam": PENALTIES}, *data).options
    methods = {"Ridge": partial(RidgeHead, **ridge), "ESZSL": partial(ESZSL, **eszsl), "SAE": SAE}
    return methods, {"penalty, Ridge": ridge["penalty"], "γ and λ, ESZSL": tuple(eszsl.values())}


def _gamma(world, draw, method):
    """What seen classes should give away: the median over folds in which seen ones play unseen ones."""
    rows = world.few(draw.train, SAMPLE)
    labels, seen = world.labels[rows], np.unique(world.labels[draw.train])
    gammas = []
    for fold in class_folds(labels):
        head = method().fit(world.features[rows[fold.train]], labels[fold.train], world.vectors)
        asked = np.concatenate([fold.test, fold.unseen_rows])
        scores = onto(head, world.vectors[seen]).scores(world.features[rows[asked]])
        known = np.isin(seen, labels[fold.train])
        gammas.append(choose_gamma(scores, np.searchsorted(seen, labels[asked]), known))
    return float(np.median(gammas))
