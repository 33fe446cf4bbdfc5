"""A published table beside ours, with one command: report.md, report.json, pictures and the model.

--json prints {"recipe", "output" (the folder)} and what report.json holds: {"title", "trained", "facts":
{name: value}, "tables": [{"caption" (which states the candidates), "head", "columns", "rows": [{"name", "values":
{column: {"mean", "std", "min", "max", "n", "low", "high"} or {"difference", "low", "high", "p", "n"}, in
[0, 1], or a count}}], "published": [{"name", "values", "source", "table", "candidates", "certain"}],
"notes"}], "pictures": [{"caption", "file"}], "notes"}.
"""

import argparse
from importlib import import_module
from pathlib import Path

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar, say_skipped
from devise.cli.train import BUNDLED, feature_table
from devise.recipes import RECIPES
from devise.storage import vacant

EXAMPLE = """\
  devise recipe hybrid
  devise recipe hybrid --head ridge --seeds 3 --json
  devise recipe hybrid --backbone vgg16 --words glove-6b-300d --images ~/pictures --unseen elephant,lobster
  devise recipe zeroshot --draws 20 --beside clip=embeddings.npz
  devise recipe devise2013 --images ~/imagenet --backbone vgg16
  devise recipe conse2014 --seeds 10
  devise recipe xian2018 --root ~/xlsa17/data
  devise recipe siamese --images ~/pictures --test crab,elephant,lobster
  devise recipe metric --root ~/CUB_200_2011 --set cub200
  devise recipe captions --root ~/flickr8k"""
# what a recipe may have no use for, and then refuses
OPTIONAL = ("images", "labels", "class_level", "unseen", "test", "root", "set", "seeds", "draws", "trials", "gallery",
            "beside", "synonyms", "weights", "layer", "runtime", "epochs", "batch_size", "optimiser", "learning_rate",
            "momentum", "patience")
ROOTS = {"xian2018": "the published sets", "captions": "pictures, captions and lists of parts, as Flickr8k has them"}
BACKBONE = "efficientnet_lite0"
SEEDS = 5
UNSEEN = 5  # classes, where none are named; as many as the bundled set has
FRAMEWORK = True
STOPPED = "the features are kept, and the same command goes on from them; runs that were finished start anew"


def arguments(command):
    command.add_argument("name", type=options.one_of("recipe", RECIPES), metavar="NAME",
                         help="; ".join(f"{name}: {recipe.help}" for name, recipe in RECIPES.items()))
    command.add_argument("-o", "--output", type=options.folder, metavar="DIR", help="default: results/NAME")
    command.add_argument("--images", metavar="PICTURES",
                         help="a folder a class, or features from `devise extract` "
                         "(default: the bundled caltech37); of devise2013 and conse2014: folders named by WordNet's "
                         "ids, n02084071/*.jpg, as ImageNet has them")
    command.add_argument("--root", type=Path, metavar="DIR",
                         help="of xian2018: the folder with SUN, CUB, AWA1, AWA2, APY, those that are there, each "
                         "with res101.mat and att_splits.mat; of metric: that of the --set; of captions: a folder in "
                         "Flickr8k's layout")
    command.add_argument("--set", choices=("cub200", "cars196", "sop", "in-shop"),
                         help="of metric: a published set in its own layout and split, in --root")
    command.add_argument("--test", type=options.share, metavar="A,B",
                         help="of siamese and metric: the classes for the figures, which nothing learns from: names, "
                         "how many, or a share (default: 0.3)")
    command.add_argument("--gallery", type=options.sizes, metavar="N,N",
                         help="of siamese: sizes of galleries to draw (default: 100,1000,10000)")
    command.add_argument("--trials", type=options.count, metavar="N",
                         help="of metric: how many choices of hyperparameters each loss may try (default: 4)")
    options.add_labels(command)
    command.add_argument("--unseen", type=options.classes, metavar="A,B",
                         help="of --images: classes to keep out of the training, or how many to draw "
                         "(default: 5)")
    command.add_argument("--seeds", type=options.count, metavar="N",
                         help="how many trainings (default: 5, of metric and captions 3, of xian2018 1)")
    command.add_argument("--draws", type=options.count, metavar="N",
                         help="of zeroshot: how many random draws of unseen classes, beside the set's own "
                         "(default: 20)")
    command.add_argument("--beside", type=beside, action="append", metavar="NAME=FILE",
                         help="of zeroshot: a row for another system, from an .npz with the arrays pictures, "
                         "paths, words and names")
    options.add_backbone(command, default=BACKBONE)
    options.add_words(command)
    options.add_training(command)


