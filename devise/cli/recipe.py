"""What is run as a whole and measured: `devise recipe` and `devise bench`, a subcommand each.

Their options, and what the help says of them, are those of the `run` function of each.
"""

from __future__ import annotations

import importlib
import inspect
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devise.cli import Answer, Command, WrongUsage, opening, options, quiet_framework
from devise.cli.signatures import signature
from devise.cli.terminal import progress_bar, say_skipped
from devise.cli.train import Train
from devise.figures import number
from devise.recipes import RECIPES
from devise.report import Report, Table
from devise.storage import vacant

BENCHMARKS = {"extract": "pictures through each network and runtime", "distributed": "extraction by workers",
              "train": "a whole training", "words": "opening word vectors, and the neighbours of words",
              "index": "each index engine: time, memory, recall", "evaluation": "the figures of large galleries",
              "serve": "a server that many ask"}
STATED = ("bench", "rows", "ratios", "curve", "machine")  # of a document; all else is what was measured on


class Recipe(Command):
    """A published table beside ours, with one command: report.md, report.json, pictures and the model.

    devise recipe NAME --help tells what each takes.

    --json prints {"recipe", "output" (the folder)} and what report.json holds: {"title", "trained", "facts":
    {name: value}, "tables": [{"caption" (which states the candidates), "head", "columns", "rows": [{"name",
    "values": {column: {"mean", "std", "min", "max", "n", "low", "high"} or {"difference", "low", "high", "p",
    "n"}, in [0, 1], or a count}}], "published": [{"name", "values", "source", "table", "candidates",
    "certain"}], "notes"}], "pictures": [{"caption", "file"}], "notes"}.
    """

    example = """\
        devise recipe hybrid
        devise recipe zeroshot --draws 20 --beside clip=embeddings.npz
        devise recipe xian2018 --root ~/xlsa17/data
        devise recipe metric --root ~/CUB_200_2011 --set cub200"""
    stopped = "the features are kept, and the same command goes on from them; runs that were finished start anew"
    kinds = {name: recipe.help for name, recipe in RECIPES.items()}

    def __init__(self, name: str = ""):
        self.name, self.known = name, ()
        if name:
            self.example = f"devise recipe {name} --help"

    @property
    def place(self) -> str:
        return f"{RECIPES[self.name].module}:run"

    @property
    def about(self):
        return described(self)

    def arguments(self, parser: ArgumentParser) -> None:
        self.known = options.add_all(parser, self.place, without=options.NETWORK)
        takes = signature(self.place).parameters
        if "images" in self.known:
            options.add(parser, options.OPEN, *(name for name in options.READ if name not in takes))
        if "backbone" in takes:
            options.add_network(parser, self.place)
        if "training" in takes:
            options.add(parser, options.TRAIN, *Train.training)
        options.add_output(parser, "DIR", required=False, help=f"default: results/{self.name}")

    def run(self, args: Namespace) -> Answer:
        output = vars(args).get("output") or Path("results") / self.name
        vacant(output)
        given: dict[str, Any] = options.given(args, self.known)
        reading = options.given(args, options.READ)
        if reading and "images" not in given:
            raise WrongUsage(f"{', '.join(map(options.flag, reading))}: they go with --images")
        if "set" in self.known and ("root" in given) != ("set" in given):
            raise WrongUsage("--root and --set go together: the folder, and which set it holds")
        for name in options.READ:  # of the pictures, which are read here
            given.pop(name, None)
        found = None
        if "images" in given:
            found = given["images"] = opening.data(args, args.images)
            say_skipped(getattr(found, "images", found))
        if "root" in given:
            opening.existing(args.root, "the folder of a published set")
        quiet_framework()
        given |= opening.words(args) | opening.synonyms(args)
        if found is not None or options.given(args, options.NETWORK):
            network = opening.network(args, found)
            given["backbone"] = network if isinstance(network, str) else network.backbone
        given |= options.given(args, Train.training)
        with progress_bar(self.name, unit="steps") as progress:
            report = importlib.import_module(RECIPES[self.name].module).run(output, progress=progress, **given)
        told = {name: value for name, value in report.to_json().items() if name != "notes"}
        notes = (*report.notes, f"report.md and what goes with it are in {output}")
        return Answer(type(report)(report.title, report.facts, report.tables, notes, report.pictures, report.trained),
                      {"recipe": self.name, "output": str(output), **told})


