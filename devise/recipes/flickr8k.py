"""Flickr8k in its standard protocol: pictures find sentences and sentences pictures, beside the published rows.

Rows on one frozen network: closed forms (ridge regression, and canonical correlations as Klein et al. 2015 have
them), the hinge rank loss of Frome et al. 2013, and the joint head of `devise captions`. Controls are random word
vectors and shuffled captions.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from devise import plots
from devise.arrays import eigenvectors, nearest, unit_rows
from devise.datasets.captions import LISTS
from devise.errors import MissingDependency
from devise.evaluation.captions import text_retrieval
from devise.heads.linear import ridge
from devise.metrics import spread
from devise.model.captions import JOINT, start_joint, train_joint
from devise.model.pretrained import pretrained
from devise.model.space import SHARED
from devise.recipes import caption_tables as tables
from devise.recipes.captioning import CaptionWorld, open_captions
from devise.recipes.harness import Harness, numbered, used
from devise.recipes.published import published
from devise.recipes.rules import hinge_heads
from devise.report import Table
from devise.words import WordVectors, open_words
from devise.words.sentences import CaptionVectors, SentenceVectors

WAYS, KS = ("image → text", "text → image"), (1, 5, 10)
RECALLS = tuple(f"{way} @{k}" for way in WAYS for k in KS)
MEDIANS = tuple(f"{way}, median" for way in WAYS)
TERMS = 2000  # of the captions, with a column each
COLUMNS = 256  # of a space
PENALTIES = (0.1, 0.3, 1.0)
DRAWINGS = 3  # of each control
PAPER, PICTURES = "flickr8k", 1000
HUBS, NEIGHBOURS, VALIDATION = "CSLS", 10, "validation"
MEAN, TOLD = "mean word vectors", "caption vectors"
JOINT_ROW, SHIPPED = "joint head", "devise.pretrained()"
NOTES = (
    "Intervals are 95 % t intervals over the test pictures, a text → image figure being that of a picture's own "
    "sentences together; the candidates stay the same, so they say nothing about another set of pictures. Epochs and "
    "penalties were chosen on the validation pictures, and so was the row that is called the best.",
    f"{HUBS} takes from each cosine how near the picture is to its nearest training sentences, and the sentence to its "
    "nearest training pictures (Conneau et al. 2018): against candidates that are near to everything. No test "
    "picture or sentence but the two compared has a say. The published rows do without: compare them with those that "
    "do, too.",
    f"{SHIPPED} is not trained here; it learnt from the same training captions, and its making was chosen on the same "
    "validation pictures.",
    "What differs from the papers: the network (theirs AlexNet, VGG or R-CNN, ours as stated, all frozen), the "
    "pictures' resolution, and the word vectors (Klein et al. have word2vec of 300 columns, and Fisher vectors of them "
    "in their best row). Rows are in the manner of the papers they name.",
)


@dataclass(frozen=True, eq=False)
class Part:
    """The pictures of one part and their sentences.

    Attributes:
        features: float32 (n, d).
        owners: int64 (m,), the picture of each sentence.
        vectors: {MEAN, TOLD: float32 (m, t)}, unit rows of the sentences.
        texts: the m sentences.
    """

    features: np.ndarray
    owners: np.ndarray
    vectors: dict
    texts: tuple

    @cached_property
    def roots(self):
        """Signed square roots of the features as unit rows, what the linear forms take."""
        return unit_rows(np.sign(self.features) * np.sqrt(np.abs(self.features)), "features")

    @cached_property
    def first(self):
        """The first sentence of each picture, int64 (n,)."""
        return np.unique(self.owners, return_index=True)[1]


class Space(NamedTuple):
    """Unit rows of pictures and sentences in one space, {part: (n, d)} and {part: (m, d)}, and what was chosen.

    Of the training part, of which only hubs are asked, it has the first sentence of each picture.
    """

    pictures: dict
    sentences: dict
    chosen: str = ""


def run(output, *, root, backbone=None, words="glove-6b-50d", seeds=3, recalled=False, progress=None):
    """Measure every row and write the report with its picture.

    Args:
        output: the folder to write.
        root: a folder in Flickr8k's layout: pictures or a folder of their features, their captions, and lists of its
            parts.
        backbone: a Backbone; None takes that of the features, else the best at hand.
        words: WordVectors, or their name or path.
        seeds: how many trainings of the joint head.
        recalled: print published figures that are recalled too, marked †.
        progress: called as progress(done, total), in pictures and then in rows.
    Raises:
        ValueError: if the folder lists no parts, or too few pictures can be used.
    """
    harness, words = Harness(output, progress), open_words(words)
    data, table, split = open_flickr(root, backbone, progress)
    world = CaptionWorld.of(table, split, words)
    told = CaptionVectors(words, terms=TERMS).fit(world.data.captions)
    parts, start = {name: part_of(world, name, told) for name in LISTS}, start_joint(world.data, told)
    harness.total = 4 + seeds + 2 * DRAWINGS
    spaces = {f"{name}, {way}": harness.each([way], lambda way, form=form: form(parts, way))
              for name, form, way in (("ridge", ridge_map, MEAN), ("hinge rank (DeViSE)", hinge_rank, MEAN),
                                      ("CCA", correlations, MEAN), ("CCA", correlations, TOLD))}
    spaces[JOINT_ROW] = harness.each(range(seeds), lambda seed: joint(world, start, parts, seed))
    if (ready := shipped(world, parts)) is not None:
        spaces[SHIPPED] = [ready]
    rows = {row: [Measured.of(space, parts, hubs=hubs) for space in mine] for name, mine in spaces.items()
            for row, hubs in ((name, False), (f"{name}, {HUBS}", True))}
    rows |= {f"control, {name}": harness.each(range(DRAWINGS), lambda seed, drawn=drawn: Measured.of(
        drawn(world, parts, seed), parts)) for name, drawn in CONTROLS.items()}
    ours = sorted((name for name in rows if not name.startswith("control")), key=lambda name: held_out(rows[name]))
    best = ours[-1], next(name for name in reversed(ours) if not name.endswith(HUBS))
    standard = len(parts["test"].features) == PICTURES  # as many as the protocol's: published rows may stand beside
    theirs = published(PAPER, data="frozen network", recalled=recalled) if standard else ()
    shown = recall_table(rows, parts["test"], theirs)
    harness.draw("Recall@1, with intervals over the test pictures", "flickr8k.png", plots.interval_plot,
                 {name: {f"{way} @1": interval(runs, f"{way} @1") for way in WAYS} for name, runs in rows.items()},
                 title="Recall@1 of sentences and pictures", label="%")
    people = [judged_table(world, parts["test"], spaces, *told) for told in tables.judged(data, table)]
    return harness.report("Flickr8k, the standard protocol", _facts(world, parts, seeds, spaces, best),
                          [shown, others_table(recalled) if theirs else None, *people],
                          (*NOTES, *(said for name in dict.fromkeys(best) for said in beaten(name, rows[name], theirs)),
                           *(f"{item.path}: {item.reason}; it is left out." for item in world.skipped[:3])),
                          trained=table.backbone["trained"])


def open_flickr(root, backbone=None, progress=None):
    """What `open_captions` gives of a folder with features, or with pictures."""
    root = Path(root)
    kept = [place for place in (root, *sorted(root.glob("*/"))) if (place / "features.json").is_file()]
    return open_captions(root, backbone, folder=kept[0] if kept and backbone is None else None, progress=progress)


def part_of(world, name, told):
    """The Part of that name by CaptionVectors; a sentence without a word that has a vector is left out."""
    captions = [(text, owner) for owner, row in enumerate(world.rows[name])
                for text in world.table.images.captions[row]]
    rows, kept = told.embed_known([text for text, _ in captions])
    means = rows[:, :told.words.dim]  # beside which the terms have theirs
    known = means.any(axis=1)
    texts, owners = zip(*[captions[place] for place in np.flatnonzero(kept)[known]], strict=True)
    return Part(np.asarray(world.table.matrix[world.rows[name]], np.float32), np.array(owners, np.int64),
                {MEAN: unit_rows(means[known]), TOLD: rows[known]}, texts)


def ridge_map(parts, way):
    """Ridge regression of a picture's mean sentence on its features."""
    train = parts["train"]
    targets = means_of(train, way)
    solve, _ = ridge(train.roots, targets)

    def space(penalty):
        kernel, bias = solve(penalty)
        return mapped(parts, way, kernel, bias - targets.mean(axis=0), np.eye(targets.shape[1]), targets.mean(axis=0),
                      f"penalty {penalty:g}")

    return chosen(parts, map(space, PENALTIES))


