"""What a model retrieves and names on images with labels or captions, space by space, and the report of it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.datasets import Split
from devise.evaluation import Evaluation, evaluate_galleries, evaluate_open_set, gallery_table, hit_table, retrieve
from devise.evaluation import evaluate as flat_hits
from devise.evaluation.captions import TextRetrieval, graded, text_retrieval
from devise.metrics import paired_difference
from devise.model.objective import without
from devise.model.tags import FIRST_WORDS, candidates
from devise.report import Report, Table
from devise.words import label_vectors, unknown_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.evaluation import Galleries, OpenSet, Retrieval
    from devise.evaluation.captions import GradedRetrieval
    from devise.features import FeatureTable
    from devise.metrics import Comparison
    from devise.model.devise import Devise

KS = (1, 10, 50, 1000)
FEWEST = 3  # images with captions: each asks two others at least
RETRIEVAL = {"hit@1": ("hit_at_k", 1), "hit@10": ("hit_at_k", 10), "recall@10": ("recall_at_k", 10),
             "precision@10": ("precision_at_k", 10), "its ceiling": ("ceiling_at_k", 10), "R-precision": "r_precision",
             "MAP@R": "map_at_r"}
OPEN = {"unknown accepted": "unknown_accepted", "known rejected": "known_rejected",
        "known found and right": "identified", "EER": "equal_error_rate"}
CAPTIONS = {"triplets": "agreement", "NDCG@32": "ndcg", "NDCG, 1 to 128": "area", "Pearson": "pearson"}
WAYS = ("image → text", "text → image")


@dataclass(frozen=True)
class CaptionFigures:
    """What the spaces do with images that have captions, each image asking all others.

    Attributes:
        by_space: {space: GradedRetrieval}, against the tf-idf of the captions.
        text: {space: TextRetrieval} of the spaces with a text side.
        pictures, sentences: how many.
        left_out: sentences without a known word.

    >>> figures = model.evaluate(told).captions  # doctest: +SKIP
    >>> figures.text["shared"].means()["text → image @10"]  # doctest: +SKIP
    0.63
    """

    by_space: dict[str, GradedRetrieval]
    text: dict[str, TextRetrieval]
    pictures: int
    sentences: int
    left_out: int

    def difference(self, figure: str = "ndcg", space: str = "learnt", base: str = "raw") -> Comparison:
        """How much better a figure is than another space's, by drawing query images again."""
        return paired_difference(getattr(self.by_space[base], figure), getattr(self.by_space[space], figure))

    def to_json(self) -> dict:
        """All of it for JSON, figures as fractions."""
        return {"by_space": {space: found.to_json() for space, found in self.by_space.items()},
                "text": {space: found.means() for space, found in self.text.items()},
                "pictures": self.pictures, "sentences": self.sentences, "left_out": self.left_out}


@dataclass(frozen=True)
class Figures:
    """What `Devise.evaluate` found; a part is None where the images or the spaces don't allow it.

    Attributes:
        hits: Evaluation, flat hit@k of the images' labels over stated candidates; of the first space with text.
        retrieval: {space: Retrieval}, image → image over classes, each image asking all others.
        open_set: {space: OpenSet}, what the thresholds let in and refuse.
        galleries: Galleries, retrieval over galleries of stated sizes.
        captions: CaptionFigures.

    >>> Figures().to_json()
    {}
    """

    hits: Evaluation | None = None
    retrieval: dict[str, Retrieval] = field(default_factory=dict)
    open_set: dict[str, OpenSet] = field(default_factory=dict)
    galleries: Galleries | None = None
    captions: CaptionFigures | None = None

    @property
    def hit_at_k(self) -> dict:
        """{part: {candidates: {k: fraction}}} of `hits`.

        Raises:
            ValueError: if no hit@k was measured.
        """
        if self.hits is None:
            raise ValueError("no hit@k was measured: it needs images with labels and a space with a text side")
        return self.hits.hit_at_k

    def difference(self, space: str = "learnt", base: str = "raw") -> Comparison:
        """How much higher MAP@R is in one space than in another, with the 95 % interval over classes."""
        return paired_difference(self.retrieval[base].map_at_r, self.retrieval[space].map_at_r,
                                self.retrieval[base].labels)

    def report(self, title: str = "Evaluation") -> Report:
        """All that was measured, a table a kind of question."""
        tables: list[Table] = []
        if self.hits:
            tables += [hit_table(self.hits, part) for part in self.hits.hit_at_k]
        if self.retrieval:
            tables.append(_retrieval_table(self.retrieval))
            if {"learnt", "raw"} <= set(self.retrieval):
                tables.append(gain_table({"MAP@R": self.difference()}, "learnt − raw", "classes"))
        if self.open_set:
            tables.append(_open_set_table(self.open_set))
        if self.galleries:
            found = self.galleries
            left = ", ".join(f"{size:,}" for size in found.left_out)
            notes = (f"left out: {left}; {found.smallest:,} to {found.largest:,} can be drawn",) if left else ()
            table = gallery_table(found.runs, what=f"pictures, one of each class, {found.draws} draws")
            tables.append(replace(table, notes=notes))
        if self.captions:
            tables += _caption_tables(self.captions)
            if {"learnt", "raw"} <= set(self.captions.by_space):
                gains = {name: self.captions.difference(CAPTIONS[name]) for name in ("triplets", "NDCG@32")}
                tables.append(gain_table(gains, "learnt − raw", "query pictures"))
        return Report(title, tables=tuple(tables))

    def to_json(self) -> dict:
        """All that was measured, for JSON."""
        found = {} if self.hits is None else self.hits.to_json()
        for name in ("retrieval", "open_set"):
            if part := getattr(self, name):
                found[name] = {space: figures.to_json() for space, figures in part.items()}
        for name in ("galleries", "captions"):
            if (part := getattr(self, name)) is not None:
                found[name] = part.to_json()
        return found


