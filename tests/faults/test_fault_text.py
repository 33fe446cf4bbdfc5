"""Word vectors that are damaged, and queries that nobody meant: an answer, or an error in few words."""

import random

import numpy as np
import pytest

from devise import features
from devise.datasets import from_folder
from devise.heads import RidgeHead
from devise.model import train_labels
from devise.search import Search

# what it is: (the file, what the refusal says) or (the file, how many words are in it)
VECTORS = {
    "NaN": (b"cat 1 2\ndog nan 2\n", "line 2: a number is NaN or infinite"),
    "infinity": (b"cat 1 2\ndog inf 2\n", "line 2: a number is NaN or infinite"),
    "too large for float32": (b"cat 1 2\ndog 1e39 2\n", "line 2: a number is NaN or infinite"),
    "a missing column": (b"cat 1 2\ndog 1\nowl 3 4\n", "line 2: 1 numbers after the word, expected 2"),
    "a word with no numbers": (b"cat 1 2\ndog\nowl 3 4\n", "line 2: 0 numbers after the word, expected 2"),
    "no number": (b"cat 1 2\ndog 1 x\nowl 3 4\n", "line 2"),
    "a word of two parts": (b"cat 1 2\nhot dog 3 4\n", 2),
    "the same word twice": (b"cat 1 2\ncat 3 4\n", 1),
    "invalid UTF-8": (b"cat 1 2\ncaf\xe9 3 4\n", 2),
    "two words that are the same once decoded": (b"caf\xe9 1 2\ncaf\xe8 3 4\n", 1),
    "CRLF": (b"cat 1 2\r\ndog 3 4\r\n", 2),
    "CR alone": (b"cat 1 2\rdog 3 4\r", "its lines end in CR alone"),
    "a byte order mark": (b"\xef\xbb\xbfcat 1 2\ndog 3 4\n", 2),
    "UTF-16": ("cat 1 2\ndog 3 4\n".encode("utf-16"), None),
    "empty": (b"", "it is empty"),
    "blank lines": (b"\n\n  \n", "it is empty"),
    "one word": (b"cat 1 2\n", 1),
    "one word without an end of line": (b"cat 1 2", 1),
    "one word and no number": (b"cat\n", "line 1: no number after the word"),
    "a header that promises more": (b"5 2\ncat 1 2\n", "promises 5 words, the file holds 1"),
    "a header of another dim": (b"1 3\ncat 1 2\n", "the header says dim 3"),
    "a header alone": (b"5 2\n", "ends after its header"),
    "a header of a trillion words": (b"1000000000000 2\ncat 1 2\n", "promises 1000000000000 words"),
    "a header of a trillion columns": (b"1 1000000000000\ncat 1 2\n", "the header says dim"),
    "zeros": (b"cat 0 0\ndog 1 2\n", 2),
    "a NUL in a word": (b"c\0t 1 2\n", None),
    "a line without end": (b"a" * 3_000_000, "its first line has no end"),
    "an archive": (b"PK\x03\x04" + bytes(100), "compressed archive"),
    "gzip": (b"\x1f\x8b" + bytes(100), "compressed archive"),
    "a page": (b"<!doctype html>\n<html><body>404 not found</body></html>\n", "line 1: no number after the word"),
}


@pytest.mark.parametrize("what", VECTORS)
def test_word_vectors(what, opened, tmp_path):
    content, expected = VECTORS[what]
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    told = opened("converted", path)
    if isinstance(expected, int):
        assert told.get("opened") == expected, told
    else:
        assert told.get("error") == "ValueError" and "vectors.txt" in told["message"], told
        assert expected is None or expected in told["message"], told
    assert told["grown"] < 200


def test_random_damage_to_word_vectors(opened, tmp_path, size, count):
    """Read or refused by name and line, whatever byte is changed."""
    dice, tried, read = random.Random(0), size(150, 5000), 0
    whole = "".join(f"w{row} {row / 7:.5f} {-row / 3:.5f} {row}\n" for row in range(40)).encode()
    path = tmp_path / "vectors.txt"
    for _ in range(tried):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 3))):
            place = dice.randrange(len(data))
            data[place:place + dice.choice((0, 1, 1, 20))] = dice.choice(
                (b"\n", b" ", b"\t", b"\0", b"\xff", b"nan", b"1e999", b"\r", "²".encode(), b"-", dice.randbytes(3)))
        path.write_bytes(bytes(data))
        told = opened("text", path)
        assert told.get("opened") or told["error"] == "ValueError" and "vectors.txt" in told["message"], told
        read += bool(told.get("opened"))
    assert 0 < read < tried
    count("damaged word vectors", tried=tried, read=read, refused=tried - read, crashed=0)


