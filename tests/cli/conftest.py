"""A command line whose backbone is the stub, in a home that is not the user's."""

import contextlib
import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

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


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Figures of few pixels: how many they have is tested where they are drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("devise.plots.style.DPI", 50)
        yield


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
    return written_words(tmp_path / "words.txt", vocabulary)


def written_words(path, vocabulary):
    rows = zip(vocabulary.words, vocabulary.matrix.tolist(), strict=True)
    path.write_text("".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in rows))
    return path


@pytest.fixture
def captions_file(picture_folder):
    """A CSV beside the pictures with two sentences about each, named by their paths."""
    return written_captions(picture_folder.parent / "captions.csv", picture_folder)


def written_captions(path, pictures):
    colours = {"cat": "red", "dog": "dollar", "horse": "ocean", "car": "bill"}
    rows = [f"{place.parent.name}/{place.name},{text}" for place in sorted(pictures.glob("*/*.png"))
            for text in (f"the {place.parent.name}", f"a {colours[place.parent.name]} {place.parent.name}")]
    path.write_text("\n".join(["image,caption", *rows]) + "\n", encoding="utf-8")
    return path


def run_in(root, network, *argv):
    """Runs a command over a network in a home and a folder of its own; gives what it printed."""
    from devise import backbones

    printed, noted = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in (("DEVISE_HOME", str(root / "home")), ("TF_CPP_MIN_LOG_LEVEL", "2"), ("COLUMNS", "100")):
            patch.setenv(variable, value)
        patch.chdir(root)
        patch.setattr(backbones, "load", lambda name="vgg16", **options: network)
        patch.setattr(backbones, "choose", lambda: ("thumbnail", "nothing else is needed here"))
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(noted):
            code = main(argv)
    assert code == 0, noted.getvalue()
    return printed.getvalue()


@pytest.fixture(scope="session")
def made(tmp_path_factory, make_backbone, vocabulary, drawn_folder):
    """Runs a command over the stub for what many tests only read; gives its folder and what it printed."""
    root, network = tmp_path_factory.mktemp("made"), make_backbone()
    written_words(root / "words.txt", vocabulary)
    written_captions(root / "captions.csv", drawn_folder)
    return lambda name, *argv: SimpleNamespace(folder=root / name,
                                               out=run_in(root, network, *argv, "-o", root / name))


@pytest.fixture(scope="session")
def told_run(made, drawn_folder):
    """A model of captions, trained once; no test may change it."""
    return made("told", "captions", drawn_folder, "--captions", "captions.csv", "--words", "words.txt", "--epochs", 2)


@pytest.fixture
def told(told_run, stub):
    return told_run.folder


@pytest.fixture(scope="session")
def told_index_run(made, told_run, drawn_folder):
    return made("told-index", "index", drawn_folder, "--model", told_run.folder, "--engine", "exact")


@pytest.fixture
def told_index(told_index_run, stub):
    return told_index_run.folder


TILES = {f"tile{number}": 25 * number for number in range(10)}


@pytest.fixture(scope="session")
def draw_tiles():
    """Draws pictures whose class is where red turns to blue; how light they are differs within a class."""
    def draw(root, name, shade, n=6, seed=0):
        random = np.random.default_rng([seed, shade])
        (root / name).mkdir(parents=True)
        for number in range(n):
            pixels = np.full((24, 24, 3), (255 - shade, 40, shade), float) * random.uniform(0.4, 1)
            pixels += random.normal(scale=12, size=pixels.shape)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / name / f"{number}.png")
    return draw


@pytest.fixture(scope="session")
def drawn_tiles(tmp_path_factory, draw_tiles):
    """Ten classes of six tiles, drawn once; none of the tests may change a file of it."""
    root = tmp_path_factory.mktemp("drawn") / "tiles"
    for name, shade in TILES.items():
        draw_tiles(root, name, shade)
    return root


@pytest.fixture(scope="session")
def learnt_run(made, drawn_tiles):
    """A model of classes, trained once; no test may change it."""
    return made("learnt", "siamese", drawn_tiles, "--epochs", 2, "--test", 3, "--validation", 3)


@pytest.fixture
def learnt(learnt_run, stub):
    return learnt_run.folder


@pytest.fixture(scope="session")
def learnt_index_run(made, learnt_run, drawn_tiles):
    return made("learnt-index", "index", drawn_tiles, "--model", learnt_run.folder, "--engine", "exact")


@pytest.fixture
def learnt_index(learnt_index_run, stub, tmp_path):
    """A copy, which a test may change."""
    return shutil.copytree(learnt_index_run.folder, tmp_path / "learnt-index")


@pytest.fixture
def broken(picture_folder):
    """The picture folder with a file in it that is no picture."""
    (picture_folder / "cat" / "notes.png").write_text("not a picture")
    return picture_folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory, make_backbone, vocabulary, drawn_folder):
    """A folder with pictures, words, a home, a model trained on colours, horses unseen, and its index."""
    root, network = tmp_path_factory.mktemp("whole"), make_backbone()
    pictures, words = shutil.copytree(drawn_folder, root / "pictures"), written_words(root / "words.txt", vocabulary)
    run_in(root, network, "train", pictures, "--words", words, "--head", "ridge", "--unseen", "horse",
           "-o", root / "model")
    run_in(root, network, "index", pictures, "--model", root / "model", "--engine", "exact", "-o", root / "index")
    return root


def copied(whole, name, here, manifests="*.json"):
    """A folder of `whole` as if it had been written beside the pictures of this test."""
    folder = shutil.copytree(whole / name, here / name, dirs_exist_ok=True)
    for path in folder.glob(manifests):
        path.write_text(path.read_text(encoding="utf-8").replace(str(whole), str(here)), encoding="utf-8")
    return folder


@pytest.fixture
def picture_folder(drawn_folder, tmp_path):
    """The pictures, which a test may change."""
    return shutil.copytree(drawn_folder, tmp_path / "pictures")


@pytest.fixture
def model(whole, stub, picture_folder, words_file, tmp_path):
    """A folder with a model trained on colours, horses unseen."""
    copied(whole, "home", tmp_path, "**/*.json")
    return copied(whole, "model", tmp_path)


@pytest.fixture
def index(whole, model, tmp_path):
    return copied(whole, "index", tmp_path)
