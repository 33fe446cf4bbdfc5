"""What is run as a whole and measured: `devise recipe` and `devise bench`, a subcommand each.

Their options, and what the help says of them, are those of the `run` function of each.
"""

from __future__ import annotations

import importlib
import inspect
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.signatures import MISSING, signature
from devise.cli.terminal import progress_bar, say_skipped
from devise.figures import as_json, number
from devise.recipes import RECIPES
from devise.report import Report, Table
from devise.storage import is_manifest, read_json, vacant, write_json, write_report

BENCHMARKS = {"start": "the first answer of a cold start",
              "extract": "pictures through each network and runtime", "distributed": "extraction by workers",
              "train": "a whole training", "words": "opening word vectors, and the neighbours of words",
              "index": "each index engine: time, memory, recall", "evaluation": "the figures of large galleries",
              "serve": "a server that many ask"}
STATED = ("bench", "options", "rows", "ratios", "curve", "machine")  # of a document; all else is what was measured on


class Measured(Command):
    """What recipes and benchmarks share: each is a function `run` of a module, whose options are its own."""

    room: str

    def __init__(self, name: str = ""):
        self.name, self.known = name, ()
        self.place = f"{self.room}.{name}:run"
        if name:
            needed = [f"{options.flag(one)} {options.OPTIONS[one][1]}" for one, parameter in
                      signature(self.place).parameters.items() if parameter.default is MISSING]
            self.example = " ".join(["devise", type(self).__name__.lower(), name, *needed])

    @property
    def about(self) -> str:
        general = inspect.getdoc(type(self)) or ""
        if not self.name:
            return general
        line = self.kinds[self.name]
        return (f"{line[0].upper()}{line[1:]}.\n\n{signature(self.place).about}\n\n"
                f"{general[general.index('--json prints'):]}")

    def arguments(self, parser: ArgumentParser) -> None:
        takes = signature(self.place).parameters
        self.known = options.add_all(parser, self.place)
        if "images" in takes:
            options.add(parser, options.OPEN, *options.READ)
        if "backbone" in takes:
            options.add(parser, self.place, "backbone")

    def module(self) -> ModuleType:
        """The module of `run`, imported when all that could be wrong was looked at."""
        return importlib.import_module(f"{self.room}.{self.name}")

    def _keep(self, folder: Path, asked: dict, overwrite: bool) -> None:
        """Refuse to replace what is no report, or one of another run or of other options, before the run."""
        vacant(folder)
        old = read_json(folder / "report.json") if is_manifest(folder / "report.json") and not overwrite else None
        if old is None or self.name in (old.get("recipe"), old.get("bench")) and old.get("options", {}) == asked:
            return
        before = old.get("options", {})
        told = [f"{options.flag(one)} {number(before[one]) if one in before else 'not given'}"
                for one in sorted({*before, *asked}) if before.get(one) != asked.get(one)]
        which = ", ".join([str(old.get("recipe") or old.get("title") or old.get("bench")), *told])
        raise FileExistsError(f"{folder} holds the report of another run, which would be lost: {which}. Name "
                              "another folder with -o, or allow it with --overwrite")


class Recipe(Measured):
    """A published table beside ours, with one command: report.md, report.json, pictures and the model.

    devise recipe NAME --help tells what each takes.

    --json prints {"recipe", "output" (the folder), "options" (those that were given)} and what report.json
    holds: {"title", "trained", "facts": {name: value}, "tables": [{"caption" (which states the candidates),
    "head", "columns", "rows": [{"name", "values": {column: {"mean", "std", "min", "max", "n", "low", "high"} or
    {"difference", "low", "high", "p", "n"}, in [0, 1], or a count}}], "published": [{"name", "values",
    "source", "table", "candidates", "certain"}], "notes"}], "pictures": [{"caption", "file"}], "notes"}.
    """

    example = """\
        devise recipe hybrid
        devise recipe zeroshot --draws 20 --beside clip=embeddings.npz
        devise recipe xian2018 --root ~/xlsa17/data
        devise recipe metric --root ~/CUB_200_2011 --set cub200"""
    stopped = "the features are kept, and the same command goes on from them; runs that were finished start anew"
    kinds, room = RECIPES, "devise.recipes"

    def arguments(self, parser: ArgumentParser) -> None:
        super().arguments(parser)
        if "backbone" in signature(self.place).parameters:
            options.add(parser, options.LOAD, *options.NETWORK[1:])
        options.add_output(parser, "DIR", required=False, help=f"default: results/{self.name}")

    def run(self, args: Namespace) -> Answer:
        output = vars(args).get("output") or Path("results") / self.name
        given: dict[str, Any] = options.given(args, self.known)
        asked = as_json({**given, **options.given(args, (*options.READ, *options.NETWORK))})
        self._keep(output, asked, args.overwrite)
        if "images" not in given:
            options.refuse(args, options.READ, "they go with --images")
        if "set" in self.known and ("root" in given) != ("set" in given):
            raise WrongUsage("--root and --set go together: the folder, and which set it holds")
        if "root" in given:
            opening.existing(args.root, "the folder of a published set")
        found = None
        if "images" in given:
            found = given["images"] = opening.data(args, args.images)
            say_skipped(opening.of_training(found)[0])
        given |= opening.words(args) | opening.synonyms(args)
        if found is not None or options.given(args, options.NETWORK):
            network = opening.network(args, found)
            given["backbone"] = network if isinstance(network, str) else network.backbone
        with progress_bar(self.name, unit="steps") as progress:
            report = self.module().run(output, progress=progress, **given)
        write_json(output / "report.json", read_json(output / "report.json") | {"recipe": self.name, "options": asked})
        shown = replace(report, notes=(*report.notes, f"report.md and what goes with it are in {output}"))
        return Answer(shown, {"recipe": self.name, "output": str(output), "options": asked, **report.to_json()})


