"""The command `devise`: reads the arguments, prints the answer; all else is done by other rooms.

The answer goes to stdout, as text or, with --json, as one JSON document; progress and notes go to
stderr. The exit code is 0 where all was done, 1 where something could not be done, 2 for a wrong
usage, 130 after Ctrl-C.
"""

import argparse
import contextlib
import importlib
import json
import logging
import os
import re
import sys
import textwrap
from typing import NamedTuple

from devise import __version__
from devise.cli.text import paint, progress_bar
from devise.errors import unknown
from devise.report import pairs

COMMANDS = {  # in the order of the pipeline
    "fetch": "download a known data set, weights or word vectors",
    "extract": "pictures → features, through a frozen backbone",
    "summary": "the parameters of the whole network",
    "train": "pictures or features → a trained model",
    "finetune": "a trained model → one whose network is trained too",
    "siamese": "pictures → a model for picture search by a learnt distance",
    "captions": "pictures with sentences → a model that finds pictures by either",
    "evaluate": "flat hit@k of a model, over stated candidates",
    "export": "a trained model → one Keras or ONNX file",
    "index": "pictures → an index to search",
    "search": "pictures by a word, a phrase or a picture; words by a word",
    "serve": "a page over an index, with a JSON API",
    "tag": "name pictures, by classes never seen in training too",
    "words": "open, inspect and audit word vectors",
    "similarity": "the cosine of two pictures",
    "recipe": "a published table beside ours, with one command",
    "bench": "measure speed, as ratios",
    "check": "whether what lies on disk is whole and fits together",
    "info": "versions, devices, folders, and what can be used offline",
    "completion": "a script that lets your shell complete all this",
}
EXAMPLE = """\
  devise train ~/pictures --unseen elephant,lobster -o model
  devise index model ~/pictures -o index
  devise search index --text ocean --save sheet.png
  devise tag model cat.jpg"""
STOPPED = "nothing is left half-made; the same command starts anew"  # where a command has no words of its own
EXPECTED = (ValueError, KeyError, OSError, ImportError)  # what the rooms raise for bad input


class Answer(NamedTuple):
    """What a command has to say: a document for programs, a text for people, and whether a part failed."""

    document: dict
    text: str
    failed: bool = False


class WrongUsage(ValueError):
    """Arguments that don't go together, found after they were read."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are two lines, without the usage of forty options."""

    def __init__(self, **options):
        super().__init__(formatter_class=_form, **options)

    def error(self, message):
        message = message.removeprefix("argument NAME: ")  # argparse's, before what `unknown` says
        if strange := re.fullmatch(r"unrecognized arguments: (--[\w-]+)(?:=\S*)?", message):
            message = unknown("option", strange[1], self._option_string_actions).partition(": expected")[0]
        self.exit(2, f"{self.prog}: {message}\nsee {self.prog} --help\n")

    def _check_value(self, action, value):
        """argparse's own, for `choices`, with a good guess for a mistyped one."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, unknown("choice", value, action.choices))


def top_parser():
    """The parser of `devise` itself, without a command."""
    listed = textwrap.indent(pairs(COMMANDS), "  ")
    top = Parser(prog="devise", usage="devise COMMAND … (devise COMMAND --help says more)",
                 description="Pictures and words in one space.\n\n"
                 f"commands, in the order of the pipeline:\n{listed}",
                 epilog=f"from pictures to answers:\n{EXAMPLE}\nwithout pictures: devise recipe hybrid")
    top.add_argument("--version", action="version", version=f"devise {__version__}")
    return top


def command_parser(name):
    """The parser of one command; what it reads has `run`, `framework` … of the command's module."""
    module = importlib.import_module(f"devise.cli.{name}")
    command = Parser(prog=f"devise {name}", description=module.__doc__, epilog=f"example:\n{module.EXAMPLE}")
    module.arguments(command)
    command.add_argument("--json", action="store_true", help="print a JSON document on stdout, see above")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(command=name, run=module.run, framework=module.FRAMEWORK,
                         stopped=getattr(module, "STOPPED", STOPPED), waits=getattr(module, "WAITS", False))
    return command


def parse(argv):
    """The arguments of one command; SystemExit after a help, a version or an error."""
    if argv and argv[0] in COMMANDS:
        # intermixed, so that `tag model -k 3 cat.jpg` is read as `tag model cat.jpg -k 3`
        return command_parser(argv[0]).parse_intermixed_args(argv[1:])
    top = top_parser()
    if argv and not argv[0].startswith("-"):
        top.error(unknown("command", argv[0], COMMANDS))
    top.parse_args(argv)
    return top.error(f"expected a command: {', '.join(COMMANDS)}")


def main(argv=None):
    """Run one command; returns the exit code: 0 done, 1 could not, 2 wrong usage, 130 stopped."""
    argv = sys.argv[1:] if argv is None else [str(word) for word in argv]
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a Latin-1 terminal shall not end a run at a "→"
    args = None
    try:
        try:
            args = parse(argv)
        except SystemExit as stop:
            sys.stdout.flush()
            return stop.code
        return _run(args)
    except KeyboardInterrupt as stop:
        where = "".join(f" ({note})" for note in getattr(stop, "__notes__", ())[:1])  # of the innermost bar
        print(f"\n{paint('devise: stopped', 'bad', sys.stderr)}{where}; {args.stopped if args else STOPPED}",
              file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(args):
    """The exit code of a command whose arguments have been read."""
    try:
        with terminal() as file:
            # a command that waits for others, such as a server, is not under way to anything
            with contextlib.nullcontext() if args.waits else progress_bar(f"devise {args.command}", file=file):
                if args.framework:
                    quiet_framework()
                answer = args.run(args)
        print(as_json(answer.document) if args.json else answer.text, flush=True)
    except BrokenPipeError:
        raise
    except Exception as error:
        if args.debug:
            raise
        name = paint(f"devise {args.command}:", "bad", sys.stderr)
        print(f"{name} {message(error)}", file=sys.stderr)
        return 2 if isinstance(error, WrongUsage) else 1
    return 1 if answer.failed else 0


def as_json(document):
    """The text of a document; NaN is refused, since JSON has none."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def message(error):
    """An error in its own words; of one that no room raises on purpose, its type too."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])  # str(error) would put it in quotes
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, EXPECTED):
        return str(error) or type(error).__name__
    return f"unexpected {type(error).__name__}: {error}\n--debug shows where"


@contextlib.contextmanager
def terminal():
    """A stream to the terminal behind stderr that still leads there while `quiet_framework` has stderr closed."""
    if not sys.stderr.isatty():
        yield sys.stderr
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace") as file:
        yield file


def quiet_framework():
    """Import TensorFlow without its greetings: it writes them to file descriptor 2 at any log level."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("keras")
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # a recipe makes one graph a training, on purpose
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _form(prog):
    """Descriptions and examples as they are written, in lines of 100 signs at most."""
    width = min(100, int(os.environ.get("COLUMNS") or 100))
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=width)
