"""Contenders: rules that the zero-shot recipes put side by side, each fitted to the seen classes of a world.

Whatever a rule lets one choose is chosen on pictures or classes held out of the seen ones.
"""

from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from devise.arrays import top_k, unit_rows
from devise.heads import ALE, ESZSL, SAE, ConseHead, HingeRankHead, RidgeHead
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
HINGE_EPOCHS = (3, 10)
COLUMNS, STEEPNESS = 1000, 2.0  # of widened vectors
SAMPLE = 20  # pictures of a seen class that γ is chosen on
FEW = 10  # pictures of a class that stand for it, where many fits or the many words make it costly
GROUP = 5  # labels hidden together where Lift's options are chosen, as many as a draw hides


class Contender(NamedTuple):
    """A rule that is ready for any candidates.

    Attributes:
        x: what the rule takes, a row for each picture of the world.
        onto: callable (columns, reading) → Rule over these rows of the world's points.
        reads: whether the reading matters: whether it names pictures by ImageNet's classes.
        names_words: whether it has vectors for words that are no labels.
    """

    x: np.ndarray
    onto: object
    reads: bool = False
    names_words: bool = True

    def scores(self, rows, columns, reading="open"):
        """The scores of some candidates for some pictures, float32 (n, c); what a rule leaves out comes last, alike."""
        scores = self.onto(columns, reading).scores(self.x[rows])
        known = np.where(np.isneginf(scores), np.inf, scores)
        return np.where(np.isneginf(scores), known.min(axis=1, keepdims=True) - 1, scores)

    def ranking(self, rows, columns, k):
        """The best k of some candidates for some pictures, places in `columns`: int64 (n, k)."""
        ids = self.onto(columns, "open").tag(self.x[rows], k).ids
        return ids if (ids >= 0).all() else top_k(self.scores(rows, columns), k)[0]

    def finds(self, rows, columns, answers, reading="open"):
        """Whether each picture's right candidate is among the first 10, bool (n,)."""
        ids = self.onto(columns, reading).tag(self.x[rows], K).ids
        return (ids == answers[:, None]).any(axis=1)


class SeenOnly(Rule):
    """A classifier, x → logits (n, classes), among candidates it does not know; `places` are those that classes are."""

    n_candidates: int | None = None

    def __init__(self, outputs, places, n_candidates):
        self.outputs, self.places, self.n_candidates = outputs, places, n_candidates

    def prepare(self, x):
        return self.outputs(x)

    def compare(self, rows):
        scores = np.full((len(rows), self.n_candidates), -np.inf, np.float32)
        scores[:, self.places] = rows
        return scores


def by_head(world, head, points=None):
    """Labels and words by a head with weights; `points` stand in for the world's, for a control."""
    points = world.points if points is None else points
    return Contender(world.features, lambda columns, reading: onto(head, points[columns]))


def by_conse(world, vectors, logits, top, hidden=None, reading=None):
    """The convex combination of the most probable classes' vectors (ConSE).

    Args:
        vectors: (classes, d), and `logits` (n, classes) of all pictures.
        top: how many classes are combined.
        hidden: labels that no class of the network may name, as far as a reading hides it; None hides nothing.
        reading: this one always; None takes the one that is asked for.
    """
    def rule(columns, asked):
        mask = None if hidden is None else world.hidden(reading or asked, hidden)
        return onto(ConseHead.of_logits(vectors, top=top, mask=mask), world.points[columns])

    return Contender(logits, rule, reads=hidden is not None and reading is None)


def by_classifier(world, head, classes):
    """A softmax of some labels, which knows no other."""
    def rule(columns, reading):
        places = np.full(len(world.points), -1)
        places[columns] = np.arange(len(columns))
        return SeenOnly(head.outputs, places[world.answers[classes]], len(columns))

    return Contender(world.features, rule)


def tops(n_classes, wanted=CONSE):
    """How many of n classes ConSE combines: those wanted that are fewer, and all."""
    return [top for top in wanted if top < n_classes] + [n_classes]


