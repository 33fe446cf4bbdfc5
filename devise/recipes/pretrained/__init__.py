"""The model "everyday" that comes with devise, made again from Flickr8k and measured.

It learns from the 6,000 training pictures with their captions, from the backbone's own classes, WordNet and
word vectors. What had to be chosen was chosen on the dev pictures and the bundled photographs; the
test pictures are for figures alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from devise import backbones, storage
from devise import features as feature_tables
from devise.datasets.captions import LISTS
from devise.features import FeatureTable
from devise.heads.conse import classifier_of
from devise.model import ConceptText, Devise, Space
from devise.model.pretrained import DEFAULT, write
from devise.model.sources import Words
from devise.recipes import bundled_table
from devise.recipes.captioning import open_captions
from devise.recipes.harness import Harness
from devise.recipes.pretrained import measuring
from devise.recipes.pretrained.making import Lesson, make
from devise.recipes.pretrained.names import Nouns
from devise.report import Report, Table

BACKBONE, WORDS = "efficientnet_lite0", "glove-6b-50d"
TAG_RATE = 0.3  # of tags that no caption has, those that are not marked weak
TABLES = {
    "words": "Everyday words: precision at 10, in %.", "scenes": "Words for scenes, on the same pictures, in %.",
    "sentences": "Sentences and pictures find one another: recall, in %.",
    "tags": "The first five tags of a picture, in %.",
    "weak": "What a threshold lets through, by false-accept rate, in %.",
}
NOTES = (
    "Words: nouns that captions say of eight pictures or more of the part, each picture being right where two captions "
    "have the word; dev is what choices were made on, test was only measured.",
    "Objects: the bundled classes are among the background and the object pictures that the model has seen; untouched "
    "classes are those of --objects that are not among them.",
    "An exact tag is the class's name or a word of its synset; any right of 5: two captions have one of the tags.",
)


def run(output: str | Path, *, root: str | Path, features: str | None = None, objects: str | None = None,
        imagenet: str | None = None, wordnet: str | None = None, epochs: int = 15, seed: int = 0,
        progress: Callable[[int, int], object] | None = None) -> Report:
    """Make the model, measure it, and write everyday.npz with the report.

    The same seed and code give the same file on the same machine.

    Args:
        output: the folder to write.
        root: a folder in Flickr8k's layout with lists of its parts, see `devise.datasets.captions.caption_set`.
        features: those of its pictures, a folder of `devise extract`; without them the pictures are looked at.
        objects: further pictures or features, a folder a class, for the figures of untouched classes.
        imagenet: a picture or more a class with ImageNet's file names, or their features, for the figure of its names.
        wordnet: the folder of WordNet 3.0's database, where it is in no usual place.
        epochs: of the training.
        seed: of the training.
        progress: called as progress(done, total) in epochs.
    Raises:
        ValueError: if the folder lists no parts, or features are of another backbone.
        FileNotFoundError: if WordNet is not there; says how to get it.
    """
    harness, words = Harness(output, progress), Words(WORDS)
    nouns = Nouns.read(words.vectors, wordnet)
    backbone = backbones.load(BACKBONE)
    objects_seen, _ = bundled_table()
    _, table, split = open_captions(root, backbone, folder=features)
    for each in (table, objects_seen):
        if each.backbone["fingerprint"] != backbone.fingerprint:
            raise ValueError(f"the features are of {each.backbone['name']} ({each.backbone['fingerprint'][:12]}): "
                             f"expected {BACKBONE}, {backbone.fingerprint[:12]}; extract them with it")
    parts = {part: Lesson(np.asarray(table.matrix[split.rows(part)], np.float32),
                          [table.images.captions[row] for row in split.rows(part)]) for part in LISTS}
    with threadpool_limits(1, user_api="blas"):  # sums of several threads are not the same each time
        model = make(parts["train"], parts["validation"], objects_seen, classifier_of(backbone), words, nouns,
                     backbone=table.backbone, epochs=epochs, seed=seed, progress=progress)
        model = _with_limits(model, parts["validation"], objects_seen, nouns)
    made = harness.output / f"{DEFAULT}.npz"
    made.parent.mkdir(parents=True, exist_ok=True)
    write(model, made)
    tables = [*_tables(model, parts, objects_seen, _table(objects, backbone), _table(imagenet, backbone), nouns)]
    return harness.report(f"The model {DEFAULT!r} that comes with devise", _facts(model, parts, made), tables, NOTES)


def _table(source: str | None, backbone) -> FeatureTable | None:
    if source is None:
        return None
    folder = Path(source).expanduser()
    return (feature_tables.load(folder) if (folder / "features.json").is_file()
            else feature_tables.extract(folder, backbone))


def _with_limits(model, dev, objects, nouns):
    """The model with its thresholds, chosen on the dev pictures and the bundled ones."""
    asked = measuring.everyday_words(dev.captions, nouns.taxonomy)
    chosen = measuring.limits(model, dev, asked, objects)
    tags = measuring.tag_limit(model, dev, nouns.taxonomy, TAG_RATE)
    space = model.spaces["shared"]
    text = ConceptText.restore(space.text.config, space.text.weights() | chosen | {"tag_threshold": tags}, model._words)
    return model.with_space("shared", Space(space.head, text))


def _tables(model: Devise, parts, seen, untouched, imagenet, nouns):
    found: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for part in ("validation", "test"):
        lesson = parts[part]
        asked = measuring.everyday_words(lesson.captions, nouns.taxonomy)
        scenes = measuring.everyday_words(lesson.captions, nouns.taxonomy, measuring.SCENES)
        kept = scenes.shown.sum(axis=1) >= 5
        scenes = scenes._replace(words=[word for word, one in zip(scenes.words, kept, strict=True) if one],
                                 shown=scenes.shown[kept], said=scenes.said[kept])
        found["words"][part] = measuring.word_precision(model, asked, lesson.features)
        found["scenes"][part] = measuring.word_precision(model, scenes, lesson.features)
        found["sentences"][part] = measuring.sentence_recall(model, lesson)
        found["tags"][part] = measuring.everyday_tags(model, lesson, nouns.taxonomy)
        found["weak"][part] = measuring.weak_answers(model, lesson, asked)
    for name, caption in TABLES.items():
        yield Table.by_name("pictures", found[name], caption=caption)
    classes = {"bundled": measuring.class_precision(model, seen, seen.images.label_names)}
    if untouched is not None:
        others = sorted(set(untouched.images.label_names) - set(seen.images.label_names))
        classes["untouched"] = measuring.class_precision(model, untouched, others)
    yield Table.by_name("classes", classes, caption="Names of objects among the pictures of their classes, in %.")
    if imagenet is not None:
        rows = {}
        for part in ("validation", "test"):
            n = len(parts[part].features)
            beside = parts[part].features[np.random.default_rng(0).choice(n, min(n, measuring.BESIDE), replace=False)]
            rows[part] = measuring.imagenet_names(model, imagenet, beside)
        yield Table.by_name("beside pictures of", rows, caption="ImageNet's names: its own picture, in %.")


def _facts(model, parts, made):
    text = model.spaces["shared"].text
    weights = text.weights()
    limits = zip(weights["rates"], weights["limits"], strict=True)
    return {"backbone": f"{model.network.name}, layer {model.network.record['layer']}",
            "words": f"{text.words.record['name']}", "names": len(text.concepts),
            "pictures": ", ".join(f"{len(part.features):,} {name}" for name, part in parts.items()),
            "file": f"{made.name}, {made.stat().st_size / 1e6:.2f} MB, "
                    f"{'the same bytes as' if _ships(made) else 'other bytes than'} the one in the package",
            "thresholds by false-accept rate": ", ".join(f"{rate:g}: {limit:.2f}" for rate, limit in limits),
            "threshold of tags": float(weights["tag_threshold"][0])}


def _ships(made):
    """Whether the package has a model of the same bytes."""
    try:
        return storage.digest(storage.bundled(made.name, "pretrained")) == storage.digest(made)
    except FileNotFoundError:
        return False
