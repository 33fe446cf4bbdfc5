"""The page docs/how-to-add.md: what it adds is added to a copy of the project, and tested there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/how-to-add.md"
BLOCK = re.compile(r"^```(python|diff) (\S+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
SUITES = {"squared cosine": "tests/losses/test_loss_contract.py", "plain": "tests/index/test_index_contract.py",
          "tiny": "tests/backbones/test_backbone_contract.py", "ridge": "tests/recipes/test_recipe_contract.py"}
OWN = ("devise/losses/squared.py", "devise/index/plain.py", "tests/recipes/test_ridge.py", "tests/test_layers.py")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The project with all that the page adds."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "devise", folder / "devise")
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("faults", "web"))
    for name in ("data", "setup.py", "pyproject.toml", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    for kind, path, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            assert not (folder / path).exists(), f"{path} is not new"
            (folder / path).write_text(text, encoding="utf-8")
        else:
            change(folder / path, text.splitlines())
    return folder


def change(path, lines):
    """Apply the − and + lines of a block, where what stands before it stands exactly once."""
    old = "\n".join(line[1:] for line in lines if line[0] in " -")
    new = "\n".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {text.count(old)} places like this:\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_page_adds_one_of_each():
    paths = [path for kind, path, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "python"]
    assert {Path(path).parts[1] for path in paths if path.startswith("devise/")} == {
        "losses", "index", "backbones", "recipes"}


def test_what_it_adds_passes_the_suites_of_its_kind(copy):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", *SUITES.values(), *OWN, "-k",
         "squared or plain or tiny or ridge"], cwd=copy, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(copy), "TF_CPP_MIN_LOG_LEVEL": "2"})
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    passed = [line for line in ran.stdout.splitlines() if " PASSED" in line]
    for name, suite in SUITES.items():
        mine = [line for line in passed if line.startswith(suite) and name in line]
        assert len(mine) >= 2, f"{suite} has no test of {name}:\n{ran.stdout[-4000:]}"
    for path in OWN:
        assert any(line.startswith(path) for line in passed), path


def test_the_names_it_gives_are_known_to_the_command_line(copy):
    code = ("from devise import backbones, index, recipes, losses; "
            "print('tiny' in backbones.names(), 'plain' in index.engines(), 'ridge' in recipes.RECIPES, "
            "'SquaredCosine' in losses._LEAVES)")
    ran = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True,
                         env=os.environ | {"PYTHONPATH": str(copy)})
    assert ran.stdout.split() == ["True"] * 4