def softmax(x, labels, n_classes, validation=None, *, seed=0, **training):
    """A linear classifier trained by cross-entropy, its epoch chosen on the validation rows; it gives logits."""
    from devise.heads import HeadConfig, MlpHead
    from devise.losses import cross_entropy
    from devise.training import train

    head = MlpHead(HeadConfig(n_classes, (), batch_norm=False))
    if validation is not None:
        training |= {"validation": validation,
                     "validate": lambda logits: (logits.argmax(axis=1) == validation[1]).mean()}
    train(head, x, labels, cross_entropy, seed=seed, **training)
    return head


def hinge_heads(x, labels, vectors, *, seed=0):
    """{epochs: HingeRankHead} of features (n, d) towards `vectors` (C, dim), of which `labels` are rows."""
    with threadpool_limits(1, user_api="blas"):  # thousands of short products, whose threads wait for one another
        return {epochs: HingeRankHead(epochs=epochs).fit(x, labels, vectors, seed=seed) for epochs in HINGE_EPOCHS}


def hinge_rank(x, labels, vectors, validation, *, seed=0):
    """The head of `hinge_heads` that names most validation pictures (features, labels) right, among those labels."""
    seen = np.unique(labels)

    def hit_at_1(head):
        return (seen[onto(head, vectors[seen]).tag(validation[0], 1).ids[:, 0]] == validation[1]).mean()

    return max(hinge_heads(x, labels, vectors, seed=seed).values(), key=hit_at_1)


def widened(vectors, columns=COLUMNS, steepness=STEEPNESS):
    """Unit rows (n, d) in more columns, in which near ones stay near: about exp(steepness (cos - 1)) is their cosine.

    Fifty columns have no room for a thousand labels apart from one another; DeViSE's vectors have 500 or 1,000.
    Random Fourier features (Rahimi and Recht 2007).
    """
    from sklearn.kernel_approximation import RBFSampler

    made = RBFSampler(gamma=steepness / 2, n_components=columns, random_state=0).fit_transform(vectors)
    return unit_rows(made.astype(np.float32))


def contenders(world, draw, *, lifts, training, head, seed=0):
    """The rules and their controls, fitted to the seen classes of a draw.

    Args:
        lifts: what `lift_table` gave.
        training: options of `devise.training.train` for the head and the classifier.
        head: hidden layers of the head.
    Returns:
        ({name: Contender}, {what was chosen: value}).
    """
    x, y, unseen = world.features[draw.train], world.labels[draw.train], world.ids(draw.unseen)
    methods, chosen = _chosen(world, draw)
    found = {name: by_head(world, method().fit(x, y, world.vectors, seed=seed)) for name, method in methods.items()}
    ale, mlp = trained(world, draw, seed, training=training, head=head).values()
    found |= {"ALE": ale, "MLP head": mlp}
    for name in ("Ridge", "ESZSL"):
        gamma = chosen[f"γ, {name} stacked"] = _gamma(world, draw, methods[name])
        found[f"{name}, stacked"] = _stacked(world, draw, found[name], gamma)
    reference = world.features[world.few(draw.train, FEW)]
    found["Ridge, CSLS"] = Contender(world.features, lambda columns, reading: CSLS(
        found["Ridge"].onto(columns, reading), reference))
    for top in CONSE:
        found[f"ConSE({top})"] = by_conse(world, world.classes, world.logits, top, unseen)
    best = np.delete(lifts, unseen, axis=1).mean(axis=1).argmax()
    a, b = chosen["Lift, a and b"] = LIFTS[best]
    found["Lift"] = Contender(world.logits, lambda columns, reading: Lift(
        _kernel(world, a, b)[:, columns], mask=world.hidden(reading, unseen)), reads=True)
    random = unit_rows(np.random.default_rng([seed, *unseen]).normal(size=world.points.shape))
    found["random vectors"] = by_head(world, methods["Ridge"]().fit(x, y, random[world.answers]), random)
    classes, answers = np.unique(y, return_inverse=True)
    found["softmax, seen classes"] = by_classifier(world, softmax(x, answers, len(classes), seed=seed, **training),
                                                   classes)
    return found, chosen


def trained(world, draw, seed, *, training, head):
    """The rules of TRAINED alone, from another seed."""
    from devise.heads import HeadConfig, MlpHead
    from devise.losses import Cosine
    from devise.training import train

    x, y = world.features[draw.train], world.labels[draw.train]
    mlp = MlpHead(HeadConfig(world.vectors.shape[1], head))
    train(mlp, x, y, Cosine(world.vectors), seed=seed, **training)
    return {"ALE": by_head(world, ALE().fit(x, y, world.vectors, seed=seed)), "MLP head": by_head(world, mlp)}