class Bench(Command):
    """Speed as ratios, each measured in one run on this machine.

    devise bench NAME --help tells what each takes.

    --json prints {"bench", "rows": [{…}] (what was measured, a row a way of doing it), "ratios" (numbers, or
    numbers by name), "curve" (of index: recall and speed), "machine": {"cpus", "system", "architecture",
    "python", "versions"}} and what the benchmark states of its data. -o FOLDER writes this as report.json, the
    tables as table.md, and a picture where the benchmark draws one.
    """

    example = """\
        devise bench train -o results/bench-train
        devise bench extract --backbone vgg16 -n 32 -o results/bench-extract
        devise bench words --path glove.6B.300d.txt
        devise bench index -n 100000 --engines usearch,annoy
        devise bench serve --path index -n 200"""
    stopped = "nothing was written; the same command measures anew"
    kinds = BENCHMARKS

    def __init__(self, name: str = ""):
        self.name, self.known = name, ()
        if name:
            self.example = f"devise bench {name}{' --path index' if name == 'serve' else ''}"

    @property
    def place(self) -> str:
        return f"devise.bench.{self.name}:run"

    @property
    def about(self):
        return described(self)

    def arguments(self, parser: ArgumentParser) -> None:
        self.known = options.add_all(parser, self.place)
        options.add_output(parser, "DIR", required=False,
                           help="write table.md, report.json and the picture to this folder")

    def run(self, args: Namespace) -> Answer:
        if "output" in args:
            vacant(args.output)
        given = options.given(args, self.known)
        for name in {"path", "images"} & set(given):
            opening.existing(given[name], options.OPTIONS[name][2])
        if "images" in given:
            given["images"] = opening.images(given["images"])
        quiet_framework()
        from devise.machine import machine

        bench = importlib.import_module(f"devise.bench.{self.name}")
        with progress_bar(self.name, unit="steps") as progress:
            document = {"machine": machine(), **bench.run(progress=progress, **given)}
        stated = document["machine"] | {name: value for name, value in document.items() if name not in STATED}
        facts = {name.replace("_", " "): value for name, value in stated.items()}
        report = Report(f"devise bench {document['bench']}", facts, _tables(document))
        if output := vars(args).get("output"):
            report = _written(output, document, report, vars(bench).get("plot"))
        return Answer(report, document)


def described(command: Recipe | Bench) -> str:
    """What the help of a subcommand says: its line, the docstring of its function, and what --json has."""
    general = inspect.getdoc(type(command)) or ""
    if not command.name:
        return general
    line = command.kinds[command.name]
    return (f"{line[0].upper()}{line[1:]}.\n\n{signature(command.place).about}\n\n"
            f"{general[general.index('--json prints'):]}")


def _tables(document: dict) -> tuple[Table, ...]:
    """What was measured, and the ratios."""
    columns = list(dict.fromkeys(name for row in document["rows"] for name in row))
    rows = [[row.get(name) for name in columns] for row in document["rows"]]
    ratios = [(name, f"{number(value)} ×") for name, value in _flat(document["ratios"])]
    return (Table([name.replace("_", " ") for name in columns], rows, form="plain"), Table(("ratio", ""), ratios))


def _written(folder: Path, document: dict, report: Report, plot: Any) -> Report:
    """The document, its tables and its picture as files; the report with a note that says so."""
    from dataclasses import replace

    from devise.storage import write_report

    names, pictures = ["report.json", "table.md"], ()
    folder.mkdir(parents=True, exist_ok=True)
    if plot:
        picture = f"{document['bench']}.png"
        plot(document, folder / picture)
        names, pictures = [*names, picture], ((report.title, picture),)
    report = replace(report, pictures=pictures)
    write_report(folder, document, {names[1]: report.markdown()})
    return replace(report, notes=(f"{', '.join(names)} are in {folder}",))


def _flat(ratios: dict, prefix: str = "") -> Iterator[tuple[str, float]]:
    """(name, number) pairs of ratios that may be nested: {"annoy": {"10000": {"build_s": …}}}."""
    for name, value in ratios.items():
        name = f"{prefix}{name.replace('_', ' ')}"
        yield from _flat(value, f"{name}, ") if isinstance(value, dict) else [(name, float(value))]
