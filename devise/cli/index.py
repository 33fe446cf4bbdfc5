"""Pictures → an index to search, complete on its own: it holds the model too.

--json prints {"index", "n", "engine", "recall_at_10": {"raw", "shared"} (fractions of the exact
answers, measured on this index), "skipped": [{"path", "reason"}]}. Files that can't be read are
listed and don't change the exit code.
"""

from importlib.util import find_spec
from pathlib import Path

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import percent, progress_bar, say, say_skipped

EXAMPLE = "  devise index model ~/pictures -o index\n  devise index conse ~/pictures -o index"
UNTRAINED = "conse"
FRAMEWORK = True


def arguments(command):
    command.add_argument("model", metavar="MODEL",
                         help=f"a folder that `devise train` wrote, or '{UNTRAINED}': no training, the backbone's own "
                         "ImageNet classes are mixed in the space of the words")
    options.add_pictures(command, nargs="+")
    command.add_argument("-o", "--output", type=options.folder, required=True, metavar="INDEX",
                         help="the folder to write")
    command.add_argument("--engine", default="auto", metavar="NAME",
                         help="annoy or exact (default: auto, annoy where it is installed)")
    command.add_argument("--trees", type=options.count, metavar="N",
                         help="annoy: more trees find more and take more room (default: 50)")
    command.add_argument("--search-k", type=options.count, metavar="N",
                         help="annoy: look at more candidates, find more, take longer")
    command.add_argument("--words", metavar="WORDS", help=f"of '{UNTRAINED}' (default: glove-6b-50d)")
    command.add_argument("--backbone", metavar="NAME", help=f"of '{UNTRAINED}' (default: efficientnet_lite0)")


def run(args):
    from devise import index
    from devise.search import Search

    engine = choose() if args.engine == "auto" else args.engine
    knobs = {"n_trees": args.trees, "search_k": args.search_k}
    knobs = {name: value for name, value in knobs.items() if value is not None}
    if knobs and engine != "annoy":
        raise WrongUsage(f"--trees and --search-k belong to annoy, the engine is {engine}: leave them out")
    index.make(engine, **knobs)  # fails before the long part
    found = options.images(args.pictures)
    model = _model(args)
    with progress_bar("extract") as progress:
        search = Search.build(model, found, engine=engine, progress=progress, **knobs)
    say_skipped(search.images)
    search.save(args.output)
    recall = {space: part.recall() for space, part in search.indexes.items()}
    document = {"index": str(args.output), "n": len(search), "engine": engine, "recall_at_10": recall,
                "skipped": options.skipped(search.images)}
    measured = ", ".join(f"{space} {percent(value)}" for space, value in recall.items())
    text = f"{len(search):,} pictures in {args.output} ({engine}; measured recall@10: {measured})"
    return Answer(document, text)


def _model(args):
    """The trained model in a folder, or one that needs no training."""
    from devise.model import Devise

    if args.model == UNTRAINED and not Path(UNTRAINED).is_dir():
        return Devise.untrained(args.words or "glove-6b-50d", backbone=args.backbone or "efficientnet_lite0")
    options.refuse(args, ("words", "backbone"), "the model has its own")
    return Devise.load(args.model)


def choose():
    """The engine of 'auto'; where it is not annoy a line says why."""
    if find_spec("annoy"):
        return "annoy"
    say("engine exact: annoy is not installed (pip install 'devise[annoy]', with a C++ compiler at hand)")
    return "exact"
