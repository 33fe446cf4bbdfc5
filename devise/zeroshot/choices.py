"""Corrections of a rule's scores, and choices without a look at the unseen classes: seen ones play their part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from devise.datasets import Split
from devise.metrics import mean_over_classes, seen_unseen_curve
from devise.zeroshot.rules import Rule, onto

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.arrays import Rows
    from devise.heads import LinearHead


class Adjusted(Rule):
    """A rule that changes another rule's scores and takes what that rule takes.

    Args:
        rule: Rule.

    >>> from devise.zeroshot import CSLS, NearestLabel
    >>> isinstance(CSLS(NearestLabel(np.eye(2)), np.eye(2)), Adjusted)
    True
    """

    def __init__(self, rule: Rule):
        self.rule, self.n_candidates = rule, rule.n_candidates

    def prepare(self, x: ArrayLike) -> NDArray[np.float32]:
        return self.rule.prepare(x)


class Stacking(Adjusted):
    """Calibrated stacking: seen candidates lose γ of their score.

    score'(x, c) = score(x, c) - γ · [c is seen] (Chao et al. 2016, An Empirical Study and Analysis of
    Generalized Zero-Shot Learning for Object Recognition in the Wild, section 3).

    Args:
        rule: Rule.
        seen: bool (c,), the candidates that were trained on.
        gamma: in units of the rule's scores; `choose_gamma` finds one.

    >>> from devise.zeroshot.rules import NearestLabel
    >>> rule = Stacking(NearestLabel([[1, 0], [0, 1]]), [True, False], gamma=0.5)
    >>> rule.tag([[4, 3]], k=1).ids
    array([[1]])
    """

    def __init__(self, rule: Rule, seen: ArrayLike, gamma: float):
        super().__init__(rule)
        if not np.isfinite(gamma):
            raise ValueError(f"gamma is {gamma}: expected a number")
        self.seen, self.gamma = _mask(seen, rule.n_candidates), float(gamma)

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = self.rule.compare(rows)
        _mask(self.seen, scores.shape[1])
        return scores - np.float32(self.gamma) * self.seen


class CSLS(Adjusted):
    """Cross-domain similarity local scaling: a cosine, less how near both sides are to their neighbours.

    score'(x, c) = 2 cos(x, c) - r(x) - r(c), with r(x) the mean cosine of x with its nearest
    candidates, and r(c) that of c with its nearest reference images (Conneau et al. 2018, Word
    Translation Without Parallel Data, section 2.3). Candidates that are near to every image, hubs, are
    else the first tag of far too many.

    Args:
        rule: Rule whose scores are cosines.
        reference: (n, columns), what the rule takes, of images that are like the queries and not the queries
            themselves: of training or validation; their labels aren't used.
        neighbours: how many are nearest; all where there are fewer.

    >>> from devise.zeroshot.rules import NearestLabel
    >>> hub, other = [1, 0.1], [0.1, 1]
    >>> rule = CSLS(NearestLabel([hub, other]), [[1, 0], [1, 0.2], [1, 0.1]], neighbours=2)
    >>> NearestLabel([hub, other]).tag([[1, 0.8]], k=1).ids, rule.tag([[1, 0.8]], k=1).ids
    (array([[0]]), array([[1]]))
    """

    def __init__(self, rule: Rule, reference: Rows, neighbours: int = 10):
        super().__init__(rule)
        if neighbours < 1:
            raise ValueError(f"neighbours is {neighbours}: expected at least 1")
        self.neighbours = neighbours
        nearest = None
        for block in _reference_blocks(rule, reference):
            block = block if nearest is None else np.concatenate([nearest, block])
            nearest = _largest(block, neighbours, axis=0)
        assert nearest is not None  # a rule has at least one block
        self.nearness = nearest.mean(axis=0)

    def compare(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = self.rule.compare(rows)
        own = _largest(scores, self.neighbours, axis=1).mean(axis=1, keepdims=True)
        return 2 * scores - own - self.nearness


class Choice(NamedTuple):
    """The best of some options, and the hit@1 on held-out classes that it was chosen for.

    >>> Choice({"penalty": 1.0}, accuracy=0.42).options
    {'penalty': 1.0}
    """

    options: dict
    accuracy: float


def class_folds(labels: ArrayLike, n_folds: int = 5, *, images: float = 0.2, seed: int = 0) -> list[Split]:
    """Splits in which every class is held out, as an unseen one, once.

    Args:
        labels: int (n,), the seen classes' images only; -1, no label, is in no part.
        n_folds: 2..number of classes.
        images: the share of each other class's images that is kept to validate on; at least
            one is learned from.
        seed: draws classes and images.
    Returns:
        Split, n_folds times: `unseen_rows` are all images of the classes held out, `test` other
        images of the classes in `train`.

    >>> sorted(fold.unseen_rows.tolist() for fold in class_folds([0, 0, 1, 1], 2, images=0.5))
    [[0, 1], [2, 3]]
    """
    labels, random = np.asarray(labels), np.random.default_rng(seed)
    classes = random.permutation(np.unique(labels[labels >= 0]))
    if not 2 <= n_folds <= len(classes):
        raise ValueError(f"n_folds is {n_folds}: expected 2 to {len(classes)}, the number of classes")
    if not 0 <= images < 1:
        raise ValueError(f"images is {images}: expected a share, at least 0 and below 1")
    rows = {label: random.permutation(np.flatnonzero(labels == label)) for label in classes}
    kept = {label: int(images * len(rows[label])) for label in classes}
    return [Split(np.concatenate([rows[label][kept[label]:] for label in classes if label not in held]),
                  test=np.concatenate([rows[label][:kept[label]] for label in classes if label not in held]),
                  unseen_rows=np.concatenate([rows[label] for label in held]))
            for held in (part.tolist() for part in np.array_split(classes, n_folds))]


def choose_options(method: Callable[..., LinearHead], grid: Mapping[str, Sequence], features: Rows,
                   labels: ArrayLike, label_vectors: ArrayLike, *, n_folds: int = 5,
                   folds: Sequence[Split] | None = None, seed: int = 0) -> Choice:
    """The options of a head that name images of held-out classes best, among these.

    Args:
        method: callable(**options) → a head with `fit`, such as the class itself.
        grid: {option: values to try}; all combinations are.
        features, labels, label_vectors: as `fit` takes them, of seen classes only.
        n_folds: as `class_folds`; the hit@1, a mean over classes, is averaged over the folds.
        folds: Splits whose `unseen_rows` choose, in place of these.
    Returns:
        Choice; of equal ones the first.

    >>> from devise.heads import RidgeHead
    >>> vectors, labels = np.array([[1, 0], [1, 1], [0, 1], [-1, 1]]), np.arange(12) % 4
    >>> choose_options(RidgeHead, {"penalty": [0.1, 1.0]}, vectors[labels], labels, vectors, n_folds=2)
    Choice(options={'penalty': 0.1}, accuracy=0.75)
    """
    features, labels, label_vectors = np.asarray(features), np.asarray(labels), np.asarray(label_vectors)
    folds = class_folds(labels, n_folds, images=0, seed=seed) if folds is None else folds
    choices = []
    for values in product(*grid.values()):
        options = dict(zip(grid, values, strict=True))
        hits = [_hit_at_1(method(**options), fold, features, labels, label_vectors, seed) for fold in folds]
        choices.append(Choice(options, float(np.mean(hits))))
    return max(choices, key=lambda choice: choice.accuracy)


def choose_gamma(scores: ArrayLike, labels: ArrayLike, seen: ArrayLike) -> float:
    """The γ with the largest harmonic mean of seen and unseen hit@1; of several, the middle one.

    Give it validation images, those of the unseen kind from classes that were held out of the
    training for this (`class_folds`): a γ chosen on the unseen classes themselves knows too much.

    Args:
        scores: (n, c), a rule's scores before stacking.
        labels: int (n,), the right candidate of each image; -1, no label, is left out.
        seen: bool (c,), the candidates that were trained on.
    Raises:
        ValueError: as `devise.metrics.seen_unseen_curve`, which the means are of.

    >>> round(choose_gamma([[.9, .5], [.8, .6]], [0, 1], [True, False]), 3)
    0.3
    """
    from scipy.stats import hmean

    curve = seen_unseen_curve(scores, labels, seen)
    means = hmean([curve.seen, curve.unseen], axis=0)
    best = np.flatnonzero(means == means.max())
    margins = curve.gammas[1:]  # an image turns at each of them: stay off, halfway to the next
    between = np.concatenate([[margins[0] - 1], (margins[:-1] + margins[1:]) / 2, [margins[-1] + 1]])
    return float(between[best[len(best) // 2]])


class CoverageCurve(NamedTuple):
    """Accuracy against coverage, one point for each score that a threshold may take.

    Attributes:
        thresholds: float64 (m,), falling.
        coverage: float64 (m,), the share of images whose score is at least that; it rises to 1.
        accuracy: float64 (m,), the share of those that is right.

    >>> curve = coverage_curve([0.9, 0.8, 0.3], [True, True, False])
    >>> curve.accuracy.round(2).tolist()
    [1.0, 1.0, 0.67]
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def coverage_curve(scores: ArrayLike, right: ArrayLike) -> CoverageCurve:
    """Accuracy against coverage for every threshold on the scores of first tags.

    The risk–coverage curve of El-Yaniv and Wiener (2010, On the Foundations of Noise-free Selective
    Classification), with accuracy for risk. Pictures of equal score come and go together.

    Args:
        scores: (n,), of each image's first tag.
        right: bool (n,), whether that tag is right.
    Raises:
        ValueError: for no images, NaN or infinite scores, or other lengths.

    >>> curve = coverage_curve([0.9, 0.5, 0.7], [True, False, True])
    >>> curve.coverage.round(2), curve.accuracy.round(2)
    (array([0.33, 0.67, 1.  ]), array([1.  , 1.  , 0.67]))
    """
    scores, right = np.asarray(scores, dtype=np.float64), np.asarray(right)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"scores have shape {scores.shape}: expected one an image, (n,) with n > 0, "
                         "none of them NaN or infinite")
    if right.shape != scores.shape or right.dtype != bool:
        raise ValueError(f"right is {right.dtype} {right.shape}: expected bool {scores.shape}")
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    tagged = last + 1
    return CoverageCurve(scores[order][last], tagged / len(scores), right[order].cumsum()[last] / tagged)