def evaluate(model: Devise, images: Any = None, *, first: int = FIRST_WORDS, ks: Sequence[int] = KS,
             galleries: Sequence[int] = ()) -> Figures:
    """What a model retrieves and names, on the images that it was trained on or on others.

    Of the training's images only those count that a figure may be taken from: hit@k states its part
    (train, test, unseen), image → image search and captions take the test part. Other images are
    all test.

    Args:
        images: with labels or captions, as `Devise.features` takes them; None for those of the training.
        first: how many words the candidates "words" take.
        ks: depths of image → image search.
        galleries: sizes of galleries to draw, for images with labels.
    Raises:
        ValueError: if the images have neither labels nor captions, or features are of another backbone.
    """
    table = model.table if images is None else without(model.features(images), model.record.get("left_out", ()))
    model.network.check(table)
    shown = table.images
    own = model.split is not None and (images is None or _of_training(model, table))
    split = (Split.from_json(model.split.to_json(model.paths), shown.paths) if own and model.split is not None else
             Split(test=np.arange(len(shown)), names={"test": shown.label_names}))
    if shown.captions is not None:
        return Figures(captions=_captions(model, table, split.test))
    if model.record.get("terms") and (own or not shown.label_names):
        raise ValueError("the model learnt from sentences, and these pictures come without: name a file of them with "
                         "captions= (in Python give pictures with captions, see devise.datasets.with_captions)")
    if not shown.label_names or own and not model.label_names:
        raise ValueError("the pictures have neither labels nor captions: give a folder a class, a label file, or "
                         "pictures with captions")
    hits = None
    if any(space.text is not None for space in model.spaces.values()):
        hits = _hits(model, table, split, own, first)
    if own and not split.disjoint:
        return Figures(hits)
    return Figures(hits, *_retrieval(model, table, split.test, ks, galleries))


def _of_training(model: Devise, table: FeatureTable) -> bool:
    """Whether a table holds the images of the training, so that its split says which may be asked.

    Raises:
        ValueError: if it holds some of them only, or with other classes.
    """
    there = set(model.paths) & set(table.images.paths)
    if not there:
        return False
    if model.label_names and tuple(table.images.label_names) != model.label_names:
        raise ValueError("the features have other classes than the model, and pictures that it was trained on: give "
                         "those of the training, or other pictures")
    return True


def _hits(model, table, split, own, first):
    """Flat hit@k of each part over seen, unseen and all labels and the first words."""
    space = model.text_space()
    embed, labels, labelled = model.spaces[space].embed, table.images.labels, model
    if not own:
        labelled = copy.copy(model)
        labelled.labels = label_vectors(table.images.label_names, model.words, skip_unknown=True,
                                        synonyms=model.record.get("synonyms"))
        labelled.label_names = labelled.labels.names
        labels = table.images.with_classes(labelled.label_names).labels
        if left_out := set(table.images.label_names) - set(labelled.label_names):
            warnings.warn(unknown_labels(table.images.counts(), sorted(left_out)), stacklevel=3)
    rows = {"train": split.train, "test": split.test, "unseen": split.unseen_rows}
    parts = {part: (embed(table.matrix[ids]), labels[ids]) for part, ids in rows.items() if len(ids)}
    if own:
        asked = ["seen", *(["unseen", "all"] if split.unseen else []), "words"]
        return flat_hits(parts, [candidates(model, which, space=space, first=first) for which in asked])
    return flat_hits(parts, [candidates(labelled, which, space=space, first=first) for which in ("all", "words")])


