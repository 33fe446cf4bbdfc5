"""Sheets read back from disk: every card in its place, whole and undistorted, nothing lost when drawing fails."""

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from devise.plots import Card, Compared, Row, Tagged, comparison_sheet, sheet, sheets, tag_sheet

COLOURS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (160, 30, 160), (30, 150, 160)]
LONG = "two brown dogs and a small child run along a wide beach towards the sea while people look on from afar"
DPI = 200


def card(number, label="class", shape=(20, 20), **options):
    return Card(np.full((*shape, 3), COLOURS[number], np.uint8), label, **{"score": 0.5, **options})


def read(path):
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
        return np.asarray(image.convert("RGB")).astype(int)


def boxes(pixels, colour):
    """(top, left, height, width) of each plainly coloured rectangle, from the top and the left."""
    inside = np.pad((np.abs(pixels - colour).max(axis=2) < 6), 1)
    found = []
    for y, x in np.argwhere(inside[1:, 1:] & ~inside[:-1, 1:] & ~inside[1:, :-1]) + 1:
        height, width = (int(np.argmin(line)) for line in (inside[y:, x], inside[y, x:]))
        if min(height, width) > 8:  # no letter
            found.append((int(y) - 1, int(x) - 1, height, width))
    return found


def places(pixels):
    """{number of a colour: boxes}."""
    return {number: boxes(pixels, colour) for number, colour in enumerate(COLOURS)}


def edge_is_white(pixels, margin=8):
    edge = np.ones(pixels.shape[:2], bool)
    edge[margin:-margin, margin:-margin] = False
    return (pixels[edge] == 255).all()


@pytest.fixture
def said(monkeypatch):
    """Every text that is drawn, in its order."""
    texts, save = [], sheets.save

    def kept(figure, path):
        texts.append([text.get_text() for text in figure.findobj(Text) if text.get_text()])
        return save(figure, path)

    monkeypatch.setattr(sheets, "save", kept)
    return texts


def test_a_line_for_each_query_and_a_column_for_each_hit(tmp_path):
    rows = [Row("ocean", (card(0), card(1), card(2))), (card(3), [card(4)])]
    pixels = read(sheet(rows, tmp_path / "sheet.png", title="Title"))
    found = {number: one for number, (one,) in places(pixels).items()}
    side = sheets.SIDE * DPI
    assert all(abs(height - side) < 12 and abs(width - side) < 12 for _, _, height, width in found.values())
    tops, lefts = ([found[number][axis] for number in range(5)] for axis in (0, 1))
    assert np.ptp(tops[:3]) <= 1 and tops[3] > tops[0] + side and abs(tops[3] - tops[4]) < 12
    step = (sheets.SIDE + sheets.GAP) * DPI
    assert np.diff(lefts[:3]) == pytest.approx([step, step], abs=1.5) and abs(lefts[4] - lefts[0]) < 2
    assert lefts[3] < lefts[0] - step and edge_is_white(pixels)


def test_more_hits_than_columns_go_on_beneath(tmp_path):
    rows = [Row("ocean", [card(number) for number in range(5)])]
    found = places(read(sheet(rows, tmp_path / "sheet.png", columns=2)))
    corners = [found[number][0][:2] for number in range(5)]
    assert corners[0][0] == corners[1][0] < corners[2][0] == corners[3][0] < corners[4][0]
    assert corners[0][1] == corners[2][1] == corners[4][1] < corners[1][1] == corners[3][1]


@pytest.mark.parametrize("shape", [(30, 60), (60, 30), (7, 7), (900, 1200)])
def test_a_picture_is_whole_centred_and_undistorted(shape, tmp_path):
    pixels = read(sheet([Row("ocean", (card(0, shape=shape, right=True),))], tmp_path / "sheet.png"))
    top, left, height, width = max(boxes(pixels, COLOURS[0]), key=lambda box: box[2] * box[3])
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.06)
    assert max(height, width) == pytest.approx(sheets.SIDE * DPI, abs=14)  # less its frame