LABELS = {
    "a class twice": ("labels.csv", b"path,label\na.png,cat\na.png,dog\n", "a.png is labelled 'cat' and 'dog'"),
    "too few columns": ("labels.csv", b"path,label\na.png\n", "too few columns in row 2"),
    "not UTF-8": ("labels.csv", b"path,label\na.png,caf\xe9\n", "labels.csv"),
    "a NUL": ("labels.csv", b"path,label\na\0.png,cat\n", None),
    "paths that lead out": ("labels.csv", b"path,label\n../../../etc/passwd,cat\n", None),
    "a huge field": ("labels.csv", b"path,label\na.png," + b"x" * 200_000, "labels.csv"),
    "nested JSON": ("labels.json", b"[" * 100_000, "labels.json is not valid JSON"),
    "a number": ("labels.json", b"7", "labels.json holds neither"),
    "a list of numbers": ("labels.json", b"[1, 2]", "labels.json holds neither"),
    "a class that is a list": ("labels.json", b'{"a.png": ["cat"]}', "labels.json give 'a.png' the label ['cat']"),
    "an entry without a path": ("labels.json", b'[{"label": "cat"}]', "expected one of the keys"),
    "a path that is a number": ("labels.json", b'[{"path": 7, "label": "cat"}]', None),
    "a path that is null": ("labels.json", b'[{"path": null, "label": "cat"}]', None),
    "a path that is nested": ("labels.json", b'[{"path": {"a": 1}, "label": "cat"}]', None),
    "empty": ("labels.csv", b"", None),
}


@pytest.mark.parametrize("what", LABELS)
def test_label_files(what, opened, tmp_path):
    name, content, expected = LABELS[what]
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / name).write_bytes(content)
    told = opened("labels", tmp_path / name)
    assert told.get("error") == "ValueError", told
    assert expected in told["message"] if expected else name in told["message"] or str(tmp_path) in told["message"]
    assert len(told["message"]) < 2000


QUERIES = ["", " ", "\n", "\0", "cat\0", "🦩", "\U0001f469\u200d\U0001f467", "чайка", "海", "قطة", "\u202etac",
           "\ud800", "c\u0338\u0337\u0336at", "cat; DROP TABLE words; --", "' OR 1=1 --", "<script>alert(1)</script>",
           "{{7*7}}", "${jndi:ldap://x}", "../../../../etc/passwd", "%00", "*", "\\", "%s%s%n", "-1", "nan", "NULL",
           "cat\r\nX: y", "cat " * 30_000, "z" * 100_000, "a\u0301" * 5000]


@pytest.fixture
def search(picture_folder, backbone, vocabulary, tmp_path):
    table = features.extract(from_folder(picture_folder), backbone, tmp_path / "features")
    model = train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(penalty=1.0))
    return Search.build(model, table, engine="exact")


def test_queries_are_answered_or_refused_in_few_words(search):
    answered = 0
    for query in QUERIES:
        for ask in (search.by_text, search.by_word, search.by_image, search.tag):
            try:
                found = ask(query)
            except (KeyError, ValueError, OSError) as error:
                assert len(str(error)) < 1000, (ask.__name__, query[:40], str(error)[:200])
                str(error).encode("utf-8", "backslashreplace")
            else:
                answered += 1
                scores = [match.score for match in found.matches] if hasattr(found, "matches") else []
                assert np.isfinite(scores).all()
    assert answered, "no query was answered: the test proves nothing"


@pytest.mark.parametrize("k", [0, -1, -2**63])
def test_a_senseless_k_is_refused(search, k):
    with pytest.raises(ValueError, match="k is"):
        search.by_text("cat", k=k)


def test_a_huge_k_gives_all_there_is(search):
    assert len(search.by_text("cat", k=2**40).matches) == len(search)
