"""How the set that comes with the package was made: features of 37 classes of Caltech-101, and their split.

    python docs/measured/caltech37.py data/caltech101 data/caltech37

32 classes are for training, up to 50 pictures each; 5 are never trained on, 10 pictures each.
"""

import sys
from pathlib import Path

import numpy as np

from devise import backbones, features, storage
from devise.datasets import from_folder, split
from devise.features.table import open_table, write

SEEN = tuple("accordion anchor barrel butterfly camera cannon chair chandelier crab crocodile cup dolphin dragonfly "
             "ferry gramophone hedgehog ibis kangaroo lamp laptop llama mandolin pagoda panda pizza pyramid rooster "
             "scorpion starfish sunflower umbrella watch".split())
UNSEEN = ("elephant", "flamingo", "lobster", "saxophone", "helicopter")
MOST_SEEN, MOST_UNSEEN = 50, 10
FACTS = {
    "catalog": "caltech101",  # where the pictures are, once they are fetched
    "licence": "CC BY 4.0",
    "source": "Caltech-101: Fei-Fei, Fergus and Perona, 2004; CaltechDATA, doi:10.22002/D1.20086",
}


def bundle(root, folder, *, seed=0, progress=None):
    """Extract the set from a folder of Caltech-101's classes and write it with its split.

    Args:
        root: a folder with a folder a class.
        folder: where to write; rows lose their place on this disk, features become float16.
        seed: draws the pictures where a class has more than are wanted, and the split.
    Returns:
        FeatureTable.
    """
    images = _chosen(from_folder(root), seed)
    backbone = backbones.load("efficientnet_lite0")
    table = features.extract(images, backbone, folder, dtype="float16", progress=progress)
    document, records, matrix = open_table(Path(folder))
    document = {name: value for name, value in document.items() if name not in ("kind", "format", "files", "skipped")}
    document |= FACTS | {"root": None, "skipped": []}
    # the files are of a disk that is not the reader's
    records = [record | {"size": 0, "mtime_ns": 0} for record in records[:document["n"]]]
    write(Path(folder), document, records, [(np.array(matrix), row) for row in range(len(records))])
    parts = split(table.images.labels, table.images.label_names, unseen=UNSEEN, seed=seed)
    storage.write_json(Path(folder) / "split.json", parts.to_json(table.images.paths))
    return features.load(folder)


def _chosen(images, seed):
    """The set's classes alone, with at most as many pictures each as are wanted."""
    random = np.random.default_rng(seed)
    names = [name for name in images.label_names if name in SEEN + UNSEEN]
    missing = sorted(set(SEEN + UNSEEN) - set(names))
    if missing:
        raise ValueError(f"{images.root} lacks the classes {', '.join(missing)}: expected Caltech-101's folders")
    rows = []
    for name in names:
        found = np.flatnonzero(images.labels == images.label_names.index(name))
        most = MOST_UNSEEN if name in UNSEEN else MOST_SEEN
        rows += sorted(random.permutation(found)[:most].tolist())
    chosen = images.subset(np.array(rows))
    labels = [names.index(images.label_names[label]) for label in chosen.labels]
    return type(images)(chosen.paths, labels, names, chosen.root)


if __name__ == "__main__":
    bundle(*sys.argv[1:])