def hinge_rank(parts, way):
    """The hinge rank loss of each picture's mean sentence against those of all others (Frome et al. 2013)."""
    train = parts["train"]
    targets = means_of(train, way)
    heads = hinge_heads(train.roots, np.arange(len(targets)), targets)
    return chosen(parts, [mapped(parts, way, head.kernel, head.bias, np.eye(targets.shape[1]), 0, f"{epochs} epochs")
                          for epochs, head in heads.items()])


def correlations(parts, way, owners=None, penalties=PENALTIES):
    """Canonical correlations of features and sentence vectors, each weighed by its own (Klein et al. 2015).

    `owners` are whose each training sentence is; None takes those of the part.
    """
    grams, between, middles = centred(parts["train"], way, owners)
    solve = canonical(grams, between)

    def space(penalty):
        kernels, found = solve(penalty)
        kernels = [kernel[:, :COLUMNS] * found[:COLUMNS] for kernel in kernels]
        return mapped(parts, way, kernels[0], -middles[0] @ kernels[0], kernels[1], middles[1], f"penalty {penalty:g}")

    return chosen(parts, map(space, penalties))


def centred(part, way, owners=None):
    """(XᵀX, YᵀY), XᵀY and the means, of the features of each sentence's picture and the sentence vectors, centred."""
    owners, x, y = part.owners if owners is None else owners, part.roots, part.vectors[way]
    counts = np.bincount(owners, minlength=len(x))[:, None].astype(np.float32)
    middles = (counts * x).sum(axis=0) / len(y), y.mean(axis=0)
    x, y = x - middles[0], y - middles[1]
    sums = csr_matrix((np.ones(len(y), np.float32), (owners, np.arange(len(y)))), (len(x), len(y))) @ y
    return ((x * counts).T @ x, y.T @ y), x.T @ sums, middles


