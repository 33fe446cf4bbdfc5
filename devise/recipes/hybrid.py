"""The 2000–300 hybrid: a frozen network, a small head onto word vectors, flat hit@k.

The reference project trained it on VGG16 and 32 classes of about 50 pictures, with 5 more classes
kept unseen. Its table is printed beside ours; it does not say over which candidates it ranked.
"""

from pathlib import Path

from devise import features, plots
from devise.datasets import samples
from devise.errors import MissingDependency
from devise.evaluation import combine, exact_table, exact_tags, hit_table
from devise.figures import score
from devise.heads import RidgeHead
from devise.machine import memory
from devise.model import SHARED, train_labels
from devise.recipes import bundled_table
from devise.recipes.harness import Harness, card, numbered, used
from devise.recipes.published import published
from devise.report import Table
from devise.search import Search
from devise.words import open_words

BESIDE = "by the classes learnt beside the model that comes with devise"
QUERIES = ("elephant", "helicopter", "animal", "music", "ocean")
OF_PHOTOGRAPHS = ("cup", "camera", "cat", "water", "metal")
PUBLISHED = {part: published("hybrid", data=part) for part in ("train", "test")}
HEADS = {"mlp": lambda dim: None, "ridge": lambda dim: RidgeHead()}  # None is the training's own
PUBLISHED_EXACT = ("The reference reports the exact label among the tags of 16 of 50 unseen pictures, on one draw "
                   "of 5 classes.")


def run(output, *, images=None, backbone=None, words="glove-6b-50d", synonyms=None, unseen=5, seeds=5, head="mlp",
        epochs=None, progress=None, **training):
    """Train with several seeds, measure, and write the report with its pictures and the first model.

    Args:
        output: the folder to write.
        images: ImageSet or FeatureTable of labelled pictures; None takes the bundled set.
        backbone: the Backbone of an ImageSet.
        words: name or path of word vectors.
        unseen: classes kept out, or how many to draw; the bundled set has its own five.
        seeds: how many runs; seed s draws the split of the seen pictures and trains.
        head: "mlp", the 2000–dim head, "ridge", a closed form, or a callable dim → a head that is not fitted.
        epochs: of the mlp; None takes the training's own.
    """
    harness, photographs = Harness(output, progress), images is None  # to look at: the bundled set has no pictures
    if images is None:
        table, bundled = bundled_table()
        unseen = bundled.unseen
    else:
        table = features.extract(images, backbone or "auto", progress=progress)
    make = HEADS[head] if isinstance(head, str) else head
    training |= {"epochs": epochs} if epochs else {}
    dim = open_words(words).dim

    def of_seed(seed):
        model = train_labels(table, words, head=make(dim), start=None, unseen=unseen, synonyms=synonyms, seed=seed,
                             **training)
        return model, model.evaluate().hits

    models, hits = zip(*harness.each(range(seeds), of_seed), strict=True)
    harness.save(models[0])
    examples = _examples(models[0], table)
    _draw_curves(harness, models[0], hits)
    if photographs:
        _draw_photographs(harness, models[0])
    else:
        _draw_sheets(harness, models[0], examples, table)
    return _report(harness, models, hits, examples, table)


def _draw_curves(harness, model, hits):
    series = {f"{part} over {name} ({hits[0].candidates[name]['count']:,})": values
              for part, sets in combine(hits).items()
              for name, values in sets.items() if part != "train" and name != "all"}
    harness.draw("Flat hit@k against k", "hit_at_k.png", plots.hit_curve, series, title="Flat hit@k",
                 published={f"{row.name} (candidates not stated)": row.values for row in PUBLISHED["test"]})
    if model.history:
        harness.draw("Loss and validation hit@1 of seed 0", "history.png", plots.history_curve,
                     model.history[SHARED].to_json(), title="Training, seed 0")


def _draw_sheets(harness, model, examples, table):
    """Tags of an unseen class's pictures, and what words find among pictures that were not trained on."""
    if examples:
        cards = [plots.Tagged(card(table.images, row, label=label), tuple(tags), frozenset({label}))
                 for row, label, tags in examples]
        harness.draw("Tags of unseen pictures, one a class", "tags.png", plots.tag_sheet, cards,
                     title="Tags of pictures of classes never seen in training")
    held_out = table.subset([*model.split.test, *model.split.unseen_rows])
    asked = [*model.split.unseen[:3], *(word for word in QUERIES if word in model.words)]
    harness.draw("Pictures found by a word", "search.png", plots.sheet, _searches(model, held_out, asked),
                 title="Pictures of the test and the unseen classes, by word")