def lift_table(world):
    """How often each pair of Lift's options finds the right word, for every class, by pictures of it.

    Returns:
        float64 (options, C): the mean of the open and the wide reading; a draw looks at the columns
        of its seen classes alone. Classes are hidden GROUP at a time.
    """
    rows, every = world.few(np.flatnonzero(world.labels >= 0), FEW), np.arange(len(world.vectors))
    groups = np.array_split(every, -(-len(every) // GROUP))
    table = np.zeros((len(LIFTS), len(every)))
    for number, (a, b) in enumerate(LIFTS):
        near = kernel(world.classes, world.points, world.steps, a=a, b=b)
        for reading in ("open", "wide"):
            for group in [every] if reading == "open" else groups:
                mine = rows[np.isin(world.labels[rows], group)]
                rule = Lift(near, mask=world.hidden(reading, group))
                labels = world.labels[mine]
                found = Contender(world.logits, lambda *_, rule=rule: rule).finds(mine, None, world.answers[labels])
                for label in np.unique(labels):
                    table[number, label] += found[labels == label].mean() / 2
    return table


def others(world, beside):
    """({name: Contender}, notes) of other systems, (name, file) pairs as `other_system` reads them."""
    found, notes = {}, []
    for name, file in beside:
        pictures, points, lacking = other_system(file, world)
        found[name] = Contender(unit_rows(pictures, "pictures"), lambda columns, reading, points=points: NearestLabel(
            points[columns]), names_words=not lacking)
        notes.append(f"{name}: another system's embeddings, from {Path(file).name}; what it had seen is not known "
                     "here, and nothing is hidden from it.")
        if lacking:
            notes.append(f"{name} has no embedding for {lacking:,} of the {len(world.points):,} words: no exact tags.")
    return found, notes


def other_system(file, world):
    """Another system's embeddings of the world's pictures, labels and words, from an .npz file.

    Args:
        file: with the arrays pictures (n, d), paths (n,), words (m, d) and names (m,); no pickles. It has all
            pictures and labels, in any order, and maybe more.
    Returns:
        pictures (n, d); (c, d) as the world's points, zero where it has no embedding; how many words have none.
    Raises:
        ValueError: if the file lacks an array, a picture or a label.
    """
    with np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    missing = {"pictures", "paths", "words", "names"} - arrays.keys()
    if missing:
        raise ValueError(f"{file} lacks the arrays {', '.join(sorted(missing))}: expected pictures (n, d), "
                         "paths (n,), words (m, d) and names (m,)")
    for rows, keys in (("pictures", "paths"), ("words", "names")):
        if len(arrays[rows]) != len(arrays[keys]):
            raise ValueError(f"{file}: {len(arrays[rows])} {rows} but {len(arrays[keys])} {keys}: expected one each")
    pictures = _aligned(arrays["paths"], arrays["pictures"], world.table.images.paths, f"{file}, pictures")
    words, names = dict(zip(arrays["names"].tolist(), arrays["words"], strict=True)), world.vocabulary.names
    labels = _aligned(arrays["names"], arrays["words"], world.names, f"{file}, labels")
    points = np.stack([words.get(name, np.zeros_like(labels[0])) for name in names])
    points[world.answers] = labels
    return pictures, points, len(set(names) - words.keys())


def _aligned(keys, rows, wanted, what):
    """The rows of the wanted keys, in their order."""
    places = {key: row for row, key in enumerate(keys.tolist())}
    missing = [key for key in wanted if key not in places]
    if missing:
        raise ValueError(f"{what}: {len(missing)} of {len(wanted)} have no embedding, the first is {missing[0]!r}: "
                         "embed them all")
    return rows[[places[key] for key in wanted]]


def _stacked(world, draw, contender, gamma):
    return Contender(contender.x, lambda columns, reading: Stacking(contender.onto(columns, reading),
                                                                    world.seen(columns, draw), gamma))


@lru_cache(maxsize=2)  # one is 80 MB, and most draws choose the same
def _kernel(world, a, b):
    return kernel(world.classes, world.points, world.steps, a=a, b=b)


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