def canonical(grams, between):
    """A function of the penalty to the directions of both sides, as columns, and their correlations.

    They are the singular vectors of (XᵀX + λI)^-½ XᵀY (YᵀY + λI)^-½; λ = penalty · the mean variance of the side.
    """
    sides = [eigenvectors(gram) for gram in grams]
    turned = sides[0][1].T @ between @ sides[1][1]

    def solve(penalty):
        scales = [1 / np.sqrt(np.maximum(values, 0) + penalty * values.mean()) for values, _ in sides]
        left, found, right = np.linalg.svd(scales[0][:, None] * turned * scales[1], full_matrices=False)
        return [directions @ (scale[:, None] * vectors) for (_, directions), scale, vectors in
                zip(sides, scales, (left, right.T), strict=True)], found

    return solve


def joint(world, start, parts, seed):
    """The joint head of `devise captions`, on more terms."""
    head, kernel, history = train_joint(world.data, start, seed=seed)
    return space_of(parts, lambda part: head.embed(part.features),
                    lambda part, kept: unit_rows(part.vectors[TOLD][kept] @ kernel),
                    f"epoch {history.best_epoch}" if history else "")


def shipped(world, parts):
    """The space of the model that comes with devise, or None where it is of another network or other words."""
    try:
        model = pretrained(words=world.words)
        model.network.check(world.table)
    except (ValueError, MissingDependency):
        return None
    space = model.own_spaces[SHARED]
    return space_of(parts, lambda part: space.embed(part.features),
                    lambda part, kept: space.embed_text(np.array(part.texts)[kept].tolist()))