class Bench(Measured):
    """Speed as ratios, each measured in one run on this machine.

    devise bench NAME --help tells what each takes.

    --json prints {"bench", "options" (those that were given), "rows": [{…}] (what was measured, a row a way of
    doing it), "ratios" (numbers, or numbers by name), "curve" (of index: recall and speed), "machine": {"cpus",
    "system", "architecture", "python", "versions"}} and what the benchmark states of its data. -o FOLDER writes
    this as report.json, the tables as table.md, and a picture where the benchmark draws one.
    """

    example = """\
        devise bench train -o results/bench-train
        devise bench extract --backbone vgg16 -n 32 -o results/bench-extract
        devise bench words --path glove.6B.300d.txt
        devise bench index -n 100000 --engines usearch,annoy
        devise bench serve --path index -n 200"""
    stopped = "nothing was written; the same command measures anew"
    kinds, room = BENCHMARKS, "devise.bench"

    def arguments(self, parser: ArgumentParser) -> None:
        super().arguments(parser)
        options.add_output(parser, "DIR", required=False, help="write table.md, report.json and the picture here")

    def run(self, args: Namespace) -> Answer:
        given = options.given(args, (*self.known, "backbone"))
        asked = as_json({**given, **options.given(args, options.READ)})
        if "output" in args:
            self._keep(args.output, asked, args.overwrite)
        if "path" in given:
            opening.existing(args.path, options.OPTIONS["path"][2])
        if "images" in given:
            given["images"] = opening.classed(args, args.images)
        bench = self.module()
        from devise.machine import machine

        with progress_bar(self.name, unit="steps") as progress:
            document = {"machine": machine(), "options": asked, **bench.run(progress=progress, **given)}
        stated = document["machine"] | {name: value for name, value in document.items() if name not in STATED}
        facts = {name.replace("_", " "): value for name, value in stated.items()}
        report = Report(f"devise bench {document['bench']}", facts, _tables(document))
        if "output" in args:
            report = _written(args.output, document, report, vars(bench).get("plot"))
        return Answer(report, document)


def _tables(document: dict) -> tuple[Table, ...]:
    """What was measured, and the ratios."""
    columns = list(dict.fromkeys(name for row in document["rows"] for name in row))
    rows = [[row.get(name) for name in columns] for row in document["rows"]]
    ratios = [(name, f"{number(value)} ×") for name, value in _flat(document["ratios"])]
    return (Table([name.replace("_", " ") for name in columns], rows, form="plain"), Table(("ratio", ""), ratios))


def _written(folder: Path, document: dict, report: Report, plot: Any) -> Report:
    """The document, its tables and its picture as files; the report with a note that says so."""
    names, pictures = ["report.json", "table.md"], ()
    folder.mkdir(parents=True, exist_ok=True)
    if plot:
        picture = f"{document['bench']}.png"
        plot(document, folder / picture)
        names, pictures = [*names, picture], ((report.title, picture),)
    report = replace(report, pictures=pictures)
    write_report(folder, document, {names[1]: report.markdown()}, overwrite=True)  # the command asked before the run
    return replace(report, notes=(f"{', '.join(names)} are in {folder}",))


def _flat(ratios: dict, prefix: str = "") -> Iterator[tuple[str, float]]:
    """(name, number) pairs of ratios that may be nested: {"annoy": {"10000": {"build_s": …}}}."""
    for name, value in ratios.items():
        name = f"{prefix}{name.replace('_', ' ')}"
        yield from _flat(value, f"{name}, ") if isinstance(value, dict) else [(name, float(value))]
