"""Classes learnt beside the model that comes with devise, from nothing, and that model alone, over draws.

What is asked: are the seen classes told apart as well as by a training of their own, the unseen ones and everyday words
found as well as without any training?
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from devise import features as tables
from devise import plots
from devise.arrays import top_k
from devise.datasets import split
from devise.heads import RidgeHead
from devise.metrics import generalised, precision_at_k
from devise.model import SHARED, Devise, naming, pretrained, train_labels
from devise.recipes import bundled_table
from devise.recipes.captioning import open_captions
from devise.recipes.harness import Harness, by_row, means_table, spreads
from devise.recipes.pretrained.measuring import everyday_words, usual_names
from devise.report import Report
from devise.words import shipped_taxonomy

ALONE, BESIDE, NOTHING = "the model that comes with devise", "classes learnt beside it", "a ridge from nothing"
LABELS = ("seen", "unseen", "u", "s", "H")
TAGS = ("tag, seen", "tag, unseen", "names P@10", "everyday P@10", "accepted, right", "accepted, wrong")
NOTES = (
    "The three numbers of a model learnt beside another (docs/how-it-works.md) were chosen on eight draws of the "
    "bundled classes: their figures on these are not those of classes that nobody had looked at. The model that "
    "comes with devise knows the bundled classes' pictures too.",
    "A training chooses its penalty on validation pictures of the seen classes. From nothing, labels are word vectors, "
    "and tags the nearest of 20,000 words.",
)


def run(output: str | Path, *, images: tables.FeatureTable | None = None, backbone: object = None,
        root: str | Path | None = None, features: str | None = None, draws: int = 20, unseen: int = 5,
        progress: Callable[[int, int], object] | None = None) -> Report:
    """Measure the three over the draws and write the report with its picture.

    Args:
        output: the folder to write.
        images: labelled pictures, or their features; None takes the bundled set.
        backbone: the Backbone of an ImageSet.
        root: a folder in Flickr8k's layout, whose test pictures are asked for everyday words and lie among the others
            where names are asked for; None leaves these out.
        features: those of its pictures, a folder of `devise extract`; without them the pictures are looked at.
        draws: how many draws of unseen classes; draw d splits the seen pictures by the seed d.
        unseen: classes of a draw.
    Returns:
        Report.
    """
    harness = Harness(output, progress)
    base = pretrained()
    table = bundled_table()[0] if images is None else base.features(images)
    names = table.images.label_names
    everyday, asked = _everyday(base, root, features)

    def of_draw(seed):
        drawn = split(table.images.labels, names, unseen=unseen, seed=seed)
        models = {NOTHING: train_labels(table, start=None, head=RidgeHead(), split=drawn), ALONE: base,
                  BESIDE: train_labels(table, start="everyday", split=drawn)}
        return {name: measured(model, table, drawn, everyday, asked) for name, model in models.items()}

    found = by_row(harness.each(range(draws), of_draw))
    over = f"Mean of {draws} draws of {unseen} of the {len(names)} classes, with the 95 % interval over the draws, in %"
    beside = "" if everyday is None else f" and {len(everyday):,} everyday pictures"
    hits = means_table("model", found, LABELS, form="interval", caption=(
        f"{over}. seen, unseen: hit@1 of test pictures over the {len(names) - unseen} seen labels, of unseen ones over "
        f"the {unseen} unseen labels; u, s and H: of both over all labels, per-class means and their harmonic mean."))
    tags = means_table("model", found, TAGS, form="interval", caption=(
        f"{over}. tag: pictures with a usual name of their class among ten tags. names P@10: the seen labels asked of "
        f"all test and unseen pictures{beside}, precision at 10 as a share of what can be reached. everyday P@10: "
        "nouns of the captions. accepted: pictures above a seen label's threshold, of its class and of all others."))
    harness.draw("Hit@1 of seen and unseen pictures, and the harmonic mean", "beside.png", plots.interval_plot,
                 {name: spreads(runs, ("seen", "unseen", "H")) for name, runs in found.items()})
    facts = {"backbone": base.network.name, "pictures": len(table), "classes": len(names), "draws": draws}
    if everyday is not None:
        facts |= {"everyday pictures": len(everyday), "everyday words": len(asked.words)}
    return harness.report("Classes learnt beside the model that comes with devise", facts, [hits, tags], NOTES)


def measured(model: Devise, table: tables.FeatureTable, drawn, everyday, asked) -> dict[str, float]:
    """The figures of a model on a draw, fractions; one that it has not is left out.

    Args:
        everyday: features (m, dim) of everyday pictures, or None; asked: the `Words` asked of them.
    """
    names, space = table.images.label_names, model.spaces[SHARED]
    labels = model.candidates("all").vectors if model.label_names else model.embed_text(
        [name.replace("_", " ") for name in names])
    seen = np.isin(names, drawn.seen)
    rows = np.concatenate([drawn.test, drawn.unseen_rows])
    own, of_seen = table.images.labels[rows], np.arange(len(rows)) < len(drawn.test)
    embedded = space.embed(np.asarray(table.matrix[rows], np.float32))
    scores = embedded @ labels.T
    right = {part: np.flatnonzero(which)[scores[chosen][:, which].argmax(axis=1)] == own[chosen]
             for part, which, chosen in (("seen", seen, of_seen), ("unseen", ~seen, ~of_seen))}
    u, s, harmonic = generalised(scores, own, seen)
    tags = [bool({tag.name for tag in found} & usual_names(names[label]))
            for found, label in zip(naming(model).tag(embedded, 10), own, strict=True)]
    told = {} if everyday is None else {"everyday P@10": _everyday_precision(space, everyday, asked)}
    gallery = embedded if everyday is None else np.concatenate([embedded, space.embed(everyday)])
    shown = np.arange(len(names))[:, None] == np.concatenate([own, np.full(len(gallery) - len(own), -1)])
    texts = labels[seen] @ gallery.T
    found = precision_at_k(np.take_along_axis(shown[seen], top_k(texts, 10)[0], axis=1), 10)
    assert space.text is not None
    limits = space.text.thresholds(labels[seen])
    accepted = {} if limits is None else {
        f"accepted, {word}": float((texts >= limits[:, None])[which].mean())
        for word, which in (("right", shown[seen]), ("wrong", ~shown[seen]))}
    return {**{part: float(hits.mean()) for part, hits in right.items()}, "u": u, "s": s, "H": harmonic,
            "tag, seen": float(np.mean(tags[:len(drawn.test)])), "tag, unseen": float(np.mean(tags[len(drawn.test):])),
            "names P@10": float(np.mean(found / np.minimum(shown[seen].sum(axis=1), 10) * 10)), **told, **accepted}


def _everyday(base, root, given):
    """(features of everyday test pictures, the Words that are asked of them), or (None, None)."""
    if root is None:
        return None, None
    _, table, parts = open_captions(root, base.backbone, folder=given)
    base.network.check(table)
    told = table.images.captions
    return (np.asarray(table.matrix[parts.test], np.float32),
            everyday_words([told[row] for row in parts.test], shipped_taxonomy()))


def _everyday_precision(space, everyday, asked):
    texts = space.text.embed_known(asked.words)
    known = texts.any(axis=1)
    right = np.take_along_axis(asked.shown[known], top_k(texts[known] @ space.embed(everyday).T, 10)[0], axis=1)
    return float(precision_at_k(right, 10).mean())
