"""How to pool the vectors of a phrase's words: four ways, on data that no table reports.

    python docs/measured/pooling.py [FLICKR8K]

FLICKR8K holds efficientnet_lite0/ (as `devise extract` writes it), captions.token.txt, train.txt and
dev.txt; the test images are not looked at. Without it only the figures of the bundled classes are made.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from devise import backbones, features
from devise.arrays import nearest, unit_rows
from devise.backbones import imagenet
from devise.heads import ConseHead
from devise.words import open_words, shipped_taxonomy, strict_mask
from devise.words.phrases import SEPARATORS, frequency_weight

WORDS = open_words("glove-6b-50d")
WEIGHTS = np.array([frequency_weight(word, WORDS) for word in WORDS.words])
LENGTHS = np.maximum(np.linalg.norm(WORDS.matrix, axis=1), 1e-9)
WAYS = {"mean": np.ones(len(WORDS)), "mean of unit vectors": 1 / LENGTHS, "frequency weights": WEIGHTS,
        "frequency weights of unit vectors": WEIGHTS / LENGTHS}
CLASSES = [identity for identity, _name in imagenet.classes()]


def pooled(pieces, weights):
    rows = [WORDS.row(piece) for piece in pieces if piece in WORDS]
    vector = (weights[rows, None] * WORDS.matrix[rows]).sum(axis=0)
    return vector / np.linalg.norm(vector) if rows else np.zeros(WORDS.dim)


def lemma(text, weights):
    whole = next((form for form in (text, text.replace(" ", "-")) if form in WORDS), None)
    pieces = [piece for piece in SEPARATORS.split(text) if piece] if whole is None else [whole]
    return pooled(pieces, weights)


def classes(weights):
    means = np.stack([sum(lemma(text, weights) for text in shipped_taxonomy()[identity].lemmas)
                      for identity in CLASSES])
    return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def conse():
    """ConSE on the bundled 37 classes: an exact tag among ten of the first 20,000 words and hit@1 of draws of five."""
    table = features.load("caltech37")
    network = backbones.load(table.backbone["name"], layer=table.backbone["layer"])
    logits, y = network.classify(np.asarray(table.matrix, np.float32)), table.images.labels
    names = table.images.label_names
    labels = unit_rows(np.stack([WORDS.vector(name) for name in names]))
    vocabulary = unit_rows(WORDS.matrix[:20_000])
    rare = [row for row, name in enumerate(names) if WORDS.row(name) >= len(vocabulary)]
    candidates = np.concatenate([vocabulary, labels[rare]])
    masks = np.stack([strict_mask(name, CLASSES, wide=True) for name in names])
    draws = [np.random.default_rng(seed).choice(len(names), 5, replace=False) for seed in range(40)]
    for way, weights in WAYS.items():
        vectors = classes(weights)

        def embedded(label, mask, vectors=vectors):
            rows = ConseHead.of_logits(vectors, mask=mask | ~vectors.any(axis=1)).outputs(logits[y == label])
            return unit_rows(rows)

        tags = {"open": [], "strict": []}
        for label, name in enumerate(names):
            answer = len(vocabulary) + rare.index(label) if label in rare else WORDS.row(name)
            for kind, mask in (("open", np.zeros_like(masks[0])), ("strict", masks[label])):
                ids = nearest(embedded(label, mask), candidates, 10)[0]
                tags[kind].append((ids == answer).any(axis=1).mean())
        hits = [np.mean([(drawn[(embedded(label, masks[drawn].any(axis=0)) @ labels[drawn].T).argmax(axis=1)]
                          == label).mean() for label in drawn]) for drawn in draws]
        print(f"{way:35}" + "".join(f"{100 * np.mean(found):7.1f}" for found in (*tags.values(), hits)), flush=True)


def sentences(folder):
    """Ridge regression from images onto the mean of their sentences; sentence → image on dev, R@1, 5 and 10."""
    table, captions = features.load(folder / "efficientnet_lite0"), defaultdict(list)
    rows = {Path(path).name: row for row, path in enumerate(table.images.paths)}
    for line in (folder / "captions.token.txt").read_text().splitlines():
        name, text = line.split("\t")
        captions[name.split("#")[0]].append(re.findall(r"[^\W_]+", text.lower()))
    parts = [[name for name in (folder / f"{part}.txt").read_text().split() if name in rows]
             for part in ("train", "dev")]
    x, asked = (np.asarray(table.matrix[[rows[name] for name in part]], np.float64) for part in parts)
    centre = x.mean(axis=0)
    x, asked = x - centre, asked - centre
    gram = x.T @ x + 1000 * np.eye(x.shape[1])
    for way, weights in WAYS.items():
        y = np.stack([sum(pooled(text, weights) for text in captions[name]) for name in parts[0]])
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        images = unit_rows(asked @ np.linalg.solve(gram, x.T @ (y - y.mean(axis=0))))
        texts = unit_rows(np.stack([pooled(text, weights) for name in parts[1] for text in captions[name]])
                          - y.mean(axis=0))
        own = np.repeat(np.arange(len(images)), [len(captions[name]) for name in parts[1]])
        scores = texts @ images.T
        ranks = (scores > scores[np.arange(len(own)), own, None]).sum(axis=1)
        print(f"{way:35}" + "".join(f"{100 * (ranks < k).mean():7.1f}" for k in (1, 5, 10)), flush=True)


conse()
if sys.argv[1:]:
    sentences(Path(sys.argv[1]))
