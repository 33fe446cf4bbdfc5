"""The cosine of two pictures, in raw features and, with a model, in the space of the words.

--json prints {"pictures" (the two paths), "backbone": {"name", …, "trained"}, "similarity": {"raw",
"shared" (with --model)}}, cosines in [-1, 1].
"""

from pathlib import Path

import numpy as np

from devise.cli import Answer, options

EXAMPLE = """\
  devise similarity cat.jpg dog.jpg
  devise similarity cat.jpg dog.jpg --model model"""
FRAMEWORK = True


def arguments(command):
    command.add_argument("first", metavar="PICTURE")
    command.add_argument("second", metavar="PICTURE")
    command.add_argument("--model", type=Path, metavar="MODEL",
                         help="compare in its shared space too (default: raw features of the backbone alone)")
    options.add_backbone(command)


def run(args):
    from devise import features
    from devise.arrays import unit_rows
    from devise.datasets import open_images
    from devise.model import Devise

    if args.model:
        options.refuse(args, ("backbone", "weights", "layer", "runtime"), "the model has its own backbone")
    pair = open_images([args.first, args.second])
    model = Devise.load(args.model) if args.model else None
    table = features.compute(pair, model.backbone if model else options.backbone(args))
    if len(table) < 2:
        lost = table.images.skipped[0]
        raise ValueError(f"{lost.path} can't be read ({lost.reason}): two pictures are needed")
    spaces = {"raw": unit_rows(table.matrix, "features")}
    if model:
        spaces["shared"] = model.embed_features(table.matrix)
    scores = {space: float(np.clip(first @ second, -1, 1)) for space, (first, second) in spaces.items()}
    document = {"pictures": [args.first, args.second], "backbone": table.backbone, "similarity": scores}
    return Answer(document, "\n".join(f"{score:6.3f}  {space}" for space, score in scores.items()))
