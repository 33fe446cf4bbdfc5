"""The papers over the project: they name its version, its licences and its commands as they are."""

import re
from pathlib import Path

import pytest

from devise import __version__
from devise.cli import COMMANDS
from devise.datasets import catalog

ROOT = Path(__file__).parents[1]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version():
    assert re.search(r"^version: (.+)$", read("CITATION.cff"), flags=re.MULTILINE)[1] == __version__
    newest = re.search(r"^## (\S+) - (unreleased|\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert newest[1] == __version__


def test_the_changelog_has_the_sections_of_keep_a_changelog_and_knows_the_newer_commands():
    sections = set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), flags=re.MULTILINE))
    assert sections and sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    named = set(re.findall(r"`devise ([a-z]+)`", read("CHANGELOG.md")))
    assert named and named <= set(COMMANDS)


def test_the_licence_is_mit_and_the_citation_says_so():
    assert read("LICENSE").startswith("MIT License\n")
    assert "license: MIT" in read("CITATION.cff") and 'license="MIT"' in read("setup.py")


@pytest.mark.parametrize("entry", catalog.entries(), ids=lambda entry: entry.name)
def test_what_can_be_fetched_has_its_licence_in_the_list(entry):
    rows = read("data/README.md").splitlines()
    row = next(row for row in rows if row.startswith(f"| `{entry.name}` (`devise fetch`"))
    assert row.split("|")[3].strip() == entry.licence


def test_what_the_package_carries_from_others_is_in_the_list():
    listed = read("data/README.md")
    for path in [*(ROOT / "devise").rglob("*.npz"), *(ROOT / "devise").rglob("*.tsv"),
                 *(ROOT / "devise/words").glob("*.json")]:
        assert f"`{path.name}`" in listed, f"{path.name} is in the package and its licence is not in data/README.md"
    assert (ROOT / "devise/words/wordnet_licence.txt").is_file()