def _retrieval(model, table, rows, ks, sizes):
    """({space: Retrieval}, {space: OpenSet}, Galleries or None) of the images of some rows, those with a class."""
    labels = table.images.labels[rows]
    rows, labels = rows[labels >= 0], labels[labels >= 0]
    if not len(rows):
        raise ValueError("no class was kept for test: train again with some, or give other pictures")
    embedded = {name: space.embed(table.matrix[rows]) for name, space in model.spaces.items()}
    found = {name: retrieve(mine, labels, ks=ks) for name, mine in embedded.items()}
    asked = {name: space.threshold for name, space in model.spaces.items() if space.threshold is not None}
    gallery = _known_half(labels, model.record.get("seed", 0)) if asked else None
    open_set = {} if gallery is None else {
        name: evaluate_open_set(embedded[name], labels, gallery=gallery, threshold=threshold)
        for name, threshold in asked.items()}
    drawn = evaluate_galleries(embedded, labels, sizes, ks=ks, seed=model.record.get("seed", 0)) if sizes else None
    return found, open_set, drawn


def _known_half(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64] | None:
    """Half of the images of half of the classes, drawn; the others ask. None where there is one class."""
    random = np.random.default_rng([seed, 1])
    names = random.permutation(np.unique(labels))
    if len(names) < 2:
        return None
    shuffled = [random.permutation(np.flatnonzero(labels == name)) for name in names[:len(names) // 2]]
    return np.sort(np.concatenate([mine[:len(mine) // 2] for mine in shuffled]))


def _captions(model, table, rows):
    """CaptionFigures of the images of some rows."""
    from devise.words.sentences import Tfidf, empty

    told, known = [table.images.captions[row] for row in rows], model.record.get("terms")
    terms = Tfidf.from_json(known) if known else Tfidf().fit(told)  # how alike captions are, its training's terms say
    kept = np.setdiff1d(np.arange(len(rows)), empty(terms.pictures(told)))
    if len(kept) < FEWEST:
        raise ValueError(f"{len(kept)} pictures with captions are for the figures: expected {FEWEST} or more")
    captions, matrix = [told[row] for row in kept], table.matrix[rows[kept]]
    vectors = terms.pictures(captions)
    truth = (vectors @ vectors.T).toarray()
    embedded = {name: space.embed(matrix) for name, space in model.spaces.items()}
    texts = [(text, owner) for owner, sentences in enumerate(captions) for text in sentences]
    found, left_out = {}, 0
    for name, space in model.spaces.items():
        if space.text is None:
            continue
        rows_of_text = space.text.embed_known([text for text, _ in texts])
        known = rows_of_text.any(axis=1)
        owners = np.array([owner for _, owner in texts], np.int64)[known]
        found[name] = text_retrieval(embedded[name] @ rows_of_text[known].T, owners)
        left_out = int((~known).sum())
    return CaptionFigures({name: graded(mine @ mine.T, truth) for name, mine in embedded.items()}, found,
                          len(kept), len(texts) - left_out, left_out)


def gain_table(gains: dict[str, Comparison], what: str, over: str) -> Table:
    """How much better figures are in one of two places, {figure: Comparison}."""
    return Table.by_name("figure", {name: {what: gain} for name, gain in gains.items()},
                         caption=f"{what}, in points, with the 95 % interval over {over}.")


def _retrieval_table(runs) -> Table:
    rows = {}
    for space, found in runs.items():
        means = found.means()
        rows[space] = {name: means[figure] if isinstance(figure, str) else means[figure[0]].get(figure[1])
                       for name, figure in RETRIEVAL.items()}
    first = next(iter(runs.values()))
    classes = len(np.unique(first.labels[first.labels >= 0]))
    return Table.by_name("space", rows, RETRIEVAL, caption=f"{first.n:,} pictures of {classes} classes, each asking "
                         "all others, in %.")


def _open_set_table(found) -> Table:
    rows = {space: {"a match from": one.threshold} | {name: getattr(one, figure) for name, figure in OPEN.items()}
            for space, one in found.items()}
    first = next(iter(found.values()))
    return Table.by_name("space", rows, form=dict.fromkeys(OPEN, "percent") | {"a match from": "score"},
                         caption=f"A match at all? {first.n_known:,} pictures of known and {first.n_unknown:,} of "
                         f"unknown classes ask a gallery of {first.gallery:,}; in %, but for the cosine of a match.")


def _caption_tables(found: CaptionFigures) -> list[Table]:
    rows = {}
    for space, mine in found.by_space.items():
        means = mine.means()
        rows[space] = {name: means[figure] for name, figure in CAPTIONS.items()} | {"ties": mine.ties}
    tables = [Table.by_name("space", rows, form=dict.fromkeys((*CAPTIONS, "ties"), "percent") | {"Pearson": "score"},
                            caption=f"{found.pictures:,} pictures, each asking all others; the truth is the tf-idf of "
                            "their captions; in %.")]
    lost = f", {found.left_out:,} without a known word left out" if found.left_out else ""
    for space, text_found in found.text.items():
        means = text_found.means()
        rows = {way: {f"recall@{k}": means[f"{way} @{k}"] for k in (1, 5, 10)} for way in WAYS}
        tables.append(Table.by_name("way", rows, caption=f"{found.pictures:,} pictures and {found.sentences:,} "
                                    f"sentences in the space {space}{lost}; the more there are, the harder; in %."))
    return tables
