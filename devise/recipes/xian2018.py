"""The zero-shot benchmarks of Xian et al. 2018 on their proposed splits, beside the published rows.

Attributes are the label vectors. Every option is chosen on classes held out of the training pictures,
by the sets' own train and validation classes; the rule is then learned anew from both.
"""

from pathlib import Path

import numpy as np

from devise import plots
from devise.datasets import Split
from devise.datasets.xlsa import present, read_set
from devise.heads import ALE, ESZSL, SAE, SJE, ConseHead, HingeRankHead, RidgeHead
from devise.metrics import generalised, per_class_top1, seen_unseen_curve
from devise.recipes.harness import Harness, by_row, curve, means_table, numbered, seeds_text
from devise.recipes.measuring import HITS, each_ranked, means
from devise.recipes.published import count_of, published
from devise.recipes.rules import softmax, tops
from devise.zeroshot import choose_options, onto

COLUMNS = ("top-1", "u", "s", "H", "AUSUC")
STEPS = {"rate": (0.03, 0.3), "epochs": (3, 10)}
PENALTIES = (0.01, 0.1, 1.0, 10.0)
METHODS = {
    "DeViSE (hinge rank, linear)": (HingeRankHead, STEPS),
    "DeViSE (ridge, cosine)": (RidgeHead, {"penalty": PENALTIES}),
    "ALE": (ALE, STEPS),
    "SJE": (SJE, STEPS),
    "ESZSL": (ESZSL, {"gamma": PENALTIES[:3], "lam": PENALTIES[:3]}),
    "SAE": (SAE, {"lam": PENALTIES}),
}
TOPS = (1, 5, 10)  # of ConSE, and all classes
EPOCHS = 30  # of its classifier
HELD = 0.1  # of the training pictures of ConSE's classifier: they choose its epoch


def run(output, *, root, seeds=1, recalled=False, progress=None):
    """Measure every rule on every set under a folder and write the report with its pictures.

    Args:
        output: the folder to write.
        root: holds a folder a set: SUN, CUB, AWA1, AWA2, APY, those that are there.
        seeds: how many runs; a seed orders the pictures that rules learn from step by step.
        recalled: print published figures that are recalled too, marked †.
    Raises:
        FileNotFoundError: if there is no set, or one lacks a file.
        ValueError: if a file can't be used.
    """
    harness, chosen, sizes = Harness(output, progress), {}, {}

    def of_set(name):
        data = read_set(Path(root) / name)
        runs = [_run(data, seed) for seed in range(seeds)]
        chosen[name] = runs[0]["options"]
        sizes[name] = (f"{len(data.labels):,} pictures, {data.features.shape[1]}-d, {data.attributes.shape[1]} "
                       f"attributes, {data.seen.sum()} seen and {(~data.seen).sum()} unseen classes")
        harness.draw(f"{name}: flat hit@k of the unseen classes' pictures, every picture counting the same",
                     f"hit_at_k-{name}.png", plots.hit_curve, curve(by_row([run["hits"] for run in runs]), HITS),
                     title=f"{name}: pictures of the unseen classes, which are the candidates")
        return _table(data, by_row([run["figures"] for run in runs]), seeds, recalled)

    tables = harness.each(present(root), of_set)
    return harness.report("Zero-shot benchmarks, proposed splits (Xian et al. 2018)",
                          sizes | {"seeds": numbered(seeds)}, tables, _notes(chosen))


def choose(method, grid, data, *, seed=0):
    """The Choice of options for an AttributeSet, by its own validation classes, see `choose_options`."""
    held = Split(data.train, unseen_rows=data.validation)
    return choose_options(method, grid, data.features, data.labels, data.attributes, folds=[held], seed=seed)


def _run(data, seed):
    """{"figures": {row: {column: fraction}}, "hits": {row: {"hit@k": fraction}}, "options": {row: options}}."""
    rows = np.concatenate([data.test_seen, data.test_unseen])
    x, labels = data.features[rows], data.labels[rows]
    figures, hits, chosen = {}, {}, {}
    for name, (method, grid) in METHODS.items():
        chosen[name] = choose(method, grid, data, seed=seed).options
        learned = method(**chosen[name]).fit(data.features[data.trainval], data.labels[data.trainval],
                                             data.attributes, seed=seed)
        figures[name], hits[name] = _measure(onto(learned, data.attributes).scores(x), labels, data)
    chosen["ConSE"], scores = _conse(data, x, seed)
    figures["ConSE"], hits["ConSE"] = _measure(scores, labels, data)
    return {"figures": figures, "hits": hits, "options": chosen}


