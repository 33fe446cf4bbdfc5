"""Every zero-shot rule beside every control, from one table of features, over draws of unseen classes.

Table 1 ranks labels, Table 2 counts exact tags among 20,000 words; then come the seeds of what is
trained by steps, hierarchical precision, and which differences are more than luck.
"""

from collections import Counter

import numpy as np

from devise import plots
from devise.datasets import Split, draw_unseen
from devise.metrics import paired_difference
from devise.model import FIRST_WORDS
from devise.recipes import bundled_table
from devise.recipes.harness import Harness, by_row, means_table, p_of, span, used
from devise.recipes.measuring import EXACT_COLUMNS, LABEL_COLUMNS, chance, hierarchical, measure
from devise.recipes.rules import HEAD, LIFTS, PENALTIES, TRAINED, TRAINING, contenders, lift_table, others, trained
from devise.recipes.world import open_world
from devise.report import Table
from devise.words import label_synsets, open_words

CONTROLS = ("random vectors", "softmax, seen classes", "chance")
HIERARCHICAL = ("Ridge", "Lift", "softmax, seen classes", "random vectors")
PAIRED = {"open": "exact tags, open", "strict": "exact tags, strict", "unseen": "hit@1 over the unseen labels"}
NOTES = (
    "Every choice (penalties, γ of stacking, a and b of Lift) was made for each draw anew, on folds over its seen "
    "classes. SAE, ALE, ConSE and the head have the options they come with.",
    "Open: ImageNet's classes as they are. Strict: those that are a draw's unseen label in WordNet, or a kind of it, "
    "are hidden. Wide: also those that look the same or have the label's word in a name. The network had seen "
    "pictures of them all the same. Ridge, ESZSL, SAE, ALE and the head name by no ImageNet class: nothing is hidden, "
    "and the three readings are one figure.",
    "Inside and outside ImageNet: labels for which the wide reading hides some class, and the others.",
    "Lift's form, and the numbers it chooses from, were found on the 32 seen classes of the bundled split: its figures "
    "over other draws are not those of classes that nobody had looked at.",
    "ConSE and Lift learn nothing from the seen classes: all labels are alike to them, and u, s and AUSUC say how "
    "well they tell 37 labels apart.",
    "random vectors: the Ridge rule where each word and label stands for a vector drawn at random. softmax: a linear "
    "classifier, which knows no unseen label; in Table 2 it can name none of them.",
)


def run(output, *, data=None, split=None, backbone=None, words="glove-6b-50d", draws=20, unseen=5, seeds=5,
        beside=(), first=FIRST_WORDS, seed=0, training=None, sizes=HEAD, progress=None):
    """Measure all rules over the draws and write the report with its picture.

    Args:
        output: the folder to write.
        data: FeatureTable whose labels `devise.words.label_synsets` knows; None takes the bundled set.
        split: its own Split, which is draw 0; None has random draws alone.
        backbone: what turns the features into ImageNet's logits; None loads the one they are from.
        words: name or path of word vectors.
        draws: how many random draws of unseen classes.
        seeds: how many trainings of the rules that have a seed, on the first draw.
        beside: (name, file) pairs of other systems, as `devise.recipes.rules.other_system` reads them.
        first: how many words are candidates; the labels join them.
        training: options of the trained head, as of `devise.training.train`.
        sizes: of its hidden layers.
        progress: called as progress(done, total).
    Raises:
        ValueError: if a label has no synset, or the network's classes are not ImageNet's 1,000.
    """
    harness = Harness(output, progress)
    table, split = bundled_table() if data is None else (data, split)
    world = open_world(table, backbone, open_words(words), first=first)
    if world.logits is None:
        raise ValueError(f"the classes of {table.backbone['name']} are not ImageNet's 1,000, which ConSE and Lift name "
                         "pictures by: give features and a backbone that has them")
    strangers, notes = others(world, beside)
    drawn = [*([_own(split)] if split else []),
             *draw_unseen(world.labels, world.synsets, draws, unseen=unseen, seed=seed)]
    options = {"head": sizes, "training": training or TRAINING}
    harness.total = len(drawn) + seeds - 1
    lifts, chosen, near = lift_table(world), [], []

    def of_draw(draw):
        found, choices = contenders(world, draw, lifts=lifts, seed=seed, **options)
        near.append(hierarchical(world, draw, {name: found[name] for name in HIERARCHICAL}))
        chosen.append(choices)
        found |= strangers
        return {name: measure(world, draw, found[name]) for name in sorted(found, key=CONTROLS.__contains__)} | {
            "chance": chance(world, draw)}

    def of_seed(number):
        return {name: measure(world, drawn[0], rule)
                for name, rule in trained(world, drawn[0], seed + number, **options).items()}

    measured = harness.each(drawn, of_draw)
    runs = [{name: measured[0][name] for name in TRAINED}, *harness.each(range(1, seeds), of_seed)]
    tables = _tables(world, drawn, measured, near, runs)
    _draw(harness, world, drawn, tables[1])
    return harness.report("Zero-shot rules and their controls, from one table of features",
                          _facts(world, drawn, chosen, options, seeds, own=bool(split)), tables, (*NOTES, *notes),
                          trained=table.backbone["trained"])


def _own(split):
    """The set's own split, its classes named by their synsets; no choice needs its validation part, so it trains."""
    names = {part: [label_synsets()[name].synset for name in found] for part, found in split.names.items()}
    return Split(np.concatenate([split.train, split.validation]), test=split.test, unseen_rows=split.unseen_rows,
                 names=names | {"validation": ()}, seed=split.seed)


