"""A published table beside ours, with one command: report.md, report.json, pictures and the model.

--json prints {"recipe", "output" (the folder)} and what report.json holds: {"title", "trained", "facts":
{name: value}, "tables": [{"caption" (which states the candidates), "columns", "rows": [{"name", "values":
{column: {"mean", "std", "min", "max", "n", "low", "high"}, in [0, 1], or a count}}], "published": [{"name",
"values", "source", "table", "candidates", "certain"}]}], "examples", "pictures": [{"caption", "file"}],
"notes"}.
"""

import textwrap
from pathlib import Path

from devise.cli import Answer, options
from devise.cli.text import NOTHING, pairs, progress_bar, say_skipped, table
from devise.cli.train import BUNDLED, feature_table

EXAMPLE = """\
  devise recipe hybrid
  devise recipe hybrid --head ridge --seeds 3 --json
  devise recipe hybrid --backbone vgg16 --words glove-6b-300d --images ~/pictures --unseen elephant,lobster"""
NAMES = ("hybrid",)
UNSEEN = 5  # classes, where none are named; as many as the bundled set has
FRAMEWORK = True


def arguments(command):
    command.add_argument("name", type=options.one_of("recipe", NAMES), metavar="NAME",
                         help="hybrid: a frozen network and a 2000–dim head onto word vectors")
    command.add_argument("-o", "--output", type=options.folder, metavar="DIR", help="default: results/NAME")
    command.add_argument("--images", metavar="PICTURES",
                         help="a folder a class, or features from `devise extract` "
                         "(default: the bundled caltech37)")
    options.add_labels(command)
    command.add_argument("--unseen", type=options.classes, metavar="A,B",
                         help="of --images: classes to keep out of the training, or how many to draw "
                         "(default: 5)")
    command.add_argument("--seeds", type=options.count, default=5, metavar="N",
                         help="how many runs (default: 5)")
    options.add_backbone(command, default="efficientnet_lite0")
    options.add_words(command)
    options.add_training(command)


def run(args):
    from devise.recipes import hybrid

    output, training = args.output or Path("results") / args.name, options.training(args)
    unseen = UNSEEN if args.unseen is None else args.unseen
    if not args.images:
        options.refuse(args, ["unseen"], "the bundled set has its own; it goes with --images")
        unseen = ()
    words, synonyms = options.words(args), options.synonyms(args)
    data, backbone, unseen = feature_table(args, args.images or BUNDLED, words, synonyms, unseen)
    say_skipped(data.images)
    with progress_bar(args.name, unit="runs") as progress:
        report = hybrid.run(output, data=data if args.images else None, backbone=backbone, words=words,
                            synonyms=synonyms, unseen=unseen, seeds=args.seeds,
                            head=lambda dim: options.head(args, dim), progress=progress, **training)
    text = f"{report_text(report)}\n\nreport.md, its pictures and the model are in {output}"
    return Answer({"recipe": args.name, "output": str(output), **report.to_json()}, text)


def report_text(report):
    """A report for a terminal: its facts, tables and notes; the page has the rest."""
    from devise.evaluation.report import RANDOM

    parts = [report.title, *([] if report.trained else [f"{RANDOM}."]), pairs(report.facts)]
    parts += map(_table, report.tables)
    parts += [textwrap.fill(note, 100, subsequent_indent="  ", initial_indent="- ") for note in report.notes]
    return "\n\n".join(parts)


def _table(shown):
    """A table with its caption above, and beneath it who published the figures of others."""
    named, sources = dict(shown.rows), []
    for note, row in enumerate(shown.published, start=1):
        named[f"{row.name} [{note}]"] = row.values
        sources.append(f"[{note}] {row.source}, {row.table}; candidates: {row.candidates}")
    rows = [[name, *(_cell(row.get(column)) for column in shown.columns)] for name, row in named.items()]
    heads = [shown.head, *map(str, shown.columns)]
    return "\n".join([textwrap.fill(shown.caption, 100), table(rows, heads), *sources])


def _cell(value):
    """A Spread in percent with its deviation, a fraction in percent, a count as it is."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    mean, deviation = (value.mean, value.std) if hasattr(value, "mean") else (value, None)
    spread = "" if deviation is None or deviation != deviation else f" ± {100 * deviation:.1f}"
    return f"{100 * mean:.1f}{spread}"