def beside(value):
    """An argument such as clip=embeddings.npz."""
    name, _, file = value.partition("=")
    if not name or not file:
        raise argparse.ArgumentTypeError(f"{value!r} is not of the form NAME=FILE, such as clip=embeddings.npz")
    return name, Path(file).expanduser()


def run(args):
    output = args.output or Path("results") / args.name
    vacant(output)
    report = _hybrid(args, output) if args.name == "hybrid" else _bundled(args, output)
    text = f"{report.text()}\n\nreport.md and what goes with it are in {output}"
    return Answer({"recipe": args.name, "output": str(output), **report.to_json()}, text)


def _bundled(args, output):
    """The report of a recipe that brings its data along."""
    recipe = RECIPES[args.name]
    chosen = "backbone" in recipe.options or "images" in recipe.options and (args.images or args.set)
    network = ("weights", "layer", "runtime") if chosen else ()
    options.refuse(args, [name for name in OPTIONAL if name not in (*recipe.options, *network)],
                   f"the recipe {args.name} has no use for it")
    given = {name: getattr(args, name) for name in recipe.options if getattr(args, name) is not None}
    if "backbone" in given:
        given["backbone"] = options.backbone(args)
    if "words" in given:
        given["words"] = options.words(args)
    if "test" in recipe.options:
        given |= _retrieval(args, given)
    elif "root" in recipe.options and args.root is None:
        raise WrongUsage(f"the recipe {args.name} needs --root DIR, a folder with {ROOTS[args.name]}")
    elif "images" in given:
        given |= {"images": options.images(args.images), "backbone": options.backbone(args)}
        say_skipped(given["images"])
    with progress_bar(args.name, unit="steps") as progress:
        return import_module(recipe.module).run(output, progress=progress, **given)


def _retrieval(args, given):
    """What the retrieval recipes run on: labelled pictures or features, or a published set."""
    for name in ("labels", "class_level"):  # of the pictures, which are read here
        given.pop(name, None)
    if (args.root is None) != (args.set is None):
        raise WrongUsage("--root and --set go together: the folder, and which set it holds")
    if args.set:
        options.refuse(args, ("images", "labels", "class_level", "test"), "a published set has its own split")
        return {"backbone": options.backbone(args)}
    if not args.images:
        options.refuse(args, ("labels", "class_level"), "they go with --images")
        return {}
    data, backbone = options.labelled(args, args.images, default=BACKBONE)
    say_skipped(getattr(data, "images", data))
    return {"images": data, "backbone": backbone}


def _hybrid(args, output):
    from devise.recipes import hybrid

    options.refuse(args, ["draws", "beside", "root", "set", "test", "gallery", "trials"], "they go with other recipes")
    training = options.training(args)
    unseen = UNSEEN if args.unseen is None else args.unseen
    if not args.images:
        options.refuse(args, ["unseen"], "the bundled set has its own; it goes with --images")
        unseen = ()
    words, synonyms = options.words(args), options.synonyms(args)
    data, backbone, unseen = feature_table(args, args.images or BUNDLED, words, synonyms, unseen)
    say_skipped(data.images)
    with progress_bar(args.name, unit="runs") as progress:
        return hybrid.run(output, data=data if args.images else None, backbone=backbone, words=words,
                          synonyms=synonyms, unseen=unseen, seeds=args.seeds or SEEDS,
                          head=lambda dim: options.head(args, dim), progress=progress, **training)