def _draw_photographs(harness, model):
    """The same of scikit-image's photographs, where it and the network are installed.

    Most show none of the classes, of which alone a training from nothing knows: they are shown to the same classes
    learnt beside the model that comes with devise, where words and network are its own.
    """
    try:
        table = model.features(samples())
    except MissingDependency:
        return
    try:
        model, by = train_labels(model.table, model.words, start="everyday", split=model.split), BESIDE
    except (FileNotFoundError, MissingDependency, ValueError):
        by = "by the model"
    tagged = [plots.Tagged(card(table.images, row), tuple(tags)) for row, tags in enumerate(model.tag(table, k=5))]
    harness.draw(f"Tags of photographs, most of which show none of the classes, {by}", "tags.png", plots.tag_sheet,
                 tagged, title=f"Tags of scikit-image's photographs, {by}", score="score of the word")
    harness.draw(f"Photographs found by a word, {by}", "search.png", plots.sheet, _searches(
        model, table, [word for word in OF_PHOTOGRAPHS if word in model.words]),
        title=f"scikit-image's photographs by word, {by}")


def _examples(model, table):
    """(row, label, tags) of one picture of each unseen class, the first in the order of the paths."""
    rows = model.split.unseen_rows
    if not len(rows):
        return []
    labels = table.images.labels
    first = [int(rows[labels[rows] == label][0]) for label in sorted(set(labels[rows].tolist()))]
    tags = model.tag(table.subset(first), k=8)
    return [(row, table.images.label_of(row), found) for row, found in zip(first, tags, strict=True)]


def _searches(model, table, texts):
    """Rows of the sheet: words, and what they find."""
    search = Search.build(model, table, engine="exact")
    rows = []
    for text in dict.fromkeys(texts):
        judged, found = text in model.labels.names, search.by_text(text, k=6)
        rows.append(plots.Row(text, tuple(
            card(search.images, match.row, label=match.label or "", score=match.score, weak=weak,
                 right=match.label == text if judged and match.label else None)
            for match, weak in zip(found.matches, found.weak, strict=True))))
    return rows


def _head(config):
    if config["kind"] == "ridge":
        return f"ridge, {config['input_dim']} → {config['dim']}, penalty {config['penalty']:.3g}"
    sizes = " → ".join(str(size) for size in (config["input_dim"], *config["sizes"], config["dim"]))
    return f"{sizes}, {config['activation']}, dropout {config['dropout']}"


def _report(harness, models, hits, examples, table):
    model, images = models[0], table.images
    config = model.spaces[SHARED].head.config
    tables = [hit_table(hits, part, published=PUBLISHED.get(part, ())) for part in hits[0].hit_at_k]
    notes = ["Every choice (epochs, penalty) was made on a validation part of the seen training pictures."]
    if examples:
        exact = [exact_tags(one.embed_images(one.table.subset(rows)), one.table.images.labels[rows],
                            one.candidates("words")) for one in models for rows in [one.split.unseen_rows]]
        counts = [found.found for found in exact]
        tables.append(exact_table(exact[0]))
        spread = f", mean of {len(counts)} seeds ({min(counts)} to {max(counts)})" if len(counts) > 1 else ""
        notes.append(f"Exact label among the first 10 tags ({exact[0].candidates}): {sum(counts) / len(counts):.1f} of "
                     f"{exact[0].n} unseen pictures{spread}; the table shows seed 0. {PUBLISHED_EXACT} One draw "
                     "of unseen classes proves little.")
        tables.append(Table(("picture", "label", "tags, with their cosine"), [
            (Path(images.paths[row]).name, label,
             ", ".join(f"{'✓ ' if tag.name == label else ''}{tag.name} {score(tag.score)}" for tag in tags))
            for row, label, tags in examples], "Tags of one picture of each unseen class."))
    if images.skipped:
        notes.append(images.report())
    facts = used(model.network.record, model.words_record) | {
        "head": _head(config),
        "classes": f"{len(model.split.seen)} seen, {len(model.split.unseen)} unseen",
        "unseen classes": list(model.split.unseen),
        "pictures": len(table),
        "seeds": f"{numbered(len(models))}; a seed draws the split and trains",
        "peak memory (MB)": memory()[1] // 2**20,
    }
    kind = "a ridge head" if config["kind"] == "ridge" else "a small trained head"
    return harness.report(f"Flat hit@k: a frozen network and {kind}", facts, tables, notes,
                          trained=model.network.record["trained"])
