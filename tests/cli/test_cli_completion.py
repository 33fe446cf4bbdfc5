"""The completion's script does in a real bash what the parsers say."""

import shutil
import subprocess

import pytest

from devise import backbones, cli, index
from devise.cli import options
from devise.recipes import RECIPES

pytest.importorskip("shtab")
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
ASK = """
source "$1"; shift
COMP_WORDS=(devise "$@"); COMP_CWORD=$#; COMPREPLY=()
_shtab_devise
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(devise, tmp_path):
    """What bash offers for the last of some words."""
    script = tmp_path / "completion.bash"
    script.write_text(devise("completion", "bash").out)

    def ask(*words):
        ran = subprocess.run(["bash", "-c", ASK, "bash", script, *words], capture_output=True, text=True, check=True,
                             cwd=tmp_path)
        assert ran.stderr == ""
        return set(ran.stdout.split())
    return ask


def test_commands_and_their_options(complete):
    assert complete("") >= set(cli.COMMANDS)
    assert complete("sea") == {"search"}
    for name in ("train", "search"):
        known = {option for action in cli.command_parser(name)._actions for option in action.option_strings}
        assert complete(name, "--") == {option for option in known if option.startswith("--")}


@pytest.mark.parametrize(("words", "expected"), [
    (["recipe", ""], set(RECIPES)),
    (["train", "x", "--optimiser", "ad"], {"adam", "adagrad"}),
    (["index", "x", "--engine", ""], set(index.engines())),
    (["recipe", "metric", "--tri"], {"--trials"}),
    (["bench", "se"], {"serve"}),
    (["extract", "x", "--backbone", "vgg"], {name for name in backbones.names() if name.startswith("vgg")}),
    (["fetch", "glo"], {"glove-6b"}),
    (["words", "glove-6b-1"], {"glove-6b-100d"}),
    (["evaluate", "mod"], {"model"}),
    (["train", "x", "-o", "m", "--synonyms", "syn"], {"synonyms.txt"}),
])
def test_values(complete, words, expected, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "synonyms.txt").touch()
    assert complete(*words) == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_script(shell, devise, tmp_path):
    ran = devise("completion", shell)
    assert ran.code == 0 and all(name in ran.out for name in cli.COMMANDS)
    if shutil.which(shell):
        (tmp_path / "script").write_text(ran.out)
        assert subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, check=True).stderr == b""


def test_the_library_is_an_extra(devise, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    ran = devise("completion", "bash")
    assert ran.code == 1 and "pip install 'devise-vse[completion]'" in ran.err


def test_one_of_tells_what_it_knows():
    assert options.one_of("animal", {"cat": 1, "dog": 2}).known == ("cat", "dog")
