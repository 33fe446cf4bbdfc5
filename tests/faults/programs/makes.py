"""Makes one whole artefact of each kind below a folder: `python makes.py HOME ENGINE…`."""

import sys
from pathlib import Path

import numpy as np
from acts import World

from devise import features, index
from devise.heads import RidgeHead
from devise.model import train_labels
from devise.search import Search


def main(home, *engines):
    home = Path(home)
    world = World(home)
    table = features.extract(world.images, world.backbone, home / "features")
    model = train_labels(table, world.words, backbone=world.backbone, head=RidgeHead(penalty=1.0), unseen=["horse"])
    model.save(home / "model")
    other = train_labels(table, world.words, backbone=world.backbone, seed=1, head=RidgeHead(penalty=3.0))
    other.save(home / "another-model")
    Search.build(model, table, engine="exact").save(home / "search")
    world.words.save(home / "words")
    rows = np.random.default_rng(0).normal(size=(60, 8))
    for engine in engines:
        index.make(engine).build(rows).save(home / f"index-{engine}")


if __name__ == "__main__":
    main(*sys.argv[1:])
