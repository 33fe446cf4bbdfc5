"""Sheets that set the answers of several systems beneath one another."""

import numpy as np
import pytest
from PIL import Image

from devise.plots import Card, Compared, comparison_sheet
from devise.plots import comparisons as room
from devise.plots.cards import SIDE
from devise.plots.sheets import GAP, MARGIN

RED, BLUE = np.full((30, 30, 3), (200, 0, 0), np.uint8), np.full((30, 30, 3), (0, 0, 200), np.uint8)
LONG = "two brown dogs and a small child run along a wide beach towards the sea while people look on from afar"


def shown(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def centres(pixels, colour):
    """(row, column) of the middles of the squares of one colour, by their connected columns and rows."""
    mask = np.abs(pixels - colour).max(axis=2) < 8
    found = []
    for row in range(0, mask.shape[0] - 1):
        starts = np.flatnonzero(mask[row, 1:] & ~mask[row, :-1])
        found += [(row, start + 1) for start in starts if mask[row:row + 100, start + 50].all()
                  and not mask[row - 1, start + 50]]
    return found


def test_every_system_has_a_line_of_its_own_beside_the_query(tmp_path):
    rows = [Compared(Card(RED, label="query"), {"raw": (Card(BLUE, score=0.5),), "learnt": (Card(BLUE), Card(BLUE))})]
    pixels = shown(comparison_sheet(rows, tmp_path / "sheet.png", title="Title", note="A note"))
    blue = centres(pixels, (0, 0, 200))
    assert len(blue) == 3 and len({row for row, _ in blue}) == 2
    assert sorted(column for _, column in blue) == [MARGIN + SIDE + 2 * GAP] * 2 + [MARGIN + 2 * SIDE + 3 * GAP]
    assert len(centres(pixels, (200, 0, 0))) == 1


def test_a_sentence_is_written_out_in_three_lines_and_no_more(tmp_path):
    assert len(room._told(LONG)) == 3 and room._told(LONG)[2].endswith("…") and room._told("two dogs") == ["two dogs"]
    short, long = ([Compared("a question", {"": (Card(RED, label=label),)})] for label in ("two dogs", LONG))
    heights = [shown(comparison_sheet(rows, tmp_path / "sheet.png")).shape[0] for rows in (short, long)]
    assert heights[1] - heights[0] == 2 * room.LINE


def test_nothing_is_cut_off(tmp_path):
    rows = [Compared("a question", {"one": tuple(Card(RED, label=LONG, score=0.1, right=True) for _ in range(4))})]
    pixels = shown(comparison_sheet(rows, tmp_path / "sheet.png"))
    edge = np.ones(pixels.shape[:2], bool)
    edge[3:-3, 3:-3] = False
    assert (pixels[edge] == 255).all()


def test_wrong_is_spoken_of_only_where_something_is_wrong(tmp_path, monkeypatch):
    told, notes = [], room._notes
    monkeypatch.setattr(room, "_notes", lambda cards: told.append(notes(cards)) or told[-1])
    for marks in ((True, None), (True, False)):
        cards = tuple(Card(RED, right=mark) for mark in marks)
        comparison_sheet([Compared("a question", {"": cards})], tmp_path / "sheet.png")
    assert "✓ right, ✗ wrong." not in told[0] and "✓ right, ✗ wrong." in told[1]


@pytest.mark.parametrize("rows", [[], [("query", {})]])
def test_nothing_to_draw_is_said(rows, tmp_path):
    with pytest.raises(ValueError, match="no rows to draw"):
        comparison_sheet(rows, tmp_path / "sheet.png")
