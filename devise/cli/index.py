"""Pictures → an index to search, complete on its own: it holds the model too.

A trained model has the spaces raw, shared with the words, and hidden (the last hidden layer of an mlp);
one of `devise siamese` has learnt and raw, one of `devise captions` learnt, raw and shared. With --add more
pictures join an index, of new classes too, and nothing is trained.

--json prints {"index", "n", "added" (pictures, with --add), "engine", "recall_at_10": {space: fraction of
the exact answers, measured on this index}, "skipped": [{"path", "reason"}]}. Files that can't be read are
listed and don't change the exit code.
"""

import math
from pathlib import Path

import numpy as np

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar, say, say_skipped
from devise.figures import percent

EXAMPLE = """\
  devise index model ~/pictures -o index
  devise index conse ~/pictures -o index
  devise index index ~/more --add"""
UNTRAINED = "conse"
FRAMEWORK = True
STOPPED = "an older index is as it was; the features are kept, and the same command goes on from them"


def arguments(command):
    command.add_argument("model", metavar="MODEL",
                         help=f"a folder that `devise train` wrote, or '{UNTRAINED}': no training, the backbone's own "
                         "ImageNet classes are mixed in the space of the words; or one of `devise siamese` or "
                         "`devise captions`; with --add the index itself")
    options.add_pictures(command, nargs="+")
    command.add_argument("-o", "--output", type=options.folder, metavar="INDEX",
                         help="the folder to write (default with --add: the index itself)")
    options.add_overwrite(command)
    command.add_argument("--add", action="store_true", help="add the pictures to an index")
    command.add_argument("--label", metavar="NAME", help="--add: the class of pictures that no folder names")
    command.add_argument("--spaces", type=options.names, metavar="A,B",
                         help="those to index (default: all that the model has)")
    command.add_argument("--engine", default="auto", metavar="NAME",
                         help="exact, annoy, usearch, hnswlib, faiss or milvus (default: auto, exact while that is "
                         "fast, then the best that is installed)")
    command.add_argument("--uri", metavar="URI",
                         help="milvus: ./pictures.db or http://host:19530, with the token in MILVUS_TOKEN")
    command.add_argument("--trees", type=options.count, metavar="N",
                         help="annoy: more trees find more and take more room (default: 50)")
    command.add_argument("--search-k", type=options.count, metavar="N",
                         help="annoy: look at more candidates, find more, take longer")
    command.add_argument("--words", metavar="WORDS", help=f"of '{UNTRAINED}' (default: glove-6b-50d)")
    command.add_argument("--backbone", metavar="NAME", help=f"of '{UNTRAINED}' (default: efficientnet_lite0)")


def run(args):
    from devise import index, storage
    from devise.search import Search

    if args.add:
        return _add(args)
    if not args.output:
        raise WrongUsage("the following arguments are required: -o/--output INDEX")
    options.refuse(args, ["label"], "it is for --add; name classes by folders")
    storage.vacant(args.output)
    knobs = _knobs(args)
    if args.engine == "auto":  # what can fail does so before the long part
        index.choose(1, 1, options=tuple(knobs))
    else:
        index.make(args.engine, **knobs)
    found = options.images(args.pictures)
    model = _model(args)
    with progress_bar("extract") as progress:
        search = Search.build(model, found, engine=args.engine, only=args.spaces, progress=progress, **knobs)
    say_skipped(search.images)
    parts = list(search.indexes.values())
    if args.engine == "auto":
        engine, why = index.choose(len(search), max(part.dim for part in parts), options=tuple(knobs))
        say(f"engine {engine}: {why}")
    search.save(args.output, overwrite=args.overwrite)
    return _answer(search, args.output, parts[0].engine, options.skipped(search.images))


def _knobs(args):
    """The options that were given for an engine, as it calls them."""
    known = {"annoy": {"n_trees": args.trees, "search_k": args.search_k}, "milvus": {"uri": args.uri}}
    if args.engine not in ("annoy", "auto") and any(known["annoy"].values()):
        raise WrongUsage(f"--trees and --search-k belong to annoy, the engine is {args.engine}: leave them out")
    if args.engine != "milvus" and args.uri:
        raise WrongUsage(f"--uri belongs to milvus, the engine is {args.engine}: say --engine milvus, or leave it out")
    given = known["milvus" if args.engine == "milvus" else "annoy"]
    return {name: value for name, value in given.items() if value is not None}


def _add(args):
    """More pictures in an index, which is written anew as a whole."""
    from dataclasses import replace

    from devise.search import Search

    options.refuse(args, ("words", "backbone", "engine", "trees", "search_k", "uri", "spaces"), "the index has its own")
    search = Search.load(args.model)
    found = options.images(args.pictures)
    if args.label:
        unnamed = found.labels < 0
        names = (*found.label_names, *([] if args.label in found.label_names else [args.label]))
        labels = np.where(unnamed, names.index(args.label), found.labels)
        found = replace(found, labels=labels, label_names=names)
    with progress_bar("extract") as progress:
        added = search.add(found, progress=progress)
    say_skipped(added)
    output = args.output or Path(args.model)
    if len(added) or output.resolve() != Path(args.model).resolve():
        search.save(output, overwrite=args.overwrite)
    engine = next(iter(search.indexes.values())).engine
    return _answer(search, output, engine, options.skipped(added), added=len(added))


def _answer(search, output, engine, skipped, **more):
    recall = {space: part.recall() for space, part in search.indexes.items()}
    # one picture has no neighbour to recall, and JSON no NaN
    recall = {space: None if math.isnan(value) else value for space, value in recall.items()}
    document = {"index": str(output), "n": len(search), **more, "engine": engine, "recall_at_10": recall,
                "skipped": skipped}
    measured = ", ".join(f"{space} {percent(value)}" for space, value in recall.items())
    new = f"{more['added']:,} pictures added: " if more else ""
    return Answer(document, f"{new}{len(search):,} pictures in {output} ({engine}; measured recall@10: {measured})")


def _model(args):
    """The trained model in a folder, or one that needs no training."""
    from devise.model import Devise
    from devise.model.spaces import open_model

    if args.model == UNTRAINED and not Path(UNTRAINED).is_dir():
        return Devise.untrained(args.words or "glove-6b-50d", backbone=args.backbone or "efficientnet_lite0")
    options.refuse(args, ("words", "backbone"), "the model has its own")
    return open_model(args.model)
