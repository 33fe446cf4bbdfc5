"""Text on sheets: it fits, it is elided, it finds a face that has its letters."""

import numpy as np
import pytest
from PIL import Image

from devise.plots import lettering
from devise.plots.lettering import elide, face, lines, tidy, write_centred

LONG = "a name that is much too long for the card under which it stands.jpg"


@pytest.mark.parametrize("middle", [False, True])
@pytest.mark.parametrize("width", [5, 40, 120, 300, 3000])
def test_elided_text_fits_and_keeps_as_much_as_it_can(width, middle):
    short = elide(LONG, width, middle=middle)
    if short == LONG:
        assert face(LONG).getlength(LONG) <= width
        return
    assert short == "…" or face(short).getlength(short) <= width
    start, end = short.split("…")
    assert LONG.startswith(start) and LONG.endswith(end) and bool(end) <= middle
    kept = len(start) + len(end) + 1
    tail = kept // 2 if middle else 0
    assert face(LONG).getlength(LONG[:kept - tail] + "…" + LONG[len(LONG) - tail:]) > width


@pytest.mark.parametrize("width", [60, 150, 400])
@pytest.mark.parametrize("text", ["dollar_bill", "a wild cat in the snow", "n01/some-path/img_0001.jpg",
                                  "word"])
def test_lines_lose_no_letter_and_fit_where_a_piece_can(text, width):
    broken = lines(text, width)
    assert "".join(broken).replace(" ", "") == text.replace(" ", "")
    for line in broken:
        one_piece = not any(sign in line.rstrip("_/-") for sign in " _/-")
        assert one_piece or face(line).getlength(line) <= width


def test_a_long_word_is_broken_anywhere_when_asked():
    broken = lines("supercalifragilisticexpialidocious", 150, anywhere=True)
    assert len(broken) > 1 and "".join(broken) == "supercalifragilisticexpialidocious"
    assert all(face(line).getlength(line) <= 150 for line in broken)


@pytest.mark.parametrize("text", ["x", "elephant", "supercalifragilisticexpialidocious", "many words " * 60,
                                  "Ж" * 500])
def test_centred_text_stays_within_its_margin(text):
    panel = Image.new("L", (240, 240), 255)
    write_centred(panel, text, 0)
    left, top, right, bottom = panel.point(lambda value: 255 - value).getbbox()
    assert left >= 10 and top >= 10 and right <= 230 and bottom <= 230
    assert abs((left + right) / 2 - 120) < 20 and abs((top + bottom) / 2 - 120) < 20


def test_short_text_is_written_larger_than_long_text():
    tallest = []
    for text in ("I I", "I I " * 40):
        panel = Image.new("L", (240, 240), 255)
        write_centred(panel, text, 0)
        dark = (np.asarray(panel) < 128).any(axis=1)
        runs = "".join("x" if row else " " for row in dark).split()
        tallest.append(max(map(len, runs)))
    assert tallest[0] > 1.5 * tallest[1]


def test_letters_that_dejavu_lacks_come_from_an_installed_face(monkeypatch):
    script_a = "\U0001d49c"  # a mathematical letter that STIX, which comes with matplotlib, has
    assert ord(script_a) not in lettering._letters(lettering._dejavu(False))
    monkeypatch.setattr(lettering, "FAMILIES", ("No Such Face", "STIXGeneral"))
    lettering._fallback.cache_clear()
    assert face(script_a).getname()[0] == "STIXGeneral"
    monkeypatch.setattr(lettering, "FAMILIES", ("No Such Face",))
    lettering._fallback.cache_clear()
    assert face(script_a).getname()[0] == "DejaVu Sans"
    lettering._fallback.cache_clear()


@pytest.mark.parametrize("text", ["plain", "Käfer – жук – σκαθάρι", "✓✗†−…"])
def test_usual_letters_and_our_signs_are_dejavu(text):
    assert face(text).getname()[0] == "DejaVu Sans"
    assert set(map(ord, text)) <= lettering._letters(lettering._dejavu(True))


def test_tidy_text_is_one_line():
    assert tidy("a\r\n b\tc  d ") == "a b c d"
    assert tidy("e\u0301") == "é"