def test_right_wrong_and_query_have_frames_and_marks_of_their_own(tmp_path, said):
    frames = {}
    for name, one, query in (("right", card(0, right=True), "x"), ("wrong", card(0, right=False), "x"),
                             ("query", card(1), card(0))):
        pixels = read(sheet([Row(query, (one,))], tmp_path / "sheet.png"))
        top, left, height, width = places(pixels)[0][0]
        frames[name] = tuple(pixels[top + height // 2, left - 3])
    hexes = {name: "#%02x%02x%02x" % frame for name, frame in frames.items()}  # noqa: UP031
    assert hexes == {"right": sheets.RIGHT, "wrong": sheets.WRONG, "query": sheets.DARK}
    assert "✓" in said[0] and "✗" in said[1] and not {"✓", "✗"} & set(said[2])
    assert "✓ right, ✗ wrong." in " ".join(said[1]) and "wrong" not in " ".join(said[2])


def test_label_file_and_score_stand_beneath_whole(tmp_path, said):
    one = card(0, "grand piano", score=-0.12345, name="folder_of_pictures/image_0001.jpg")
    sheet([Row("ocean", (one,))], tmp_path / "sheet.png", title="Title")
    texts = said[0]
    assert {"ocean", "Title"} <= set(texts) and "grand piano" in texts and "−0.123" in texts
    assert "".join(texts[texts.index("grand piano") + 1:texts.index("−0.123")]) == "folder_of_pictures/image_0001.jpg"


def test_a_picture_that_is_not_here_shows_its_class_and_file(tmp_path, said):
    gone = tmp_path / "image_0001.jpg"
    for one in (Card(None, "crab", 0.5, name=gone.name), Card(gone, "crab", 0.5)):
        pixels = read(sheet([Row("ocean", (one,))], tmp_path / "sheet.png"))
        panel = boxes(pixels, [round(255 * part) for part in sheets.class_colour("crab")])[0]
        assert panel[2:] == pytest.approx([sheets.SIDE * DPI] * 2, abs=2)
        assert said[-1].count("crab") == 2 and "image_0001.jpg" in said[-1]


def test_a_file_that_can_not_be_read_says_so(tmp_path, said):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 no jpeg")
    sheet([Row("ocean", (Card(path, "crab"),))], tmp_path / "sheet.png")
    assert any("can't be read" in text.replace("\n", " ") for text in said[0])


def test_a_file_is_drawn_upright(tmp_path):
    left_half_red = np.zeros((40, 40, 3), np.uint8)
    left_half_red[:, :20] = COLOURS[0]
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera lay on its side: turn a quarter to the right
    Image.fromarray(left_half_red).save(tmp_path / "turned.png", exif=turned)
    pixels = read(sheet([Row("ocean", (Card(tmp_path / "turned.png"),))], tmp_path / "sheet.png"))
    top, left, height, width = max(boxes(pixels, COLOURS[0]), key=lambda box: box[3])
    assert width > 1.5 * height and (pixels[top + height + 20, left:left + width] == 0).all()


@pytest.mark.parametrize("one", [
    "x" * 300, "Ж" * 80, Card(None, "a label " * 40, -0.123, True, name="b" * 300), Card(None), Card(None, "昆虫", 1.0),
    Card(None, "W" * 19, name="$x_{"), ""])
def test_no_text_leaves_its_sheet(one, tmp_path):
    rows = [Row("ocean", (one,) if isinstance(one, Card) else ()), Row(one, ())]
    assert edge_is_white(read(sheet(rows, tmp_path / "sheet.png")))


def test_a_query_without_hits_says_so(tmp_path, said):
    sheet([Row("ocean", ())], tmp_path / "sheet.png")
    assert "no hits" in said[0]


def test_every_system_has_a_line_beside_the_query(tmp_path, said):
    rows = [Compared(card(0, "query"), {"raw": (card(1),), "learnt": (card(1, LONG), card(1))})]
    pixels = read(comparison_sheet(rows, tmp_path / "sheet.png", title="Title", note="A note."))
    found = places(pixels)
    assert len(found[0]) == 1 and len(found[1]) == 3 and len({box[0] for box in found[1]}) == 2
    assert len({box[1] for box in found[1]}) == 2 and min(box[1] for box in found[1]) > found[0][0][1]
    assert {"raw", "learnt"} <= set(said[0]) and "A note." in " ".join(said[0]) and edge_is_white(pixels)
    start, end = " ".join(text for text in said[0] if text in LONG or "…" in text).split("…")  # without the middle
    assert LONG.startswith(start) and LONG.endswith(end) and min(len(start), len(end)) > 20


def test_names_are_whole_and_broken_where_they_may_be():
    one = "folder_of-pictures/2019 summer/image_0001.jpg"
    lines = sheets.fitted(one, sheets.SIDE, 5)
    assert "".join(lines) == one.replace(" ", "") or " ".join(lines).replace("- ", "-").replace("_ ", "_").replace(
        "/ ", "/") == one
    assert all(line[-1] in "_-/" or one[one.index(line) + len(line)] == " " for line in lines[:-1])
    for text, most in (("x" * 300, 3), (LONG, 2), ("昆虫" * 60, 3), ("a/" * 200, 1)):
        short = sheets.fitted(text, sheets.SIDE, most)
        start, end = "".join(short).replace(" ", "").split("…")
        whole = text.replace(" ", "")
        assert len(short) <= most and whole.startswith(start) and whole.endswith(end) and abs(len(start) - len(end)) < 8
    assert sheets.fitted("short", sheets.SIDE, 1) == ["short"] and sheets.fitted("", sheets.SIDE, 1) == [""]


def test_no_line_reaches_a_neighbour(tmp_path, figures):
    one = card(0, "Wide Words " * 9, name="W" * 80 + "/" + "m" * 40 + ".jpg", right=True, weak=True)
    sheet([Row("a long query of many words " * 9, (one, one)), Row(one, (one, one))], tmp_path / "sheet.png")
    tag_sheet([Tagged(one, [("W" * 40, 0.123, True), ("w" * 90, 0.9)], {"w" * 90})] * 2, tmp_path / "tags.png")
    for figure in figures:
        extents = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text().strip()]
        assert len(extents) > 12
        for place, box in enumerate(extents):
            for other in extents[:place]:
                wide = min(box.x1, other.x1) - max(box.x0, other.x0)
                high = min(box.y1, other.y1) - max(box.y0, other.y0)
                assert min(wide, high) < 6  # pixels: of lines beneath one another the descenders


def test_bars_are_as_long_as_their_scores(tmp_path):
    tags = (("elephant", 0.75), ("bison", 0.5), ("piano", -0.2), ("unit", 1.0))
    for scale in (1, 4, 0.5, 0.04):
        scaled = [(word, scale * value) for word, value in tags]
        pixels = read(tag_sheet([Tagged(card(0), scaled, {"elephant"})], tmp_path / "tags.png", title="Tags"))
        colours = {"right": sheets.RIGHT, "other": sheets.QUIET}
        found = {name: boxes(pixels, [int(colour[start:start + 2], 16) for start in (1, 3, 5)])
                 for name, colour in colours.items()}
        # a score of 1 is the whole bar, or the largest that is above 1 or far below
        full = sheets.BARS * DPI * (1 if scale == 0.04 else min(1, scale))
        assert [box[3] for box in found["right"]] == pytest.approx([0.75 * full], abs=3)
        assert [box[3] for box in found["other"]] == pytest.approx([0.5 * full, full], abs=3)


def test_tagged_pictures_stand_in_columns_with_room_for_many_tags(tmp_path):
    many = tuple((f"word {number}", 0.5) for number in range(12))
    rows = [Tagged(card(0), many), (card(1), many[:2]), (card(2), many)]
    pixels = read(tag_sheet(rows, tmp_path / "tags.png", columns=2))
    corners = {number: found[0][:2] for number, found in places(pixels).items() if found}
    assert corners[0][0] == corners[1][0] and corners[0][1] == corners[2][1]
    assert corners[2][0] - corners[0][0] > 12 * 1.5 * sheets.LINE * DPI and edge_is_white(pixels)


def test_class_colours_are_pale_steady_and_many():
    colours = [sheets.class_colour(f"class {number}") for number in range(60)]
    assert colours == [sheets.class_colour(f"class {number}") for number in range(60)] and len(set(colours)) > 40
    assert min(np.array(colours) @ [0.299, 0.587, 0.114]) > 0.76  # dark letters on it have contrast


@pytest.mark.parametrize("draw", [sheet, tag_sheet])
def test_nothing_to_draw_and_no_columns_are_refused(draw, tmp_path):
    with pytest.raises(ValueError, match="no rows to draw"):
        draw([], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="columns is 0"):
        draw([(card(0), ())], tmp_path / "sheet.png", columns=0)


@pytest.mark.parametrize("rows", [[], [("query", {})]])
def test_nothing_to_compare_is_said(rows, tmp_path):
    with pytest.raises(ValueError, match="no rows to draw"):
        comparison_sheet(rows, tmp_path / "sheet.png")


@pytest.mark.parametrize("shape, dtype", [((4, 4, 3), float), ((4, 4), np.uint8), ((0, 4, 3), np.uint8)])
def test_a_sheet_that_fails_leaves_the_earlier_one(shape, dtype, tmp_path):
    path = sheet([Row("ocean", (card(0),))], tmp_path / "sheet.png")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"expected uint8 \(h, w, 3\)"):
        sheet([Row("ocean", (Card(np.zeros(shape, dtype)),))], path)
    with pytest.raises(ValueError, match="expected .png"):
        sheet([Row("ocean", (card(0),))], tmp_path / "sheet.gif")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_same_rows_give_the_same_file(tmp_path):
    rows = [Row("ocean", (card(0, right=True), Card(None, "crab", 0.2, name="x.jpg")))]
    assert sheet(rows, tmp_path / "a.png").read_bytes() == sheet(rows, tmp_path / "b.png").read_bytes()


def test_a_weak_picture_is_paler_and_the_sheet_says_why(tmp_path, monkeypatch):
    said = []
    page = sheets._Page.__init__
    monkeypatch.setattr(sheets._Page, "__init__", lambda self, *given: (said.extend(given[3]), page(self, *given))[1])
    sheet([Row("a", (card(0), card(1, weak=True)))], tmp_path / "sheet.png")
    pixels = read(tmp_path / "sheet.png")
    assert boxes(pixels, COLOURS[0]) and not boxes(pixels, COLOURS[1])
    assert boxes(pixels, [round(sheets.FADED * colour + (1 - sheets.FADED) * mat)
                          for colour, mat in zip(COLOURS[1], (238, 241, 244), strict=True)])
    tag_sheet([Tagged(card(0), (("cat", 0.9, False), ("dog", 0.1, True)))], tmp_path / "tags.png")
    assert any("weak" in note for note in said[:3]) and "? weak: too low to be relied on." in said
    said.clear()
    tag_sheet([Tagged(card(0), (("cat", 0.9), ("dog", 0.1)))], tmp_path / "tags.png")
    assert not any("weak" in note for note in said)