def _conse(data, x, seed):
    """(options, scores of some features over all classes) of ConSE on a softmax of the seen classes."""
    classes, head = _classifier(data, data.train, seed)
    known, answers = np.unique(data.labels[data.validation], return_inverse=True)
    logits = head.outputs(data.features[data.validation])

    def scores(top, logits, candidates):
        rule = onto(ConseHead.of_logits(data.attributes[classes], top=top), data.attributes[candidates])
        return rule.scores(logits)

    top = max(tops(len(classes), TOPS), key=lambda top: per_class_top1(scores(top, logits, known), answers).value)
    everything = top == len(classes)
    classes, head = _classifier(data, data.trainval, seed)
    top = len(classes) if everything else top
    return {"T": top}, scores(top, head.outputs(x), slice(None))


def _classifier(data, rows, seed):
    """(the classes, ascending, and a softmax over them) learned from some rows."""
    classes, answers = np.unique(data.labels[rows], return_inverse=True)
    held = np.random.default_rng(seed).random(len(rows)) < HELD
    held[np.unique(answers, return_index=True)[1]] = False  # one picture a class is learned from
    if not held.any():
        held[:] = True
    validation = data.features[rows[held]], answers[held]
    learned = ~held if not held.all() else held
    return classes, softmax(data.features[rows[learned]], answers[learned], len(classes), validation, seed=seed,
                            epochs=EPOCHS)


def _measure(scores, labels, data):
    """({column: fraction}, {"hit@k": fraction}) of the scores of test pictures over all classes."""
    seen = data.seen
    unseen = np.flatnonzero(~seen)
    of_unseen = ~seen[labels]
    alone, answers = scores[of_unseen][:, unseen], np.searchsorted(unseen, labels[of_unseen])
    u, s, harmonic = generalised(scores, labels, seen)
    figures = {"top-1": per_class_top1(alone, answers).value, "u": u, "s": s, "H": harmonic,
               "AUSUC": seen_unseen_curve(scores, labels, seen).area}
    ids = np.argsort(-alone, axis=1, kind="stable")
    return figures, means(each_ranked(ids, answers, None, len(unseen)))


def _table(data, found, seeds, recalled):
    n_unseen = int((~data.seen).sum())
    caption = (f"{data.name}: per-class mean top-1, in %; {seeds_text(seeds)}. top-1: "
               f"{len(data.test_unseen):,} pictures over {n_unseen} unseen classes. u, s, H: these and "
               f"{len(data.test_seen):,} pictures of seen classes over all {len(data.class_names)}; AUSUC is the area "
               "under s over u for every calibration.")
    return means_table("rule", found, COLUMNS, caption=caption, published=_beside(data, n_unseen, recalled))


def _beside(data, n_unseen, recalled):
    """The published rows, where the classes are as many as theirs."""
    same = (len(data.class_names), n_unseen) == (count_of(data.name), count_of(data.name, "unseen"))
    return published("xian2018", data=data.name, recalled=recalled) if same else ()


def _notes(chosen):
    notes = ["Options were chosen on validation classes, by per-class mean top-1, among the pictures of trainval_loc "
             "alone: train_loc and val_loc also hold pictures of test_seen_loc, which were left out. No figure is "
             "calibrated.",
             "DeViSE as the benchmark has it is the hinge rank loss with a linear map; ridge regression with cosines "
             "is our usual head. ConSE's classifier is a softmax on the same features. SAE, and DeViSE by ridge, have "
             "no published row here."]
    for name, options in chosen.items():
        said = "; ".join(f"{rule} {', '.join(f'{key} {value:g}' for key, value in found.items())}"
                         for rule, found in options.items())
        notes.append(f"{name}, chosen with seed 0: {said}.")
    return tuple(notes)
