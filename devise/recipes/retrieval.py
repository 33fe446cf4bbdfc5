"""What the retrieval recipes share: classes to learn from and other classes to be judged on, figures of several seeds
side by side, and what each gains on another.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from devise import backbones, features, plots
from devise.datasets.retrieval_sets import READERS
from devise.datasets.splits import Split, generator, split_classes
from devise.evaluation import retrieve
from devise.heads import ProjectionHead
from devise.metrics import paired_difference
from devise.model.classes import POWER, SHRINKAGE
from devise.model.objective import labelled
from devise.recipes import bundled_table
from devise.recipes.harness import means_table, p_of, spreads, used, verdict
from devise.report import Table

SETS = {"cub200": "cub200", "cars196": "cars196", "sop": "online-products", "in-shop": "in-shop"}
KS = (1, 10, 50, 1000)
TEST, VALIDATION = 0.3, 0.2
STRENGTHS = (1 / 3, 2 / 3, 1.0)  # of changed copies
FIGURES = {"Recall@1": lambda run: run.hit_at_k[1], "R-precision": lambda run: run.r_precision,
           "MAP@R": lambda run: run.map_at_r}
DEEPER = {"hit@{k}": "hit_at_k", "recall@{k}": "recall_at_k", "precision@{k}": "precision_at_k",
          "its ceiling, {k}": "ceiling_at_k"}
TERMS = ("Recall@1 is hit@1 and precision@1; hit@k, any right answer among the first k, is what metric-learning papers "
         "call Recall@k; recall@k is the share of the right answers among the first k")


@dataclass(frozen=True, eq=False)
class RetrievalSource:
    """Labelled pictures as features, with the classes that nothing may learn from.

    Attributes:
        table: FeatureTable.
        split: Split without validation: `train` is all that may be learned from or chose by.
        queries, gallery: int64 rows of the test classes, or None: each asks all others.
        name: of a published set, a key of SETS; else None.
    """

    table: features.FeatureTable
    split: Split
    queries: np.ndarray | None = None
    gallery: np.ndarray | None = None
    name: str | None = None

    @property
    def labels(self):
        """int64 (n,), positions in the names of the classes."""
        return self.table.images.labels

    @property
    def names(self):
        """The classes."""
        return self.table.images.label_names

    @cached_property
    def matrix(self):
        """float32 (n, dim)."""
        return np.asarray(self.table.matrix, np.float32)

    @cached_property
    def single(self):
        """The classes to learn from that have one picture, and so no other to find."""
        return tuple(name for name in self.table.images.single if name in set(self.split.seen))

    def parts(self, seed):
        """A Split: classes that train, classes that choose, drawn by the seed, and the test classes.

        Two classes choose at the least: of one nothing can be mistaken for another.
        """
        many = len(self.split.names["train"]) - len(self.single)
        validation = max(2, int(VALIDATION * many + 0.5))
        return split_classes(self.labels, self.names, validation=validation, test=self.split.names["test"], seed=seed)

    def folds(self, n):
        """The classes to learn from in n parts, each the validation of one (train rows, validation rows) pair.

        Classes of one picture, which has no other to find, are always among those that train.

        Raises:
            ValueError: if there are fewer than 2 n classes with two pictures.
        """
        rows = self.split.train
        many = [name for name in self.split.names["train"] if name not in self.single]
        if n < 2 or len(many) < 2 * n:
            raise ValueError(f"{n} folds were asked for and {len(many)} classes have two pictures to learn from: "
                             f"expected two folds or more, and two classes for each")
        ranks = {name: generator(0, "folds", name).random() for name in many}
        order = [self.names.index(name) for name in sorted(many, key=ranks.get)]
        held = [np.isin(self.labels[rows], order[fold::n]) for fold in range(n)]
        return [(rows[~mask], rows[mask]) for mask in held]

    def measure(self, embed, *, ks=KS):
        """The Retrieval of an embedding, features (m, dim) → rows, among the test classes; ids are places in these."""
        rows = self.split.test
        places = {part: None if found is None else np.searchsorted(rows, found)
                  for part, found in (("queries", self.queries), ("gallery", self.gallery))}
        return retrieve(embed(self.matrix[rows]), self.labels[rows], ks=ks, **places)

    def facts(self):
        """What a report says of it."""
        counts = {part: len(names) for part, names in self.split.names.items()}
        asked = len(self.split.test) if self.queries is None else len(self.queries)
        among = "each among all others" if self.gallery is None else f"in a gallery of {len(self.gallery):,}"
        said = used(self.table.backbone) | {
            "pictures": len(self.table),
            "to learn from": f"{counts['train']:,} classes, {len(self.split.train):,} pictures",
            "untrained": f"{counts['test']:,} classes, {len(self.split.test):,} pictures, {asked:,} of which ask, "
                         f"{among}"}
        if counts["test"] <= 60:
            said["untrained classes"] = list(self.split.names["test"])
        if self.single:
            said["classes of one picture"] = f"{len(self.single):,}: {', '.join(self.single[:10])}"
        return said

    def notes(self):
        """What was left out, for a report."""
        notes = [self.table.images.report()] if self.table.images.skipped else []
        if self.single:
            notes.append(f"{len(self.single):,} classes have one picture, which has no other to find: they are "
                         "not among the untrained ones, and give no pair to learn from.")
        if (self.labels < 0).any():
            notes.append(f"{int((self.labels < 0).sum()):,} pictures without a class are in no part.")
        return notes


def open_retrieval(data=None, backbone=None, *, test=TEST, root=None, name=None, progress=None):
    """The bundled set, labelled pictures, their features, or a published set in its own split.

    Args:
        data: ImageSet or FeatureTable; None takes the bundled set.
        backbone: the Backbone of pictures.
        test: classes that nothing learns from: names, how many, or a share; drawn by seed 0.
        root, name: the folder of a published set, and which of SETS it is, in place of the others.
    Raises:
        ValueError: if the pictures have no classes, fewer than two are left for a part, or features
            hold NaN.
    """
    if root is not None:
        if name not in SETS:
            raise ValueError(f"there is no set {name!r}: expected {', '.join(SETS)}")
        found = READERS[SETS[name]](root)
        table = features.usable(features.extract(found.images, backbone or "auto", progress=progress))
        split = found.split.among(found.images.paths, table.images.paths)
        places = {path: row for row, path in enumerate(table.images.paths)}
        asking = [None if rows is None else np.sort([places[found.images.paths[row]] for row in rows
                                                     if found.images.paths[row] in places])
                  for rows in (found.queries, found.gallery)]
    else:
        data, asking, name = bundled_table()[0] if data is None else data, [], None
        labelled(data)  # refuses those without labels
        table = features.usable(features.extract(data, backbone or "auto", progress=progress))
        split = split_classes(table.images.labels, table.images.label_names, validation=0, test=test)
    if len(split.names["test"]) < 2:
        raise ValueError(f"{len(split.names['test'])} classes are for the figures: expected two or more")
    return RetrievalSource(table, split, *asking, name=name)


def start(dim=None):
    """A head that begins with the closed form of the rows it is fitted on; None keeps all columns."""
    return ProjectionHead(dim, start="within-class", shrinkage=SHRINKAGE, power=POWER)


def has_pictures(table):
    """Whether the pictures of a table are on this disk, as far as the first tells."""
    return table.images.root is not None and len(table) > 0 and table.images.file(0).is_file()


def network_of(table, backbone=None):
    """The Backbone that a table's features are of: the one given, or the one they name.

    Raises:
        ValueError: if the weights at hand are others.
    """
    if backbone is None or isinstance(backbone, str):
        backbone = backbones.load(table.backbone["name"], layer=table.backbone["layer"])
    if backbone.fingerprint != table.backbone["fingerprint"]:
        raise ValueError(f"the features are of {table.backbone['name']} ({table.backbone['fingerprint'][:12]}), the "
                         f"weights at hand are others ({backbone.fingerprint[:12]}): extract the features again")
    return backbone


def changed_copies(table, rows, backbone, *, strengths=STRENGTHS, seed=0, progress=None):
    """The features (m, dim) of one changed copy of some rows' pictures at each strength, cached as any network's."""
    images, levels = table.images.subset(rows), []
    for number, strength in enumerate(strengths):
        found = features.extract(images, features.Augmented(backbone, strength, seed=seed), progress=progress and (
            lambda done, total, number=number: progress(number * total + done, len(strengths) * total)))
        if len(found) < len(images):
            lost = found.images.skipped[-1]
            raise ValueError(f"{len(images) - len(found)} pictures can't be read any more, such as {lost.path}: "
                             f"{lost.reason}")
        levels.append(found.matrix)
    return levels


def means_of(run, depth=None):
    """{column: mean over the queries} of a Retrieval; with a depth k four more columns."""
    found = {name: _mean(figure(run)) for name, figure in FIGURES.items()}
    if depth is not None:
        found |= {form.format(k=depth): _mean(getattr(run, figure)[depth]) for form, figure in DEEPER.items()}
    return found


def figures_table(caption, rows, *, head="embedding", depth=None, **options):
    """What each row retrieves: the mean over its seeds, with the 95 % interval over them.

    Args:
        caption: without its last full stop.
        rows: {name: [Retrieval, one a seed]}; of what has no seed one.
        depth: a k for four more columns; left out where the gallery has not so many.
        options: extra and published, as of `means_table`.
    """
    one = next(iter(rows.values()))[0]
    found = {name: [means_of(run, depth if depth in one.ks else None) for run in runs] for name, runs in rows.items()}
    lost = f". {one.undefined:,} without a right answer in the gallery are left out" if one.undefined else ""
    return means_table(head, found, form="interval", **options, caption=(
        f"{caption}. {one.n - one.undefined:,} pictures ask, a gallery of {one.gallery:,}{lost}. {TERMS}."))


def compare(before, after):
    """What one list of Retrievals gains on another, by each query's mean over the seeds: {figure: Comparison}.

    The interval is over classes, each counting once, see `devise.metrics.paired_difference`.
    """
    means = {name: [np.mean([figure(run) for run in runs], axis=0) for runs in (before, after)]
             for name, figure in FIGURES.items()}
    return {name: paired_difference(*pair, after[0].labels) for name, pair in means.items()}


def gains_table(caption, pairs, *, head="embedding"):
    """What each row gains, in percentage points.

    Args:
        pairs: {name: (runs before, runs after)}.
    Returns:
        Table of Comparisons, with the least and the largest difference of MAP@R over the seeds.
    """
    rows = {}
    for name, (before, after) in pairs.items():
        found = compare(before, after)
        rows[name] = {**found, "p": p_of(found["MAP@R"]), "MAP@R by seed": _by_seed(before, after),
                      "verdict": verdict(found["MAP@R"])}
    columns = (*FIGURES, "p", "MAP@R by seed", "verdict")
    text = (f"{caption}, in percentage points, with the 95 % t interval over classes (each class counts once; each "
            "picture has its mean over the seeds). p and the verdict are of MAP@R; better or worse means that the "
            "interval excludes 0.")
    return Table.by_name(head, rows, columns, caption=text, form="interval")


def draw_map_at_r(harness, source, rows, what):
    """MAP@R of each row, with intervals over the seeds."""
    shown = {name: spreads([means_of(run) for run in runs], ("MAP@R",)) for name, runs in rows.items()}
    harness.draw(f"MAP@R of each {what} on the untrained classes", "map_at_r.png", plots.interval_plot, shown,
                 label="MAP@R (%)", origin=None,
                 title=f"Retrieval of {len(source.split.names['test'])} classes that nothing learned from",
                 note=f"mean and 95 % interval over {max(map(len, rows.values()))} seeds; a dot alone has no seed")


def _by_seed(before, after):
    """The least and the largest difference of MAP@R, as text; None for one seed. What has no seed is beside each."""
    n = max(len(before), len(after))
    gains = [100 * (_mean(after[seed % len(after)].map_at_r) - _mean(before[seed % len(before)].map_at_r))
             for seed in range(n)]
    return f"{min(gains):+.2f} to {max(gains):+.2f}".replace("-", "−") if n > 1 else None


def _mean(values):
    return float(np.nanmean(values))
