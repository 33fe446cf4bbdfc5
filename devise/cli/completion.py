"""Completion of a shell: `devise completion`."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from typing import Any

from devise.cli import COMMANDS, Answer, Command, Parser, command_parser, open_command, options, top_parser
from devise.errors import require
from devise.report import Report

SHELLS = ("bash", "zsh", "fish")
FOLDERS = {"DIR", "MODEL", "INDEX"}  # by what the help calls an argument
FILES = {"FILE", "PNG", "PICTURE", "PICTURES", "LABELS", "PLACE"}


class Completion(Command):
    """A script for your shell, so that the tab key completes devise's commands, options, names and paths.

      bash  devise completion bash > ~/.local/share/bash-completion/completions/devise
      zsh   devise completion zsh > ~/.zfunc/_devise, and fpath+=~/.zfunc before compinit in ~/.zshrc
      fish  devise completion fish > ~/.config/fish/completions/devise.fish

    --json prints {"shell", "script"}.
    """

    example = "devise completion bash"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shell", type=options.one_of("shell", SHELLS), metavar="SHELL", help=", ".join(SHELLS))

    def run(self, args: Namespace) -> Answer:
        shtab = require("shtab", "completion")
        script = shtab.complete(whole_parser(shtab.FILE, shtab.DIRECTORY), shell=args.shell)
        return Answer(Report(f"completion for {args.shell}"), {"shell": args.shell, "script": script}, text=script)


def whole_parser(file: dict, folder: dict) -> Parser:
    """One parser with all commands, each argument knowing what completes it.

    Args:
        file, folder: what a shell shall do for a path, in the words of the library that writes the script.
    """
    top = top_parser()
    commands = top.add_subparsers()
    for name, help in COMMANDS.items():
        commands.add_parser(name, help=help)
        kinds = open_command(name).kinds
        commands.choices[name] = command = Parser(prog=f"devise {name}") if kinds else command_parser(name)
        if kinds:
            below = command.add_subparsers()
            for kind, line in kinds.items():
                below.add_parser(kind, help=line)
                below.choices[kind] = command_parser(name, kind)
        for parser in below.choices.values() if kinds else [command]:
            for action in parser._actions:  # argparse has no public list of them
                _complete(action, file, folder)
    return top


def _complete(action: argparse.Action, file: dict, folder: dict) -> None:
    """Give an argument the names that it takes, or say that it is a path."""
    known = list(getattr(action.type, "known", ())) or list(_names(action))
    if known and not action.choices:
        action.choices = known
    elif action.metavar in FOLDERS:
        vars(action)["complete"] = folder  # where shtab looks
    elif action.metavar in FILES:
        vars(action)["complete"] = file


def _names(action: argparse.Action) -> Iterable[str]:
    """The names that a module knows for an argument which takes paths or anything else too."""
    from devise import backbones, index
    from devise.datasets import catalog
    from devise.words import NAMES

    rooms: dict[Any, Callable[[], Iterable[str]]] = {
        "--backbone": backbones.names, "--engine": index.engines, "--words": lambda: NAMES, "WORDS": lambda: NAMES,
        "NAME": lambda: (entry.name for entry in catalog.entries())}
    return rooms.get(action.option_strings[-1] if action.option_strings else action.metavar, lambda: ())()