def choose_threshold(scores: ArrayLike, right: ArrayLike, accuracy: float = 0.9) -> float:
    """The lowest score from which on first tags reach an accuracy.

    Args:
        scores, right: as `coverage_curve`, of validation images.
        accuracy: the share that has to be right.
    Raises:
        ValueError: if no threshold reaches it.

    >>> choose_threshold([0.9, 0.5, 0.7], [True, False, True])
    0.7
    """
    curve = coverage_curve(scores, right)
    enough = np.flatnonzero(curve.accuracy >= accuracy)
    if not enough.size:
        best = curve.accuracy.argmax()
        raise ValueError(f"no threshold gives an accuracy of {accuracy}: ask for {curve.accuracy[best]:.3f} "
                         f"or less, which leaves a tag to {curve.coverage[best]:.3f} of the images")
    return float(curve.thresholds[enough[-1]])


def _mask(seen, n):
    """`seen` as bool (n,), or of any length where n is None."""
    seen = np.asarray(seen)
    if seen.dtype != bool or seen.ndim != 1 or n not in (None, len(seen)):
        raise ValueError(f"seen is {seen.dtype} {seen.shape}: expected bool ({'c' if n is None else n},), "
                         "one a candidate")
    return seen


def _reference_blocks(rule, reference):
    if not len(reference):
        raise ValueError("there are no reference images: expected some that are like the queries")
    for block in rule.blocks(reference):
        if not np.isfinite(block).all():
            raise ValueError("the rule leaves candidates out for some reference images: "
                             "correct the scores of one that scores all of them")
        yield block


def _largest(scores, k, axis):
    """The k largest along an axis, in no order."""
    if k >= scores.shape[axis]:
        return scores
    return np.take(np.partition(scores, -k, axis=axis), range(-k, 0), axis=axis)


def _hit_at_1(head, fold, features, labels, label_vectors, seed):
    classes, answers = np.unique(labels[fold.unseen_rows], return_inverse=True)
    head.fit(features[fold.train], labels[fold.train], label_vectors, seed=seed)
    first = onto(head, label_vectors[classes]).tag(features[fold.unseen_rows], k=1).ids[:, 0]
    return mean_over_classes(first == answers, answers).value
