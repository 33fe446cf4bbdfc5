import json

import numpy as np
import pytest

from devise.words import WordVectors, files


@pytest.fixture
def words():
    matrix = np.random.default_rng(1).normal(size=(3000, 5)).astype(np.float32)
    names = [f"w{number}" for number in range(2994)] + ["naïve", "北京", "new york", "a\rb", "a\x85", "😀"]
    return WordVectors(names, matrix, name="drawn")


def test_what_is_loaded_is_what_was_saved(words, tmp_path):
    words.save(tmp_path / "folder")
    loaded = WordVectors.load(tmp_path / "folder")
    assert loaded.words == words.words and loaded.name == "drawn"
    assert np.array_equal(loaded.matrix, words.matrix)
    assert loaded.fingerprint == words.fingerprint
    assert files.fingerprint_of(loaded.words, loaded.matrix) == words.fingerprint
    assert loaded.neighbours("new york") == words.neighbours("new york")


def test_the_matrix_is_mapped_and_read_only(words, tmp_path):
    words.save(tmp_path)
    matrix = WordVectors.load(tmp_path).matrix
    bases = []
    while matrix is not None:
        bases.append(matrix)
        matrix = getattr(matrix, "base", None)
    assert any(isinstance(base, np.memmap) for base in bases)
    assert not bases[0].flags.writeable


def test_other_tools_read_the_files(words, tmp_path):
    words.save(tmp_path)
    manifest = json.loads((tmp_path / "words.json").read_text(encoding="utf-8"))
    matrix = np.load(tmp_path / manifest["files"]["vectors.npy"]["file"], allow_pickle=False)
    text = (tmp_path / manifest["files"]["words.txt"]["file"]).read_bytes().decode()
    assert np.array_equal(matrix, words.matrix) and tuple(text.split("\n")) == words.words
    assert manifest["fingerprint"] == words.fingerprint and manifest["dim"] == 5


def test_counts_are_kept(tmp_path):
    WordVectors(["a", "a"], [[1], [2]], counts={"undecodable": 3}).save(tmp_path)
    assert WordVectors.load(tmp_path).counts == {"duplicates": 1, "undecodable": 3, "blank": 0}


def test_duplicates_across_blocks_go(tmp_path):
    blocks = [files.Block(["a", "b", "a"], np.array([[1], [2], [3]], np.float32)),
              files.Block(["b", "c"], np.array([[4], [5]], np.float32), undecodable=1)]
    files.write(tmp_path, iter(blocks), dim=1, name="blocks")
    words = WordVectors.load(tmp_path)
    assert words.words == ("a", "b", "c") and words.matrix.ravel().tolist() == [1, 2, 5]
    assert words.counts == {"duplicates": 2, "undecodable": 1, "blank": 0}
    assert words.fingerprint == WordVectors(["a", "b", "c"], [[1], [2], [5]]).fingerprint


def test_a_word_with_a_line_break_can_not_be_saved_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"'x\\ny' holds a line break"):
        WordVectors(["a", "x\ny"], [[1], [2]]).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_again_replaces_and_leaves_no_old_files(words, tmp_path):
    words.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match="drawn, of dim 5, are other word vectors"):
        WordVectors(["only"], [[1, 2]]).save(tmp_path)
    words.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    WordVectors(["only"], [[1, 2]]).save(tmp_path, overwrite=True)
    assert WordVectors.load(tmp_path).words == ("only",)
    assert len(list(tmp_path.iterdir())) == 3


def test_an_interrupted_writing_keeps_the_old_vectors(words, tmp_path):
    words.save(tmp_path)

    def cut():
        yield files.Block(["x"], np.ones((1, 5), np.float32))
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path, cut(), dim=5, name="new")
    assert WordVectors.load(tmp_path).words == words.words
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_folder_is_refused(words, tmp_path):
    words.save(tmp_path)
    manifest = json.loads((tmp_path / "words.json").read_text(encoding="utf-8"))
    text = tmp_path / manifest["files"]["words.txt"]["file"]
    text.write_bytes(text.read_bytes() + b"\nextra")
    with pytest.raises(ValueError, match="its content is not what was saved"):
        WordVectors.load(tmp_path)
    text.unlink()
    with pytest.raises(FileNotFoundError, match="lacks"):
        WordVectors.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no word vectors"):
        WordVectors.load(tmp_path / "elsewhere")
