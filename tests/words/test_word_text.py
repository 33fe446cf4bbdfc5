import numpy as np
import pytest

from devise.words.files import BLOCK_ROWS, VectorText


def read(path):
    """The words and rows of a text file, and how many words were not UTF-8."""
    text = VectorText(path)
    blocks = list(text.blocks())
    return ([word for block in blocks for word in block.words],
            np.concatenate([block.rows for block in blocks]), sum(block.undecodable for block in blocks))


def written(tmp_path, content):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


PLAIN = "the 0.5 -1 2e-3\nnaïve 1 2 3\n北京 -0.25 4 5\n"
ROWS = [[0.5, -1, 0.002], [1, 2, 3], [-0.25, 4, 5]]


@pytest.mark.parametrize("content", [
    PLAIN,
    PLAIN.rstrip("\n"),
    "3 3\n" + PLAIN,
    "\ufeff" + PLAIN,
    "\ufeff3 3\n" + PLAIN,
    PLAIN.replace("\n", "\r\n"),
    "3 3\r\n" + PLAIN.replace("\n", " \r\n"),
    PLAIN.replace(" ", "\t"),
    PLAIN.replace("\n", "\n\n"),
    "\n\n3 3\n" + PLAIN + "\n \n",
], ids=["plain", "no end", "header", "BOM", "BOM, header", "CRLF", "CRLF, trailing blank", "tabs",
        "blank lines", "blank lines, header"])
def test_every_form_of_the_same_text(tmp_path, content):
    words, rows, undecodable = read(written(tmp_path, content))
    assert words == ["the", "naïve", "北京"] and undecodable == 0
    assert rows == pytest.approx(np.array(ROWS, np.float32))


def test_tokens_may_hold_spaces(tmp_path):
    content = ". . . 1 2\nat name@domain.com 3 4\nwindows 95 5 6\n2004 7 8\na 9 10\n"
    words, rows, _ = read(written(tmp_path, content))
    assert words == [". . .", "at name@domain.com", "windows 95", "2004", "a"]
    assert rows.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_unusual_blanks_belong_to_the_word(tmp_path):
    words, rows, _ = read(written(tmp_path, "\x85 1 2\n\u00a0 3 4\n\u3000x 5 6\na 7 8\n"))
    assert len(words) == 4 and words[2].endswith("x") and rows[:, 0].tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(("content", "word", "row"), [
    ("one 1 2\n", "one", [1, 2]),
    ("one 1", "one", [1]),
    ("1 3\none 1 2 3", "one", [1, 2, 3]),
    ("1990 0.5 0.25\n", "1990", [0.5, 0.25]),
])
def test_one_word(tmp_path, content, word, row):
    words, rows, _ = read(written(tmp_path, content))
    assert words == [word] and rows.tolist() == [row]


def test_numbers_as_words_with_one_number_each_are_no_header(tmp_path):
    words, rows, _ = read(written(tmp_path, "7 5\n8 0.5\n9 0.25\n"))
    assert words == ["7", "8", "9"] and rows.ravel().tolist() == [5, 0.5, 0.25]


def test_invalid_utf8_is_replaced_and_counted(tmp_path):
    words, rows, undecodable = read(written(tmp_path, b"caf\xe9 1 2\nok 3 4\n\xff\xfe 5 6\n"))
    assert words == ["caf\ufffd", "ok", "\ufffd\ufffd"] and undecodable == 2 and len(rows) == 3


def test_many_blocks_are_in_order_and_every_number_is_as_python_reads_it(tmp_path):
    rng = np.random.default_rng(2)
    lines = [[f"{value:.5g}" for value in rng.normal(scale=0.4, size=4)] for _ in range(2 * BLOCK_ROWS + 7)]
    path = written(tmp_path, "".join(f"w{n} {' '.join(line)}\n" for n, line in enumerate(lines)))
    words, rows, _ = read(path)
    assert words == [f"w{n}" for n in range(len(lines))]
    assert np.array_equal(rows, np.array([[np.float32(value) for value in line] for line in lines]))


def test_progress_ends_at_the_size(tmp_path):
    path, calls = written(tmp_path, PLAIN * 1000), []
    for _ in VectorText(path).blocks(lambda *call: calls.append(call)):
        pass
    assert calls[-1] == (path.stat().st_size, path.stat().st_size) and calls == sorted(calls)


@pytest.mark.parametrize(("content", "error"), [
    ("", "it is empty"),
    (" \n\n", "it is empty"),
    ("word\nanother\n", "line 1: no number after the word"),
    ("a 1 2\nb 1\nc 3 4\n", "line 2: 1 numbers after the word, expected 2"),
    ("a 1 2\n\nb 1\n\nc 3 4\nd 1 2\n", "line 3: 1 numbers"),
    ("a 1 2\nb 1 x\nc 3 4\n", "line 2: could not convert string to float: b'x'"),
    ("a 1 2\nb 1 nan\nc 3 4\n", "line 2: a number is NaN or infinite"),
    ("a 1 2\nb -inf 1\nc 3 4\n", "line 2: a number is NaN or infinite"),
    ("a 1 2\nb 1e300 1\nc 3 4\n", "line 2: a number is NaN or infinite"),
    ("3 2\na 1 2\nb 1 2\n", "promises 3 words, the file holds 2"),
    ("1 2\na 1 2\nb 1 2\n", "promises 1 words, the file holds 2"),
    ("400000 300\n", "ends after its header, which promises 400000 words"),
    ("2 3\na 1 2\nb 1 2\n", "the header says dim 3, the lines below hold 2"),
    ("x" * 3_000_000, "its first line has no end"),
])
def test_what_is_no_table_of_vectors_is_refused(tmp_path, content, error):
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=error) as caught:
        read(path)
    assert str(path) in str(caught.value)
