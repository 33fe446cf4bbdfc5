"""A script for your shell, so that the tab key completes devise's commands, options, names and paths.

  bash  devise completion bash > ~/.local/share/bash-completion/completions/devise
  zsh   devise completion zsh > ~/.zfunc/_devise, and fpath+=~/.zfunc before compinit in ~/.zshrc
  fish  devise completion fish > ~/.config/fish/completions/devise.fish

--json prints {"shell", "script"}.
"""

from devise.cli import COMMANDS, Answer, command_parser, options, top_parser
from devise.errors import require

EXAMPLE = "  devise completion bash"
SHELLS = ("bash", "zsh", "fish")
FOLDERS = {"DIR", "MODEL", "INDEX"}  # by what the help calls an argument
FILES = {"FILE", "PNG", "PICTURE", "PICTURES", "LABELS", "PLACE"}
FRAMEWORK = False


def arguments(command):
    command.add_argument("shell", type=options.one_of("shell", SHELLS), metavar="SHELL", help=", ".join(SHELLS))


def run(args):
    shtab = require("shtab", "completion")
    script = shtab.complete(whole_parser(shtab.FILE, shtab.DIRECTORY), shell=args.shell)
    return Answer({"shell": args.shell, "script": script}, script)


def whole_parser(file, folder):
    """One parser with all commands, each argument knowing what completes it.

    Args:
        file, folder: what a shell shall do for a path, in the words of the library that writes the script.
    """
    top = top_parser()
    commands = top.add_subparsers()
    for name, help in COMMANDS.items():
        commands.add_parser(name, help=help)
        commands.choices[name] = command = command_parser(name)
        for action in command._actions:  # argparse has no public list of them
            _complete(action, file, folder)
    return top


def _complete(action, file, folder):
    """Give an argument the names that it takes, or say that it is a path."""
    known = list(getattr(action.type, "known", ()) or _names(action))
    if known and not action.choices:
        action.choices = known
    elif action.metavar in FOLDERS:
        action.complete = folder
    elif action.metavar in FILES:
        action.complete = file


def _names(action):
    """The names that a room knows for an argument which takes paths or anything else too."""
    from devise import backbones, index
    from devise.datasets import catalog
    from devise.words import NAMES

    rooms = {"--backbone": backbones.names, "--engine": index.engines, "--words": lambda: NAMES,
             "WORDS": lambda: NAMES, "NAME": lambda: (entry.name for entry in catalog.entries())}
    return rooms.get((action.option_strings or [action.metavar])[-1], lambda: ())()