def _tables(world, drawn, measured, near, runs):
    n_draws, n_unseen = len(drawn), len(drawn[0].unseen)
    n_seen, n_labels = len(world.vectors) - n_unseen, len(world.vectors)
    over = f"Mean of {n_draws} draws of {n_unseen} unseen classes, with the 95 % interval over the draws, in %"
    tests, pictures = (span(map(len, parts)) for parts in ([draw.test for draw in drawn],
                                                           [draw.unseen_rows for draw in drawn]))
    words = f"{len(world.points):,} candidates, the first words and every label"
    found, options = _figures(measured), {"form": "interval"}
    return [
        means_table("rule", found, LABEL_COLUMNS, **options, caption=(
            f"{over}. A draw has {tests} test pictures of seen classes and {pictures} of unseen ones. test, seen: "
            f"hit@1 over the {n_seen} seen labels, and its mean per class; unseen: hit@1 over the {n_unseen} unseen "
            f"labels, which is the mean per class too; u, s, H and AUSUC: per-class means over all {n_labels} labels, "
            "of unseen and of seen pictures.")),
        means_table("rule", found, EXACT_COLUMNS, **options, caption=(
            f"{over}. Pictures of unseen classes with exactly their label among the first 10 tags; {words}; {pictures} "
            "pictures a draw.")),
        means_table("rule", _figures(runs), (*LABEL_COLUMNS, "open"), **options, caption=(
            f"What another seed of the training does: mean of {len(runs)} seeds on the first draw, with the 95 % "
            "interval over the seeds, in %. Columns as in Tables 1 and 2.")),
        means_table("k =", by_row(near), **options, caption=(
            f"Hierarchical precision@k. {over}; {n_labels} candidates, all labels, as WordNet has them; {tests} test "
            f"pictures and {pictures} unseen ones a draw.")),
        *(_paired_table(world, drawn, measured, key, words, n_unseen) for key in PAIRED)]


def _figures(measured):
    return {name: [one.figures for one in found] for name, found in by_row(measured).items()}


def _paired_table(world, drawn, measured, key, words, n_unseen):
    """The best rule against each other one: over classes, each picture with its mean over its draws."""
    rows, places = np.unique(np.concatenate([draw.unseen_rows for draw in drawn]), return_inverse=True)
    hits = {name: np.concatenate([one.hits[key] for one in mine]) for name, mine in by_row(measured).items()
            if key in mine[0].hits}
    means = {name: np.bincount(places, each) / np.bincount(places) for name, each in hits.items()
             if not np.isnan(each[0])}
    best = max((name for name in means if name not in CONTROLS), key=lambda name: means[name].mean())
    classes, shown = world.labels[rows], {}
    for name in means:
        if name != best:
            result = paired_difference(means[name], means[best], classes)
            shown[name] = {"difference": result, "p": p_of(result),
                           "verdict": f"{best} is better" if result.low > 0 else "no difference shown"}
    candidates = f"the {n_unseen} unseen labels" if key == "unseen" else words
    text = (f"{best}, the best rule by {PAIRED[key]}, less each other one: percentage points, with the 95 % t "
            f"interval over {len(np.unique(classes))} classes, each counting once; {len(rows):,} pictures, each with "
            f"its mean over the {len(drawn)} draws. Candidates: {candidates}. "
            "Better means that the interval excludes 0.")
    return Table.by_name("other rule", shown, caption=text, form="interval")


def _draw(harness, world, drawn, table):
    rows = {row[0]: {reading: values[reading] for reading in ("open", "strict") if reading in values}
            for row in table.rows for values in [table.row(row[0])]}
    harness.draw("Exact tags among the first 10, open and strict, with 95 % intervals over the draws", "exact_tags.png",
                 plots.interval_plot, {name: values for name, values in rows.items() if values},
                 title="The label of a class never seen among a picture's first 10 tags",
                 label="exact tags (% of pictures)",
                 note=f"{len(world.points):,} candidates; mean and 95 % interval over {len(drawn)} draws of "
                 f"{len(drawn[0].unseen)} unseen classes, {span(len(one.unseen_rows) for one in drawn)} pictures each")


def _facts(world, drawn, chosen, options, seeds, *, own):
    mine, epochs = world.table.backbone, options["training"].get("epochs", 60)
    sizes = " → ".join(map(str, (mine["dim"], *options["head"], world.words.dim)))
    kinds = {what: Counter(choices[what] for choices in chosen) for what in chosen[0] if "stack" not in what}
    gammas = {what: "{:.2g}, {:.2g} and {:.2g}".format(*np.quantile([choices[what] for choices in chosen], (0, 0.5, 1)))
              + " (least, median and largest of the draws)" for what in chosen[0] if "stack" in what}
    return used(mine, world.words) | {
        "pictures": len(world.table), "classes": len(world.names),
        "draws": f"{len(drawn)}: " + (f"the set's own and {len(drawn) - 1} random ones" if own else "all random"),
        "seeds": f"{seeds} trainings of {' and '.join(TRAINED)} on the first draw, one on each other",
        "head": f"{sizes}, cosine loss, {epochs} epochs",
        **{what: [f"{_plain(value)} ({count} draws)" for value, count in counts.most_common()]
           for what, counts in kinds.items()},
        **gammas, "penalties to choose from": list(PENALTIES), "a and b to choose from": [*map(_plain, LIFTS)]}


def _plain(value):
    return " and ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"
