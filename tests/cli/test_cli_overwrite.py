"""What is there already: the same is written anew, other content and foreign files are not, unless that is said."""

from pathlib import Path

import pytest

from tests.conftest import draw_pictures

HEX = "00e04c680012"  # a camera by its address, and as long as the names of our builds


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*")
            if path.is_file()}


@pytest.fixture
def fewer(tmp_path):
    """The pictures of two classes alone, those of `picture_folder`."""
    folder = draw_pictures(tmp_path / "fewer", n=9)
    for name in ("cat", "dog"):
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()
    return folder


@pytest.fixture
def commands(model, words_file):
    """{name: function (pictures, output) that gives an argv}."""
    return {"extract": lambda pictures, output: ("extract", pictures, "-o", output),
            "train": lambda pictures, output: ("train", pictures, "--words", words_file, "--head", "ridge", "-o",
                                               output),
            "index": lambda pictures, output: ("index", pictures, "--model", model, "-o", output)}


NAMES = ("extract", "train", "index")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_again_goes_on(devise, commands, stub, picture_folder, tmp_path, name):
    argv = [str(part) for part in commands[name](picture_folder, tmp_path / "out")]
    for _ in range(2):
        ran = devise(*argv)
        assert ran.code == 0, ran.err


@pytest.mark.parametrize("name", NAMES)
def test_other_content_asks_for_overwrite(devise, commands, stub, picture_folder, fewer, tmp_path, name):
    first, second = ([str(part) for part in commands[name](pictures, tmp_path / "out")]
                     for pictures in (picture_folder, fewer))
    assert devise(*first).code == 0
    before = contents(tmp_path / "out")
    ran = devise(*second)
    assert ran.code == 1 and "would be lost" in ran.err and "allow it with --overwrite" in ran.err
    assert contents(tmp_path / "out") == before
    ran = devise(*second, "--overwrite")
    assert ran.code == 0, ran.err
    assert contents(tmp_path / "out") != before


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_somebody_elses_files_is_refused(devise, commands, stub, tmp_path, monkeypatch, name):
    folder = draw_pictures(tmp_path / "cams", n=2)
    (folder / "cat").rename(folder / HEX)
    before = contents(folder)
    monkeypatch.chdir(folder)
    ran = devise(*map(str, commands[name](".", ".")))
    assert ran.code == 1 and "holds files that devise did not write" in ran.err
    assert contents(folder) == before


@pytest.mark.parametrize("name", NAMES)
def test_foreign_files_beside_an_artefact_stay(devise, commands, stub, picture_folder, tmp_path, name):
    argv = [str(part) for part in commands[name](picture_folder, tmp_path / "out")]
    assert devise(*argv).code == 0
    foreign = [tmp_path / "out" / place for place in (
        f"{HEX}/0.png", f"{HEX}/model/model.json", "rows-0123456789ab.json", ".partial-0123456789ab.npy", "notes.txt")]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    for _ in range(2):
        ran = devise(*argv)
        assert ran.code == 0, ran.err
    assert {path.read_text() for path in foreign} == {"mine"}


def test_more_pictures_join_an_index_without_it(devise, commands, model, stub, picture_folder, fewer, tmp_path):
    assert devise(*map(str, commands["index"](fewer, tmp_path / "out"))).code == 0
    ran = devise("add", tmp_path / "out", picture_folder)
    assert ran.code == 0, ran.err
    ran = devise(*map(str, commands["index"](fewer, tmp_path / "out")))
    assert ran.code == 1 and "40 of 58 pictures, such as" in ran.err


def test_another_model_asks_for_overwrite(devise, commands, model, stub, picture_folder, tmp_path, words_file):
    argv = list(map(str, commands["index"](picture_folder, tmp_path / "out")))
    assert devise(*argv).code == 0
    other = tmp_path / "other"
    assert devise("train", str(picture_folder), "--words", str(words_file), "--head", "ridge", "--unseen", "car",
                  "-o", str(other)).code == 0
    ran = devise("index", picture_folder, "--model", other, *argv[4:])
    assert ran.code == 1 and "40 pictures by another model" in ran.err


def test_a_photograph_is_no_sheet(devise, index, stub, tmp_path):
    mine = tmp_path / "holiday.png"
    mine.write_bytes(b"mine")
    argv = ("search", str(index), "--text", "cat", "--save")
    ran = devise(*argv, str(mine))
    assert ran.code == 2 and "holiday.png is there already" in ran.err and mine.read_bytes() == b"mine"
    for _ in range(2):
        assert devise(*argv, str(tmp_path / "sheet.png")).code == 0
