"""Speed as ratios, each measured in one run on this machine.

--json prints {"bench", "rows": [{…}] (what was measured, a row a way of doing it), "ratios" (numbers, or
numbers by name), "curve" (of index: recall and speed), "machine": {"cpus", "system", "architecture",
"python", "versions"}} and what the benchmark states of its data. -o FOLDER writes this as report.json, the
tables as table.md, and a picture where the benchmark draws one.
"""

import importlib
import inspect
from pathlib import Path

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar
from devise.figures import number
from devise.report import Table, pairs
from devise.storage import vacant

EXAMPLE = """\
  devise bench train -o results/bench-train
  devise bench extract --backbone vgg16 -n 32 -o results/bench-extract
  devise bench words --path glove.6B.300d.txt
  devise bench index -n 100000 --engines usearch,annoy
  devise bench serve --path index -n 200"""
NAMES = ("extract", "distributed", "train", "words", "index", "evaluation", "serve")
FRAMEWORK = True
STOPPED = "nothing was written; the same command measures anew"


def arguments(command):
    command.add_argument("name", type=options.one_of("benchmark", NAMES), metavar="NAME",
                         help=", ".join(NAMES))
    command.add_argument("-n", type=options.count, metavar="N",
                         help="how many pictures, rows, words, vectors or clients")
    command.add_argument("--dim", type=options.count, metavar="N",
                         help="train, words, index, evaluation: of the vectors")
    command.add_argument("--path", type=Path, metavar="FILE",
                         help="words: a file of vectors (default: one that is made for the purpose); serve: an index")
    command.add_argument("--seconds", type=options.count, metavar="N", help="serve: for how long (default: 60)")
    command.add_argument("--images", metavar="PICTURES",
                         help="extract: your own pictures (default: drawn ones)")
    command.add_argument("--backbone", metavar="NAME",
                         help="extract, distributed, train: default efficientnet_lite0, of extract vgg16 too: A,B")
    command.add_argument("--engines", type=options.names, metavar="A,B",
                         help="index: beside exact (default: those that are installed)")
    command.add_argument("-o", "--output", type=options.folder, metavar="DIR",
                         help="write table.md, report.json and the picture to this folder")


def run(args):
    from devise.machine import machine

    if args.output:
        vacant(args.output)
    bench = importlib.import_module(f"devise.bench.{args.name}")
    asked = _asked(args, inspect.signature(bench.run).parameters)
    with progress_bar(args.name, unit="steps") as progress:
        document = {"machine": machine(), **bench.run(progress=progress, **asked)}
    text = "\n\n".join(table.text() for table in _tables(document))
    if args.output:
        written = _write(args.output, document, getattr(bench, "plot", None))
        text += f"\n\n{', '.join(written)} are in {args.output}"
    return Answer(document, text)


def _write(folder, document, plot):
    """The document, its tables and its picture as files; returns their names."""
    from devise.storage import write_report

    name = document["bench"]
    parts = [f"# devise bench {name}", *(table.markdown() for table in _tables(document))]
    if stated := _stated(document):
        parts += ["What was measured, and on what:", f"```text\n{pairs(stated)}\n```"]
    names = ["report.json", "table.md"]
    folder.mkdir(parents=True, exist_ok=True)
    if plot:
        names.append(f"{name}.png")
        plot(document, folder / names[-1])
        parts.append(f"![devise bench {name}]({names[-1]})")
    write_report(folder, document, {names[1]: "\n\n".join(parts) + "\n"})
    return names


def _tables(document):
    """What was measured, and the ratios."""
    columns = list(dict.fromkeys(name for row in document["rows"] for name in row))
    rows = [[row.get(name) for name in columns] for row in document["rows"]]
    ratios = [(name, f"{number(value)} ×") for name, value in _flat(document["ratios"])]
    return [Table([name.replace("_", " ") for name in columns], rows, form="plain"), Table(("ratio", ""), ratios)]


def _stated(document):
    """{name: value} of all that is no row and no ratio, the machine's part by part."""
    left = {name: value for name, value in document.items() if name not in ("bench", "rows", "ratios", "curve")}
    stated = {}
    for name, value in left.items():
        stated |= value if name == "machine" else {name: value}
    return {name.replace("_", " "): value for name, value in stated.items()}


def _asked(args, known):
    """The options that were given, as the benchmark calls them; those it hasn't are refused."""
    names = ("n", "dim", "path", "images", "backbone", "engines", "seconds")
    asked = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if strange := [name for name in asked if name not in known]:
        raise WrongUsage(f"the benchmark {args.name} has no {', '.join(map(options.flag, strange))}")
    if missing := [name for name, known_as in known.items() if known_as.default is known_as.empty and
                   name not in asked]:
        raise WrongUsage(f"the benchmark {args.name} needs {', '.join(map(options.flag, missing))}")
    if "images" in asked:
        asked["images"] = options.images(asked["images"])
    return asked


def _flat(ratios, prefix=""):
    """(name, number) pairs of ratios that may be nested: {"annoy": {"10000": {"build_s": …}}}."""
    for name, value in ratios.items():
        name = f"{prefix}{name.replace('_', ' ')}"
        yield from _flat(value, f"{name}, ") if isinstance(value, dict) else [(name, float(value))]
