"""Flat hit@k and exact tags, and their tables: how often the right label is among a picture's first k candidates.

A picture's candidates are ranked by cosine, exactly. Near ties go by float64 and then to the smaller row,
see `devise.evaluation.scores`, so that a vector that stands there twice takes two ranks and is right once.
A picture whose label is no candidate has no answer: it is NaN, it is counted, and no mean includes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.arrays import BLOCK_BYTES, NEAR, Rows, unit_rows
from devise.evaluation.candidates import Candidates
from devise.evaluation.scores import depths, pair_cosines
from devise.figures import Spread, as_json, counted
from devise.metrics.summary import mean_over_queries, spread
from devise.report import Published, Table

KS = (1, 2, 3, 5, 10, 20)


@dataclass(frozen=True)
class Evaluation:
    """The figures of one run, fractions in [0, 1], and what they rest on.

    Attributes:
        hit_at_k: {part: {candidates: {k: mean over the part's pictures that have an answer}}}.
        n: {part: number of pictures}.
        candidates: {name: {"count", "added", "ks_left_out"}}, the last two where there are any.
        without_answer: {part: {candidates: number of pictures}}, where there are any.

    >>> Evaluation({"test": {"seen": {1: 0.948}}}, {"test": 316}, {"seen": {"count": 32}}).hit_at_k["test"]["seen"]
    {1: 0.948}
    """

    hit_at_k: dict[str, dict[str, dict[int, float]]]
    n: dict[str, int]
    candidates: dict[str, dict]
    without_answer: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict:
        """The document of the command line; JSON keys are text, so k is too."""
        return as_json({"hit_at_k": self.hit_at_k, "n": self.n, "candidates": self.candidates,
                        "without_answer": self.without_answer})


@dataclass(frozen=True)
class ExactTags:
    """How many pictures have their own label among their first k tags.

    `by_class` is {label: (found, pictures)}, in the order of the label table.

    >>> ExactTags(3, 4, k=10, candidates="words20000", by_class={"crab": (3, 4)}).by_class["crab"]
    (3, 4)
    """

    found: int
    n: int
    k: int
    candidates: str
    by_class: dict[str, tuple[int, int]]
    without_answer: int = 0


def answer_ranks(embeddings: Rows, labels: ArrayLike, candidates: Candidates) -> NDArray[np.float64]:
    """The rank of the right candidate for each picture: 1 + the number of candidates ahead of it.

    The (pictures × candidates) matrix is never held whole.

    Args:
        embeddings: (q, d), any length but zero.
        labels: int (q,), rows of the candidates' label table, -1 for a picture without a label.
    Returns:
        float64 (q,), 1..c, NaN where there is no answer.
    Raises:
        ValueError: if shapes or dims differ, or a label is not in the table.

    >>> both = Candidates.from_labels("all", ["cat", "dog"], np.eye(2))
    >>> answer_ranks([[2, 1], [2, 1], [0, 1]], [0, 1, -1], both)
    array([ 1.,  2., nan])
    """
    queries = unit_rows(embeddings, "embeddings", dim=candidates.vectors.shape[1])
    answers = _answers(labels, len(queries), candidates)
    ranks, answered = np.full(len(queries), np.nan), np.flatnonzero(answers >= 0)
    step = max(1, BLOCK_BYTES // (4 * len(candidates)))
    for rows in np.split(answered, range(step, len(answered), step)):
        asked, mine = queries[rows], answers[rows]
        scores = asked @ candidates.vectors.T
        own = scores[np.arange(len(rows)), mine][:, None]
        ahead = (scores > own + NEAR).view(np.uint8).sum(axis=1, dtype=np.uint32)  # a quick sum, which bytes have
        row, column = np.nonzero((scores <= own + NEAR) & (scores >= own - NEAR))
        other, own = (pair_cosines(asked, candidates.vectors, row, columns) for columns in (column, mine[row]))
        first = (other > own) | ((other == own) & (column < mine[row]))
        ranks[rows] = 1 + ahead + np.bincount(row, first, len(rows))
    return ranks


def flat_hit_at_k(embeddings: Rows, labels: ArrayLike, candidates: Candidates,
                  ks: Iterable[int] = KS) -> dict[int, NDArray[np.float64]]:
    """Whether the right label is among the first k candidates, for each picture and each k.

    Frome et al., DeViSE (2013), section 4, call the mean flat hit@k.

    Args:
        embeddings, labels: as of `answer_ranks`.
        ks: depths; those larger than the number of candidates are left out.
    Returns:
        {k: float64 (q,)}, each 0.0 or 1.0, NaN where the label is no candidate.
    Raises:
        ValueError: if shapes or dims differ, or a label is not in the table.

    >>> both = Candidates.from_labels("all", ["cat", "dog"], np.eye(2))
    >>> flat_hit_at_k([[2, 1], [2, 1]], [0, 1], both, ks=(1, 2, 20))
    {1: array([1., 0.]), 2: array([1., 1.])}
    """
    ks, _ = depths(ks, len(candidates))
    if not ks:
        return {}
    ranks = answer_ranks(embeddings, labels, candidates)
    return {k: np.where(np.isnan(ranks), np.nan, ranks <= k) for k in ks}


def evaluate(parts: Mapping[str, tuple[Rows, ArrayLike]], candidates: Sequence[Candidates], *,
             ks: Iterable[int] = KS) -> Evaluation:
    """Flat hit@k of each part over each set of candidates that holds an answer for it.

    Args:
        parts: {"train", "test", "unseen", …: (embeddings (q, d), labels (q,))}.
        candidates: sets of candidates over one label table, each with its own name.
    Raises:
        ValueError: if two sets of candidates share a name, or a part doesn't fit them.

    >>> seen = Candidates.from_labels("seen", ("cat", "dog"), np.eye(2))
    >>> evaluate({"test": (np.eye(2), [0, 0])}, [seen], ks=(1, 2)).hit_at_k
    {'test': {'seen': {1: 0.5, 2: 1.0}}}
    """
    names = [chosen.name for chosen in candidates]
    if len(set(names)) < len(names):
        raise ValueError(f"candidates are called {', '.join(names)}: give each set its own name")
    figures: dict[str, dict[str, dict[int, float]]] = {part: {} for part in parts}
    without: dict[str, dict[str, int]] = {}
    for part, (embeddings, labels) in parts.items():
        for chosen in candidates:
            unanswered = int((_answers(labels, len(embeddings), chosen) < 0).sum())
            if unanswered == len(embeddings):
                continue
            hits = flat_hit_at_k(embeddings, labels, chosen, ks)
            figures[part][chosen.name] = {k: mean_over_queries(values).value for k, values in hits.items()}
            if unanswered:
                without.setdefault(part, {})[chosen.name] = unanswered
    sizes = {part: len(embeddings) for part, (embeddings, _) in parts.items()}
    stated = {chosen.name: chosen.to_json() for chosen in candidates}
    for chosen in candidates:
        if left_out := depths(ks, len(chosen))[1]:
            stated[chosen.name]["ks_left_out"] = list(left_out)
    return Evaluation(figures, sizes, stated, without)


def exact_tags(embeddings: Rows, labels: ArrayLike, candidates: Candidates, k: int = 10) -> ExactTags:
    """How many pictures have exactly their label among their first k candidates, per class too.

    Raises:
        ValueError: if k is not in 1..c, shapes or dims differ, or a label is not in the table.

    >>> both = Candidates.from_labels("all", ["cat", "dog"], np.eye(2))
    >>> exact_tags([[2, 1], [2, 1]], [0, 1], both, k=1).by_class
    {'cat': (1, 1), 'dog': (0, 1)}
    """
    if not 1 <= k <= len(candidates):
        raise ValueError(f"k is {k}: expected 1 to {len(candidates)}, the number of candidates "
                         f"in {candidates.name!r}")
    labels = np.asarray(labels)
    ranks = answer_ranks(embeddings, labels, candidates)
    found, answered = ranks <= k, ~np.isnan(ranks)
    by_class = {}
    for label in np.unique(labels[answered]):
        mine = labels == label
        by_class[candidates.label_names[label]] = int(found[mine].sum()), int(mine.sum())
    return ExactTags(int(found.sum()), int(answered.sum()), k, candidates.name, by_class,
                     int((~answered).sum()))


def combine(runs: Sequence[Evaluation]) -> dict[str, dict[str, dict[int, Spread]]]:
    """{part: {candidates: {k: Spread over the runs}}} of several Evaluations, one a seed.

    Raises:
        ValueError: if there is none, or two differ in parts, candidates or depths.

    >>> runs = [Evaluation({"test": {"seen": {1: value}}}, {"test": 9}, {"seen": {"count": 2}}) for value in (0.5, 0.7)]
    >>> round(combine(runs)["test"]["seen"][1].mean, 3)
    0.6
    """
    if not runs:
        raise ValueError("no evaluation to combine: expected one a seed")
    first = runs[0]
    for number, other in enumerate(runs[1:], start=2):
        if _shape(other) != _shape(first) or other.candidates != first.candidates:
            raise ValueError(f"evaluation {number} measured other parts, candidates or depths than the "
                             "first: combine only runs of one protocol")
    return {part: {name: {k: spread([run.hit_at_k[part][name][k] for run in runs]) for k in values}
                   for name, values in sets.items()} for part, sets in first.hit_at_k.items()}


def hit_table(evaluation: Evaluation | Sequence[Evaluation], part: str, *, published: Iterable[Published] = ()
              ) -> Table:
    """Flat hit@k of one part, a row for each set of candidates; the caption says what they are.

    Args:
        evaluation: Evaluation, or several, one a seed, of which the table has means.
        part: "train", "test", "unseen" …
        published: Published rows with k as columns.
    Raises:
        KeyError: if the part was not measured.

    >>> run = Evaluation({"test": {"seen": {1: 0.948}}}, {"test": 316}, {"seen": {"count": 32}})
    >>> print(hit_table(run, "test").markdown())
    Flat hit@k, in % of 316 test pictures; one seed. Candidates: seen = 32 labels.
    <BLANKLINE>
    | candidates, k = | 1 |
    | --- | ---: |
    | seen | 94.8 |
    """
    runs = [evaluation] if isinstance(evaluation, Evaluation) else list(evaluation)
    if part not in runs[0].hit_at_k:
        raise KeyError(f"part {part!r} was not measured: expected one of {', '.join(runs[0].hit_at_k)}")
    rows: Mapping[str, Mapping] = runs[0].hit_at_k[part] if evaluation is runs[0] else combine(runs)[part]
    published = tuple(published)
    columns = {k for values in [*rows.values(), *(row.values for row in published)] for k in values}
    return Table.by_name("candidates, k =", rows, sorted(columns), caption=_caption(runs, part),
                         published=published)


def exact_table(exact: ExactTags) -> Table:
    """How many pictures of each class have their own label among their first tags, from an ExactTags.

    >>> exact_table(ExactTags(3, 4, k=10, candidates="words", by_class={"crab": (3, 4)})).row("all")
    {'found': 3, 'of': 4}
    """
    rows = {label: {"found": found, "of": n} for label, (found, n) in exact.by_class.items()}
    rows["all"] = {"found": exact.found, "of": exact.n}
    return Table.by_name("class", rows, caption=f"Pictures that have exactly their label among their first {exact.k} "
                         f"tags. Candidates: {exact.candidates}.")


def _answers(labels, n, candidates):
    """The right row for each picture, -1 where there is none."""
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype} {labels.shape}: expected integers ({n},), "
                         "one for each embedding")
    table = len(candidates.label_names)
    if n and not -1 <= labels.min() <= labels.max() < table:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}: expected -1 to {table - 1}, "
                         f"the label table of candidates {candidates.name!r}")
    return np.where(labels < 0, -1, candidates.answers[labels])


def _shape(evaluation):
    """Parts, candidates and depths of an evaluation, without the figures."""
    return {part: {name: tuple(values) for name, values in sets.items()}
            for part, sets in evaluation.hit_at_k.items()}


def _caption(runs, part):
    """Metric, pictures, seeds and candidates; a split drawn by seed has not always as many pictures."""
    low, high = min(counts := [run.n[part] for run in runs]), max(counts)
    seeds = f"{len(runs)} seeds, mean ± standard deviation" if len(runs) > 1 else "one seed"
    chosen = [_candidates(name, runs[0].candidates[name]) for name in runs[0].hit_at_k[part]]
    without = [run.without_answer.get(part, {}) for run in runs]
    lost = [f"{max(count.get(name, 0) for count in without)} pictures without an answer in {name} are left out"
            for name in dict.fromkeys(name for count in without for name in count)]
    return ". ".join([f"Flat hit@k, in % of {f'{low:,}' if low == high else f'{low:,} to {high:,}'} {part} pictures; "
                      f"{seeds}", f"Candidates: {'; '.join(chosen)}", *lost]) + "."


def _candidates(name, statement):
    """A set of candidates in words: its size, what joined the vocabulary, which k it is too small for."""
    count = statement["count"]
    text = f"{name} = {counted(count, 'label')}" + (", nothing to choose between" if count == 1 else "")
    if "added" in statement:
        added, asked = statement["added"], name.removeprefix("words")
        words = count - len(added)
        every = "the first " if asked == str(words) else ""
        of = f" of the first {int(asked):,}" if asked.isdigit() and not every else ""
        text = f"{name} = {every}{words:,}{of} words"
        text += f" and the labels that none of them stands for ({', '.join(added)})" if added else ""
    if "ks_left_out" in statement:
        text += f", too few for k = {', '.join(map(str, statement['ks_left_out']))}"
    return text