def random_words(world, parts, seed):
    """Canonical correlations with random vectors in place of the words'."""
    words = world.words
    drawn = SentenceVectors(WordVectors(words.words, np.random.default_rng(seed).normal(size=words.matrix.shape).astype(
        np.float32), name="random"), components=0)
    return correlations({name: replace(part, vectors={MEAN: drawn.embed(part.texts)}) for name, part in parts.items()},
                        MEAN)


def shuffled(world, parts, seed):
    """Canonical correlations with the training pictures' captions dealt out anew."""
    deal = np.random.default_rng(seed).permutation(len(parts["train"].features))
    return correlations(parts, MEAN, deal[parts["train"].owners])


CONTROLS = {"random word vectors": random_words, "shuffled captions": shuffled}


def means_of(part, way):
    """The unit mean of the vectors of each picture's sentences, float32 (n, t)."""
    sums = np.zeros((len(part.features), part.vectors[way].shape[1]), np.float32)
    np.add.at(sums, part.owners, part.vectors[way])
    return unit_rows(sums)


def space_of(parts, picture, sentence, said=""):
    """The Space of two functions: of a Part, and of a Part and which of its sentences count, to unit rows."""
    return Space({name: picture(part) for name, part in parts.items()},
                 {name: sentence(part, part.first if name == "train" else slice(None)) for name, part in parts.items()},
                 said)


def mapped(parts, way, kernel, bias, text_kernel, middle, said):
    """The Space of two linear maps."""
    return space_of(parts, lambda part: unit_rows((part.roots @ kernel + bias).astype(np.float32)),
                    lambda part, kept: unit_rows(((part.vectors[way][kept] - middle) @ text_kernel).astype(np.float32)),
                    said)


def chosen(parts, spaces):
    """The space with the best mean recall on the validation pictures."""
    return max(spaces, key=lambda space: Measured.held_out(space, parts))


def scores_of(space, parts, name, *, hubs=False):
    """Cosines of the pictures of a part with its sentences (n, m), or these less how near each is to the training's."""
    pictures, sentences = space.pictures[name], space.sentences[name]
    cosines = pictures @ sentences.T
    if not hubs:
        return cosines
    return 2 * cosines - nearness(pictures, space.sentences["train"])[:, None] \
        - nearness(sentences, space.pictures["train"])


def nearness(rows, others):
    """The mean cosine of each row with the nearest of the others, float32 (n,)."""
    return nearest(rows, others, min(NEIGHBOURS, len(others)))[1].mean(axis=1)


class Measured(NamedTuple):
    """What one space did.

    Attributes:
        hits: {"image → text @1": float64 (n,), …}, of each test picture; text → image is the mean over its sentences.
        medians: {"image → text, median": rank, …}.
        validation: the mean of the six recalls of the validation pictures.
    """

    hits: dict
    medians: dict
    validation: float

    @classmethod
    def of(cls, space, parts, *, hubs=False):
        """Of the test pictures, and of the validation pictures."""
        owners = parts["test"].owners
        found = text_retrieval(scores_of(space, parts, "test", hubs=hubs), owners, KS)
        counts = np.bincount(owners)
        hits = {f"{WAYS[0]} @{k}": values for k, values in found.image_to_text.items()}
        hits |= {f"{WAYS[1]} @{k}": np.bincount(owners, values) / counts for k, values in found.text_to_image.items()}
        medians = {f"{way}, median": rank for way, rank in found.median_ranks().items()}
        return cls(hits, medians, cls.held_out(space, parts, hubs=hubs))

    @staticmethod
    def held_out(space, parts, *, hubs=False):
        """The mean of the six recalls of the validation pictures."""
        scores = scores_of(space, parts, "validation", hubs=hubs)
        return text_retrieval(scores, parts["validation"].owners, KS).mean_recall()


