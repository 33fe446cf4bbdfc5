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
from devise.datasets import split
from devise.heads import RidgeHead
from devise.metrics import generalised
from devise.model import SHARED, Devise, pretrained, train_labels
from devise.recipes import bundled_table
from devise.recipes.captioning import open_captions
from devise.recipes.harness import Harness, by_row, means_table, spreads
from devise.recipes.pretrained.measuring import everyday_words, precision_at_10, rightly_tagged
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
    own, n = table.images.labels[rows], len(drawn.test)
    gallery = space.embed(np.asarray(table.matrix[rows], np.float32))
    scores, tags = gallery @ labels.T, rightly_tagged(model, gallery, [names[label] for label in own])
    figures = dict(zip(("u", "s", "H"), generalised(scores, own, seen), strict=True))
    for part, mine, which in (("seen", slice(n), seen), ("unseen", slice(n, None), ~seen)):
        right = np.flatnonzero(which)[scores[:, which].argmax(axis=1)] == own
        figures |= {part: float(right[mine].mean()), f"tag, {part}": float(tags[mine].mean())}
    assert space.text is not None
    if everyday is not None:
        others, texts = space.embed(everyday), space.text.embed_known(asked.words)
        known = texts.any(axis=1)
        figures["everyday P@10"] = float(precision_at_10(texts[known] @ others.T, asked.shown[known]).mean())
        gallery = np.concatenate([gallery, others])
    shown = np.flatnonzero(seen)[:, None] == np.concatenate([own, np.full(len(gallery) - len(own), -1)])
    scores, limits = labels[seen] @ gallery.T, space.text.thresholds(labels[seen])
    figures["names P@10"] = float(np.mean(precision_at_10(scores, shown) / np.minimum(shown.sum(axis=1), 10) * 10))
    if limits is not None:
        figures |= {f"accepted, {word}": float((scores >= limits[:, None])[which].mean())
                    for word, which in (("right", shown), ("wrong", ~shown))}
    return figures


def _everyday(base, root, given):
    """(features of everyday test pictures, the Words that are asked of them), or (None, None)."""
    if root is None:
        return None, None
    _, table, parts = open_captions(root, base.backbone, folder=given)
    base.network.check(table)
    told = table.images.captions
    return (np.asarray(table.matrix[parts.test], np.float32),
            everyday_words([told[row] for row in parts.test], shipped_taxonomy()))
