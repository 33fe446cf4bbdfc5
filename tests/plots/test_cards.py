"""Cards: a picture whole and undistorted, or a panel that says what it stands for."""

import numpy as np
import pytest
from PIL import Image

from devise.plots.cards import (
    FRAME,
    HEIGHT,
    MAT,
    PAPER,
    RIGHT,
    SIDE,
    WORD,
    WRONG,
    Card,
    class_colour,
    draw_card,
    letterbox,
)

RED = np.full((30, 60, 3), (200, 30, 30), np.uint8)


def drawn(card, **options):
    image = Image.new("RGB", (SIDE, HEIGHT), PAPER)
    draw_card(image, (0, 0), card, **options)
    return image


def rgb(colour):
    return tuple(int(colour[start:start + 2], 16) for start in (1, 3, 5))


def ink(image, box):
    """How many pixels of a region differ from its upper left one."""
    pixels = np.asarray(image.crop(box)).astype(int)
    return int((np.abs(pixels - pixels[0, 0]).sum(axis=2) > 60).sum())


LABEL = (0, SIDE + 4, SIDE, SIDE + 36)
SCORE = (0, SIDE + 36, SIDE // 2, HEIGHT)
MARK = (SIDE // 2, SIDE + 36, SIDE, HEIGHT)
PANEL = (FRAME, FRAME, SIDE - FRAME, SIDE - FRAME)


@pytest.mark.parametrize("shape", [(30, 60), (60, 30), (1, 500), (500, 1), (7, 7), (900, 1200)])
def test_a_letterboxed_picture_is_whole_centred_and_undistorted(shape):
    square = np.asarray(letterbox(np.full((*shape, 3), (200, 30, 30), np.uint8), side=100))
    assert square.shape == (100, 100, 3)
    inside = (square == (200, 30, 30)).all(axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    height, width = len(rows), len(columns)
    assert (height, width) == tuple(max(1, round(length * 100 / max(shape))) for length in shape)
    assert abs(rows[0] - (99 - rows[-1])) <= 1 and abs(columns[0] - (99 - columns[-1])) <= 1
    assert (square[~inside] == rgb(MAT)).all()


def test_a_picture_stands_on_its_card_with_label_and_score():
    image = drawn(Card(RED, "crab", 0.5))
    assert image.getpixel((SIDE // 2, SIDE // 2)) == (200, 30, 30)
    assert ink(image, LABEL) and ink(image, SCORE) and not ink(image, MARK)
    bare = drawn(Card(RED))
    assert not ink(bare, LABEL) and not ink(bare, SCORE)


def test_right_and_wrong_differ_in_the_frame_and_in_the_shape_of_the_mark():
    marks = {}
    for right, colour in ((True, RIGHT), (False, WRONG)):
        image = drawn(Card(RED, "crab", 0.5, right))
        assert image.getpixel((2, 2)) == rgb(colour) and image.getpixel((SIDE - 2, SIDE // 2)) == rgb(colour)
        marks[right] = np.asarray(image.crop(MARK).convert("L")) < 200
    assert marks[True].any() and marks[False].any() and (marks[True] != marks[False]).sum() > 50
    assert drawn(Card(RED)).getpixel((2, 2)) == rgb(MAT)
    assert drawn(Card(RED, right=True), query=True).getpixel((2, 2)) == rgb(WORD)


def test_a_picture_that_is_not_here_becomes_a_card_with_its_class_and_file(tmp_path):
    gone = tmp_path / "image_0001.jpg"
    for card in (Card(None, "crab", 0.5, name=gone.name), Card(gone, "crab", 0.5)):
        image = drawn(card)
        assert image.getpixel((2, 2)) == rgb(class_colour("crab"))
        assert ink(image, PANEL) > 200 and ink(image, LABEL) and ink(image, SCORE)


def test_a_file_that_can_not_be_read_says_so_on_its_card(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 no jpeg")
    image = drawn(Card(path, "crab", 0.5, False))
    assert image.getpixel((FRAME + 2, FRAME + 2)) == rgb(MAT) and image.getpixel((2, 2)) == rgb(WRONG)
    assert ink(image, PANEL) > 400 and ink(image, LABEL)


def test_a_file_is_drawn_upright(tmp_path):
    left_half_red = np.zeros((40, 40, 3), np.uint8)
    left_half_red[:, :20] = (200, 30, 30)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera lay on its side: turn a quarter to the right
    Image.fromarray(left_half_red).save(tmp_path / "turned.png", exif=turned)
    image = drawn(Card(tmp_path / "turned.png"))
    assert image.getpixel((SIDE // 2, 20)) == (200, 30, 30)
    assert image.getpixel((SIDE // 2, SIDE - 20)) == (0, 0, 0)


def test_a_word_is_a_card_of_its_own_colour():
    image = drawn("ocean")
    assert image.getpixel((2, 2)) == rgb(WORD) and ink(image, PANEL) > 200


@pytest.mark.parametrize("card", [
    "x" * 300, "Ж" * 80, Card(None, "a label " * 40, -0.123, True, name="b" * 300), Card(None),
    Card(None, "昆虫", 1.0), ""])
def test_no_text_leaves_its_card(card):
    image = Image.new("RGB", (3 * SIDE, 3 * HEIGHT), PAPER)
    draw_card(image, (SIDE, HEIGHT), card)
    outside = np.asarray(image).copy()
    outside[HEIGHT:2 * HEIGHT, SIDE:2 * SIDE] = 255
    assert (outside == 255).all()


def test_class_colours_are_pale_steady_and_many():
    colours = [class_colour(f"class {number}") for number in range(60)]
    assert colours == [class_colour(f"class {number}") for number in range(60)]
    assert len(set(colours)) > 40
    for colour in colours:
        red, green, blue = rgb(colour)
        assert 0.299 * red + 0.587 * green + 0.114 * blue > 195  # dark letters on it have contrast


@pytest.mark.parametrize("shape, dtype", [((4, 4, 3), float), ((4, 4), np.uint8), ((0, 4, 3), np.uint8)])
def test_arrays_of_another_kind_are_refused(shape, dtype):
    with pytest.raises(ValueError, match=r"expected uint8 \(h, w, 3\)"):
        drawn(Card(np.zeros(shape, dtype)))