def held_out(runs):
    """The mean over runs of what they did on the validation pictures."""
    return float(np.mean([run.validation for run in runs]))


def interval(runs, column):
    """A Spread over the test pictures, each with its mean over the runs."""
    return spread(np.mean([run.hits[column] for run in runs], axis=0))


def recall_table(rows, test, theirs):
    """Recall@k and median rank of every row, with intervals over pictures."""
    cells = {name: {column: interval(runs, column) for column in RECALLS} |
             {median: float(np.mean([run.medians[median] for run in runs])) for median in MEDIANS} |
             {VALIDATION: held_out(runs)} for name, runs in rows.items()}
    columns = [column for way in WAYS for column in (*RECALLS, *MEDIANS) if column.startswith(way)] + [VALIDATION]
    forms = dict.fromkeys(RECALLS, "interval") | {VALIDATION: "percent"}
    return Table.by_name("row", cells, columns, form=forms, published=theirs, caption=(
        f"Recall@k in %, with the 95 % interval over {len(test.features):,} test pictures, and median ranks: each "
        f"picture finds one of its own among {len(test.owners):,} sentences, and each sentence its picture. Of rows "
        f"with seeds or drawings the mean. {VALIDATION}: the mean of the six recalls there."))


def others_table(recalled):
    """Published rows that no frozen network of ours is to be compared with, or that lack columns."""
    rows = published(PAPER, data="elsewhere", recalled=recalled)
    return Table(("published", *RECALLS, *MEDIANS), (), "Published figures of the same protocol: the distance still "
                 "open, and canonical correlations by others.", published=rows,
                 form=dict.fromkeys(RECALLS, "percent"))


def beaten(name, runs, theirs):
    """In words, which published rows the row that the validation pictures chose lies above, and how surely."""
    mine = {column: interval(runs, column) for column in RECALLS}
    for row in theirs:
        above = [column for column in RECALLS if mine[column].mean > row.values[column]]
        surely = [column for column in RECALLS if mine[column].low > row.values[column]]
        if len(surely) < len(RECALLS):
            yield (f"“{name}” lies above {row.name} in {len(above)} of {len(RECALLS)} figures; in "
                   f"{len(surely)} its interval does not reach the published figure.")


def judged_table(world, test, spaces, judgements, what):
    """How well cosines of a picture and a sentence fit what people said of them."""
    if (found := tables.judged_sentences(world, judgements)) is None:
        return None
    pictures, _, texts, ratings = found
    sentences = dict(zip(test.texts, range(len(test.texts)), strict=True))
    known = np.array([text in sentences for text in texts])
    pictures, asked = pictures[known], np.array([sentences[text] for text in texts if text in sentences])
    scores = {name: [np.einsum("ij,ij->i", mine[0].pictures["test"][pictures], mine[0].sentences["test"][asked])]
              for name, mine in spaces.items()}  # of the first seed
    return tables.agreement_table(scores, ratings[known], pictures, what)


def _facts(world, parts, seeds, spaces, best):
    picked = {name: ", ".join(dict.fromkeys(space.chosen for space in mine if space.chosen))
              for name, mine in spaces.items()}
    return used(world.table.backbone, world.words) | {
        "pictures": ", ".join(f"{len(part.features):,} {name}" for name, part in parts.items()),
        "sentences": ", ".join(f"{len(part.owners):,} {name}" for name, part in parts.items()),
        "joint head": f"{JOINT['epochs']} epochs of batches of {JOINT['batch_size']}, {TERMS:,} terms",
        "chosen on validation pictures": "; ".join(f"{name}: {said}" for name, said in picked.items() if said),
        "best on validation pictures": best[0], f"best without {HUBS}": best[1], "seeds": numbered(seeds),
        "drawings of a control": DRAWINGS}
