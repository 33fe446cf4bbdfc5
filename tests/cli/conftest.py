"""A command line whose backbone is the stub, in a home that is not the user's."""

import json
from types import SimpleNamespace

import pytest

from devise.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home and working folder, so that no file of the user's is read or written."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")  # as the command sets it, undone after the test
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture
def stub(monkeypatch, make_backbone):
    """Every backbone is the stub; the names and options that were asked for, in order."""
    from devise import backbones

    asked, network = [], make_backbone()

    def load(name="vgg16", **options):
        asked.append((name, options))
        return network

    monkeypatch.setattr(backbones, "load", load)
    monkeypatch.setattr(backbones, "choose", lambda: ("thumbnail", "nothing else is needed here"))
    return asked


@pytest.fixture
def devise(capsys):
    """Runs a command in this process; gives its exit code, stdout and stderr."""
    def run(*argv):
        capsys.readouterr()
        code = main(argv)
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)
    return run


@pytest.fixture
def answer(devise):
    """Runs a command with --json; gives the one document on stdout."""
    def run(*argv, code=0):
        ran = devise(*argv, "--json")
        assert ran.code == code, ran.err
        return json.loads(ran.out)
    return run


@pytest.fixture
def words_file(tmp_path, vocabulary):
    """The small vocabulary as a text in GloVe's form."""
    path = tmp_path / "words.txt"
    rows = zip(vocabulary.words, vocabulary.matrix.tolist(), strict=True)
    path.write_text("".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in rows))
    return path


@pytest.fixture
def captions_file(picture_folder):
    """A CSV beside the pictures with two sentences about each, named by their paths."""
    path = picture_folder.parent / "captions.csv"
    colours = {"cat": "red", "dog": "dollar", "horse": "ocean", "car": "bill"}
    rows = [f"{place.parent.name}/{place.name},{text}" for place in sorted(picture_folder.glob("*/*.png"))
            for text in (f"the {place.parent.name}", f"a {colours[place.parent.name]} {place.parent.name}")]
    path.write_text("\n".join(["image,caption", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def broken(picture_folder):
    """The picture folder with a file in it that is no picture."""
    (picture_folder / "cat" / "notes.png").write_text("not a picture")
    return picture_folder


@pytest.fixture
def model(devise, stub, picture_folder, words_file, tmp_path):
    """A folder with a model trained on colours, horses unseen."""
    ran = devise("train", picture_folder, "--words", words_file, "--head", "ridge", "--unseen", "horse",
                 "-o", tmp_path / "model")
    assert ran.code == 0, ran.err
    return tmp_path / "model"


@pytest.fixture
def index(devise, model, picture_folder, tmp_path):
    ran = devise("index", picture_folder, "--model", model, "--engine", "exact", "-o", tmp_path / "index")
    assert ran.code == 0, ran.err
    return tmp_path / "index"
