"""The command `devise`: reads the arguments, prints the answer; all else is done by other modules.

The answer goes to stdout, as text or, with --json, as one JSON document; progress and notes go to
stderr. The exit code is 0 where all was done, 1 where something could not be done, 2 for a wrong
usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import inspect
import io
import json
import logging
import os
import re
import sys
import textwrap
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, TextIO

from devise import __version__
from devise.cli.terminal import progress_bar, red, say
from devise.errors import unknown
from devise.figures import as_json, printable
from devise.report import Report, pairs

COMMANDS = {  # in the order of the pipeline
    "fetch": "download a known data set, weights or word vectors",
    "extract": "pictures → features, through a frozen backbone",
    "summary": "the parameters of the whole network",
    "train": "pictures or features → a model of words and pictures",
    "siamese": "pictures → a model for picture search by a learnt distance",
    "captions": "pictures with sentences → a model that finds pictures by either",
    "finetune": "a model → one whose network is trained too",
    "calibrate": "a model → one that says whether there is a match at all",
    "evaluate": "what a model retrieves and names, in figures",
    "export": "a model → one Keras or ONNX file",
    "index": "pictures → an index to search",
    "add": "more pictures into an index",
    "remove": "pictures out of an index",
    "sync": "an index in line with its folders again",
    "duplicates": "copies in an index, and pictures that are nearly the same",
    "search": "pictures by a word, a phrase or a picture; words by a word",
    "serve": "a page over an index, with a JSON API",
    "tag": "name pictures, by classes never seen in training too",
    "similarity": "the cosine of two pictures",
    "words": "open, inspect and audit word vectors",
    "recipe": "a published table beside ours, with one command",
    "bench": "measure speed, as ratios",
    "check": "whether what lies on disk is whole and fits together",
    "info": "versions, devices, folders, and what can be used offline",
    "completion": "a script that lets your shell complete all this",
}
MODULES = {"siamese": "train", "captions": "train", "add": "index", "remove": "index", "sync": "index",
           "duplicates": "search", "words": "search", "similarity": "tag", "bench": "recipe",
           **dict.fromkeys(("evaluate", "finetune", "calibrate", "export", "summary"), "model"),
           **dict.fromkeys(("fetch", "check", "info"), "machine")}  # where it is not the command's own name
EXAMPLE = """\
  devise index ~/pictures -o index
  devise search index --text ocean --save sheet.png
  devise tag cat.jpg
  devise train ~/pictures --unseen elephant,lobster -o model"""
EXPECTED = (ValueError, KeyError, OSError, ImportError)  # what is raised for bad input
JSON = ("print a JSON document on stdout: the answer as a report (title, trained, facts, tables, notes) and what "
        "stands above")


class Answer(NamedTuple):
    """What a command has to say.

    Attributes:
        report: for a person; --json prints its document too.
        keys: what the document of --json has beside it.
        failed: whether a part failed.
        text: printed in place of the report's own text, where that is for a program.
    """

    report: Report
    keys: Mapping[str, Any] = {}
    failed: bool = False
    text: str | None = None

    @property
    def document(self) -> dict:
        """The document of --json; what is not finite is null."""
        return as_json({**self.report.to_json(), **self.keys})


class Command(ABC):
    """One command; its docstring is the description in its help, and ends with the keys of --json.

    Attributes:
        example: lines that `devise` takes.
        stopped: what Ctrl-C leaves, for the message.
        waits: whether it waits for others, as a server does, and has no progress of its own.
        kinds: {name: line of help} of its subcommands, each of which is made as Command(name).
        known: the options that a subcommand takes from a function, once its arguments are said.
    """

    example: str
    stopped = "nothing is left half-made; the same command starts anew"
    waits = False
    kinds: Mapping[str, str] = {}
    known: tuple[str, ...] = ()

    @abstractmethod
    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what it takes."""

    @abstractmethod
    def run(self, args: argparse.Namespace) -> Answer:
        """Do it."""

    @property
    def about(self) -> str:
        """The description in the help."""
        return inspect.getdoc(type(self)) or ""


