"""What messages tell people to install is what setup.py offers, under the name that pip knows."""

import ast
import re
from pathlib import Path

import pytest

from devise.errors import DISTRIBUTION, pip_line

ROOT = Path(__file__).parents[1]
HINT = re.compile(r"pip install '([\w.-]+)\[([\w,-]+)\]'")
CALL = re.compile(r"pip_line\(['\"]([\w-]+)['\"]\)|require\([^()]*?,\s*['\"]([\w-]+)['\"]")


@pytest.fixture(scope="module")
def extras():
    """The extras of setup.py, read and not run."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    [found] = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "EXTRAS"]
    return {key.value for key in found.keys}


def test_every_extra_that_the_code_names_is_there(extras):
    if not (ROOT / "setup.py").is_file():
        pytest.skip("setup.py is not beside the package")
    named = {(file.name, name) for file in (ROOT / "devise").rglob("*.py")
             for match in CALL.findall(file.read_text(encoding="utf-8")) for name in match if name}
    assert len(named) > 10
    assert {(file, name) for file, name in named if name not in extras} == set()


def test_every_line_that_people_may_copy_names_this_distribution(extras):
    places = [*(ROOT / "devise").rglob("*.py"), *ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/*.md")]
    lines = {(file.name, *match) for file in places for match in HINT.findall(file.read_text(encoding="utf-8"))}
    assert {line for line in lines if line[1] not in (DISTRIBUTION, ".")} == set()
    assert {line for line in lines if not set(line[2].split(",")) <= extras} == set()


def test_the_line_is_one_that_pip_takes():
    assert HINT.fullmatch(pip_line("annoy")).groups() == (DISTRIBUTION, "annoy")
