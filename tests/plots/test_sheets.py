"""Sheets read back from disk: their size, their cards, nothing lost when drawing fails."""

import numpy as np
import pytest
from PIL import Image

from devise.plots import Card, Row, Tagged, sheet, tag_sheet
from devise.plots.cards import HEIGHT, RIGHT, SIDE
from devise.plots.sheets import BAR, GAP, LINE, MARGIN, PANEL

COLOURS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (160, 30, 160), (30, 150, 160)]


def card(number, **options):
    return Card(np.full((20, 20, 3), COLOURS[number], np.uint8), f"class {number}", 0.5, **options)


def squares(path):
    """(number, x, y) of each plainly coloured picture by its upper left corner, and the sheet's pixels."""
    with Image.open(path) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        pixels = np.asarray(image)
    found = []
    for number, colour in enumerate(COLOURS):
        inside = (pixels == colour).all(axis=2)
        corners = inside[1:, 1:] & ~inside[:-1, 1:] & ~inside[1:, :-1]
        found += [(number, int(x) + 1, int(y) + 1) for y, x in np.argwhere(corners)]
    return found, pixels


def test_a_sheet_has_a_line_for_each_query_and_a_column_for_each_hit(tmp_path):
    rows = [Row("ocean", (card(0), card(1), card(2))), (card(3), [card(4)])]
    path = sheet(rows, tmp_path / "sheet.png", title="Title")
    found, pixels = squares(path)
    assert path == tmp_path / "sheet.png"
    assert pixels.shape[1] == 2 * MARGIN + 4 * (SIDE + GAP) + GAP
    assert [number for number, _, _ in found] == [0, 1, 2, 3, 4]
    places = {number: (x, y) for number, x, y in found}
    left = MARGIN + SIDE + 2 * GAP
    assert [places[number][0] for number in (0, 1, 2)] == [left, left + SIDE + GAP, left + 2 * (SIDE + GAP)]
    assert len({places[number][1] for number in (0, 1, 2)}) == 1
    assert places[4] == (left, places[0][1] + HEIGHT + GAP)
    assert pixels.shape[0] == places[4][1] + HEIGHT + MARGIN


def test_more_hits_than_columns_go_on_beneath(tmp_path):
    rows = [Row("ocean", [card(number) for number in range(5)])]
    found, pixels = squares(sheet(rows, tmp_path / "sheet.png", columns=2))
    left, top = found[0][1:]
    assert found == [(0, left, top), (1, left + SIDE + GAP, top),
                     (2, left, top + HEIGHT + GAP), (3, left + SIDE + GAP, top + HEIGHT + GAP),
                     (4, left, top + 2 * (HEIGHT + GAP))]
    assert pixels.shape[0] == top + 3 * HEIGHT + 2 * GAP + MARGIN


def test_title_and_notes_stand_above_the_cards_and_long_titles_wrap(tmp_path):
    heights = []
    for title in ("", "Title", "A title of many words " * 6):
        found, pixels = squares(sheet([Row("ocean", (card(0),))], tmp_path / "sheet.png", title=title))
        above = pixels[:found[0][2] - 2]  # title and notes
        assert (above.min(axis=2) < 100).any()
        assert (above[:, -MARGIN + 2:] == 255).all() and (above[:, :MARGIN - 2] == 255).all()
        heights.append(found[0][2])
    assert heights[0] < heights[1] < heights[2]


def test_marks_are_explained_only_where_they_are_used(tmp_path):
    tops = []
    for right in (None, True):
        path = sheet([Row("ocean", (card(0, right=right), card(1)))], tmp_path / "sheet.png")
        with Image.open(path) as image:
            tops.append(np.asarray(image.crop((0, 0, image.width, MARGIN + LINE))).astype(int))
    assert (tops[0] < 200).sum() < (tops[1] < 200).sum()


def test_a_query_without_hits_says_so(tmp_path):
    with Image.open(sheet([Row("ocean", ())], tmp_path / "sheet.png")) as image:
        right_of_query = np.asarray(image)[:, MARGIN + SIDE + GAP:]
    assert (right_of_query < 150).any()


def test_tags_have_bars_as_long_as_their_scores(tmp_path):
    tags = (("elephant", 0.75), ("bison", 0.5), ("piano", -0.2), ("unit", 1.0))
    path = tag_sheet([Tagged(card(0), tags, {"elephant"})], tmp_path / "tags.png", title="Tags")
    found, pixels = squares(path)
    _, x, y = found[0]
    left = x + SIDE + GAP
    lengths = []
    for number in range(4):
        line = pixels[y + number * (LINE + BAR + 10) + LINE + BAR // 2, left:left + PANEL].astype(int)
        lengths.append(int((line.sum(axis=1) < 600).sum()))
    assert lengths == [300, 200, 0, 400]
    blue = tuple(int(RIGHT[start:start + 2], 16) for start in (1, 3, 5))
    assert tuple(pixels[y + LINE + BAR // 2, left + 5]) == blue


def test_tag_sheets_stand_in_columns_and_leave_room_for_many_tags(tmp_path):
    many = tuple((f"word {number}", 0.5) for number in range(12))
    rows = [Tagged(card(0), many), (card(1), many[:2]), (card(2), many)]
    found, pixels = squares(tag_sheet(rows, tmp_path / "tags.png", columns=2))
    places = {number: (x, y) for number, x, y in found}
    assert places[0][1] == places[1][1] and places[0][0] == places[2][0]
    assert places[2][1] - places[0][1] == 12 * (LINE + BAR + 10) + GAP
    assert pixels.shape[0] >= places[2][1] + 12 * (LINE + BAR + 10)


@pytest.mark.parametrize("draw", [sheet, tag_sheet])
def test_nothing_to_draw_and_no_columns_are_refused(draw, tmp_path):
    with pytest.raises(ValueError, match="no rows to draw"):
        draw([], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="columns is 0"):
        draw([(card(0), ())], tmp_path / "sheet.png", columns=0)


def test_a_sheet_that_fails_leaves_the_earlier_one(tmp_path):
    path = sheet([Row("ocean", (card(0),))], tmp_path / "sheet.png")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="expected uint8"):
        sheet([Row("ocean", (Card(np.zeros((2, 2))),))], path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_same_rows_give_the_same_file(tmp_path):
    rows = [Row("ocean", (card(0, right=True), Card(None, "crab", 0.2, name="x.jpg")))]
    assert sheet(rows, tmp_path / "a.png").read_bytes() == sheet(rows, tmp_path / "b.png").read_bytes()