class WrongUsage(ValueError):
    """Arguments that don't go together, found after they were read."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are two lines, without the usage of forty options."""

    def __init__(self, **options: Any):
        super().__init__(formatter_class=_form, **options)

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument NAME: ")  # argparse's, before what `unknown` says
        if lacking := re.match(r"argument (?:\S+/)?(--[\w-]+): expected one argument$", message):
            message += f"; one that begins with a minus is written behind =, as {lacking[1]}=-people"
        if strange := re.match(r"unrecognized arguments: .*?(?<!\S)(--[\w-]+)", message):
            message = unknown("option", strange[1], self._option_string_actions).partition(": expected")[0]
        self.exit(2, f"{self.prog}: {printable(message)}\nsee {self.prog} --help\n")

    def _get_value(self, action, value):
        """argparse's own, but for what is blank: that is a mistake, such as an unset variable of a shell."""
        from devise.cli.options import numbers, sizes

        if not value.strip() and action.type not in (numbers, sizes):  # of which there may be none
            wanted = action.metavar if isinstance(action.metavar, str) else action.dest
            raise argparse.ArgumentError(action, f"{value!r} is empty: expected {wanted}")
        return super()._get_value(action, value)

    def _check_value(self, action, value):
        """argparse's own, for `choices`, with a good guess for a mistyped one."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, unknown("choice", value, action.choices))


class _Help(argparse.RawDescriptionHelpFormatter):
    """Descriptions and examples as they are written, options with the defaults of their functions."""

    def _get_help_string(self, action):
        from devise.cli import options

        return options.helped(action)


def _form(prog):
    return _Help(prog, max_help_position=26, width=min(100, int(os.environ.get("COLUMNS") or 100)))


def open_command(name: str, kind: str | None = None) -> Command:
    """A command by its name, or one of its subcommands."""
    module = importlib.import_module(f"devise.cli.{MODULES.get(name, name)}")
    made = vars(module)[name.title()]
    return made(kind) if kind else made()


def top_parser() -> Parser:
    """The parser of `devise` itself, without a command."""
    listed = textwrap.indent(pairs(COMMANDS), "  ")
    top = Parser(prog="devise", usage="devise COMMAND … (devise COMMAND --help says more)",
                 description="Pictures and words in one space.\n\n"
                 f"commands, in the order of the pipeline:\n{listed}",
                 epilog=f"from pictures to answers:\n{EXAMPLE}\nwithout pictures: devise recipe hybrid")
    top.add_argument("--version", action="version", version=f"devise {__version__}")
    return top


def command_parser(name: str, kind: str | None = None) -> Parser:
    """The parser of one command, or of one of its subcommands."""
    verb = open_command(name, kind)
    parser = Parser(prog=" ".join(filter(None, ("devise", name, kind))), description=verb.about,
                    epilog=f"example:\n{textwrap.indent(textwrap.dedent(verb.example), '  ')}")
    if verb.kinds and not kind:
        from devise.cli.options import one_of

        parser.add_argument("name", type=one_of(name if name == "recipe" else "benchmark", verb.kinds), metavar="NAME",
                            help="; ".join(f"{known}: {what}" for known, what in verb.kinds.items()))
    else:
        verb.arguments(parser)
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=name, verb=verb)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of one command; SystemExit after a help, a version or an error."""
    if argv and argv[0] in COMMANDS:
        name, *rest = argv
        kind = rest.pop(0) if rest and rest[0] in open_command(name).kinds else None
        # intermixed, so that `tag cat.jpg -k 3 dog.jpg` is read as `tag cat.jpg dog.jpg -k 3`
        return command_parser(name, kind).parse_intermixed_args(rest)
    top = top_parser()
    if argv and not argv[0].startswith("-"):
        top.error(unknown("command", argv[0], COMMANDS))
    top.parse_args(argv)
    return top.error(f"expected a command: {', '.join(COMMANDS)}")


def main(argv: Sequence[Any] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 could not, 2 wrong usage, 130 stopped."""
    argv = sys.argv[1:] if argv is None else [str(word) for word in argv]
    if isinstance(sys.stdout, io.TextIOWrapper):  # a Latin-1 terminal shall not end a run at a "→"
        sys.stdout.reconfigure(errors="backslashreplace")
    args = None
    try:
        try:
            args = parse(argv)
        except SystemExit as stop:
            sys.stdout.flush()
            return int(stop.code or 0)
        return _run(args)
    except KeyboardInterrupt as stop:
        where = "".join(f" ({note})" for note in getattr(stop, "__notes__", ())[:1])  # of the innermost bar
        print(f"\n{red('devise: stopped', sys.stderr)}{where}; "
              f"{args.verb.stopped if args else Command.stopped}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(args: argparse.Namespace) -> int:
    """The exit code of a command whose arguments have been read."""
    from devise.cli import opening

    if "tensorflow" not in sys.modules and not any(isinstance(finder, Quietly) for finder in sys.meta_path):
        sys.meta_path.insert(0, Quietly())
    try:
        with (_said(), unhidden() as file, contextlib.nullcontext() if args.verb.waits else
              progress_bar(f"devise {args.command}", file=file)):
            opening.at_once(args)
            answer = args.verb.run(args)
        shown = answer.report.text() if answer.text is None else answer.text
        print(_escaped(answer.document) if args.json else shown, flush=True)
    except BrokenPipeError:
        raise
    except Exception as error:
        if args.debug:
            raise
        name = red(f"devise {args.command}:", sys.stderr)
        print(f"{name} {printable(message(error))}", file=sys.stderr)
        return 2 if isinstance(error, WrongUsage) else 1
    return 1 if answer.failed else 0


def _escaped(document: dict) -> str:
    """JSON for a terminal, in which no file's name can do anything: what can't be printed is escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Warnings as lines for a person, without the place in the code that they come from."""
    from devise.cli.options import typed

    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.showwarning = lambda message, category, *place: (
            say(typed(str(message))) if category is UserWarning else shown(message, category, *place))
        yield


def message(error: Exception) -> str:
    """An error in the command line's words; of one that nobody raises on purpose, its type too."""
    from devise.cli.options import typed

    if isinstance(error, KeyError) and error.args:
        return typed(str(error.args[0]))  # str(error) would put it in quotes
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, EXPECTED):
        return typed(str(error)) or type(error).__name__
    return f"unexpected {type(error).__name__}: {error}\n--debug shows where"


@contextlib.contextmanager
def unhidden() -> Iterator[TextIO]:
    """A stream to the terminal behind stderr that still leads there while `Quietly` has stderr closed."""
    if not sys.stderr.isatty():
        yield sys.stderr
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace") as file:
        yield file


class Quietly(MetaPathFinder):
    """Lets TensorFlow, whenever it is imported, be so without its greetings: they go to file descriptor 2 at any level.

    Nothing is imported by it: a command that needs no framework never waits for one.
    """

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            spec.loader.exec_module = partial(_quietly, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


def _quietly(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Run a module's code with file descriptor 2 closed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        run(module)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # a recipe makes one graph a training, on purpose
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
