"""Odd picture files, made by hand or by Pillow, against pixel values worked out by hand."""

import base64
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from devise.datasets.images import EXTENSIONS, MAX_PIXELS, check_image, has_image, read_image
from devise.plots import history_curve

# 2 rows, 3 columns, every pixel another: a turn of it can't look like another turn
CORNERS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]],
                    [[255, 255, 0], [0, 255, 255], [40, 80, 120]]], dtype=np.uint8)

# 32 x 16 pixels, red at the left and blue at the right, turned by irot as by a phone that was held upright
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAcdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
    "AAAAADRpbG9jAAAAAERAAAIAAQAAAAAB6wABAAAAAAAAANcAAgAAAAACwgABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVp"
    "bmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABBmlwcnAAAADlaXBjbwAAAHVo"
    "dmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAA"
    "AwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAA"
    "AABAAAAAQAAAAChjbGFwAAAAIAAAAAEAAAAQAAAAAf///+AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAACWlyb3QD"
    "AAAAGWlwbWEAAAAAAAAAAQABBoECAwWEhgAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAABA21kYXQAAADTKAGvCchn/d45"
    "I1d//9dk//9gsaH9UPeK3/6e1vv6Kkf/8VAP5Tr/QMmqLsIngG8QonEFMunhqRVhQBFjx2gQzg/P+myRAwG4trKP8mziiW8x"
    "Q4TjAWVY7tqKcZMDIxkbDg/jF1ToqAS1ZiezDJtVuz7tMl9u84af5+yg5hhXpLEapIJ6d5rA82JmtCHpZzD4/eX0utToQjWW"
    "Un69R4CfIBZOHImrOdhsjHDxHjosPso7WYY66xs/22B+3UKq9ky161RNTW4NzbKHjuMYx/roZCOIoAAAAAZFeGlmAABNTQAq"
    "AAAACAABARIAAwAAAAEABgAAAAAAAA==")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colours, rows, *, before=b""):
    """A PNG file from its parts, without an encoder."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def noise(height=40, width=60):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(path, array_or_image, **options):
    image = array_or_image
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.mark.parametrize("name, options", [("a.png", {}), ("a.bmp", {}), ("a.tiff", {}), ("a.TIF", {}),
                                           ("a.webp", {"lossless": True}), ("a.ppm", {}), ("a.tga", {}),
                                           ("b.tga", {"compression": "tga_rle"}), ("a.jp2", {})])
def test_lossless_kinds_give_back_every_pixel(tmp_path, name, options):
    pixels = read_image(saved(tmp_path / name, CORNERS, **options))
    np.testing.assert_array_equal(pixels, CORNERS)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable


def test_jpeg_is_near_its_source(tmp_path):
    plain = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    pixels = read_image(saved(tmp_path / "a.jpg", plain, quality=95)).astype(int)
    assert np.abs(pixels - plain).max() <= 2


def test_what_phones_write_is_upright(tmp_path):
    (tmp_path / "a.heic").write_bytes(HEIC)
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :16], wide[:, 16:] = (250, 10, 10), (10, 10, 250)
    for name in ("a.avif", "a.mpo"):
        exif = Image.Exif()
        exif[0x0112] = 6
        saved(tmp_path / name, wide, exif=exif, quality=95)
    for path in tmp_path.iterdir():
        pixels = read_image(path).astype(int)
        assert pixels.shape == (32, 16, 3) and check_image(path) is None
        assert np.abs(pixels[:14] - (250, 10, 10)).max() <= 8 and np.abs(pixels[18:] - (10, 10, 250)).max() <= 8


@pytest.mark.parametrize("cut", [40, 400])
def test_a_part_of_what_a_phone_wrote_is_refused(tmp_path, cut):
    (tmp_path / "a.heic").write_bytes(HEIC[:-cut])
    assert "HEIF" in refusal(tmp_path / "a.heic")


def test_greys_of_one_bit_and_of_eight_as_netpbm_has_them(tmp_path):
    (tmp_path / "a.pbm").write_bytes(b"P1\n3 1\n1 0 1\n")
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 255\n" + bytes([0, 100, 255]))
    assert read_image(tmp_path / "a.pbm")[0, :, 0].tolist() == [0, 255, 0]
    assert read_image(tmp_path / "a.pgm")[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_content_decides_not_the_name(tmp_path):
    saved(tmp_path / "a.png", CORNERS)
    renamed = (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(renamed), CORNERS)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tiff"])
def test_first_picture_of_several(tmp_path, name):
    red, blue = (Image.new("RGB", (4, 3), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path / name, red, save_all=True, append_images=[blue], **options)
    np.testing.assert_array_equal(read_image(path), np.full((3, 4, 3), (255, 0, 0)))


def test_sixteen_bit_grey_png_is_scaled(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(4, 1, 16, 0, [struct.pack(">4H", 0, 255, 32768, 65535)]))
    assert read_image(path)[0, :, 0].tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_grey_tiff_is_scaled_in_both_byte_orders(tmp_path, order):
    entries = [(256, 4, 3), (257, 4, 1), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8),
               (277, 3, 1), (278, 4, 1), (279, 4, 6)]
    values = struct.pack(order + "3H", 0, 32768, 65535)
    table = struct.pack(order + "H", len(entries))
    for tag, kind, value in entries:
        table += struct.pack(order + ("HHII" if kind == 4 else "HHIHxx"), tag, kind, 1, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(values))
    path = tmp_path / "a.tif"
    path.write_bytes(head + values + table + bytes(4))
    assert read_image(path)[0, :, 1].tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", ["a.tiff", "a.png"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_greys_of_fewer_bits_in_sixteen_are_as_bright(tmp_path, name, bits):
    brightest = 2 ** bits - 1
    values = np.array([[0, brightest // 2, brightest]], np.uint16)
    assert read_image(saved(tmp_path / name, values))[0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_twelve_bits_in_sixteen_are_as_bright(tmp_path, order, packed, alpha):
    values = [4095, 2048, 160] * 2
    if alpha:
        values = [4095, 2048, 160, 65535] * 2
    n = len(values) // 2
    pixels = struct.pack(f"{order}{2 * n}H", *values)
    kind = 8 if packed else 1  # the pixels, packed or not, then the bits of each channel, then the table
    pixels = zlib.compress(pixels) if packed else pixels
    pixels += b"\0" * (len(pixels) % 2)
    bits = struct.pack(f"{order}{n}H", *[16] * n)
    entries = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, n, 8 + len(pixels)), (259, 3, 1, kind), (262, 3, 1, 2),
               (273, 4, 1, 8), (277, 3, 1, n), (278, 3, 1, 1), (279, 4, 1, len(pixels))]
    entries += [(338, 3, 1, 2)] if alpha else []
    table = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        wide = kind == 4 or count > 1
        table += struct.pack(order + ("HHII" if wide else "HHIHxx"), tag, kind, count, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(pixels) + len(bits))
    (tmp_path / "a.tif").write_bytes(head + pixels + bits + table + bytes(4))
    assert read_image(tmp_path / "a.tif").tolist() == [[[255, 128, 10]] * 2]
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 6 if alpha else 2, [struct.pack(f">{2 * n}H", *values)]))
    assert read_image(tmp_path / "a.png").tolist() == [[[255, 128, 10]] * 2]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_whose_zero_is_white(tmp_path, bits):
    grey = Image.fromarray(np.array([[0, 100, 255]], np.uint8))
    image = grey if bits == 8 else Image.fromarray(np.array([[0, 100 << 8, 65535]], np.uint16))
    path = saved(tmp_path / "a.tif", image)
    data = path.read_bytes()
    tag = struct.pack("<HHI", 262, 3, 1)
    path.write_bytes(data.replace(tag + struct.pack("<I", 1), tag + struct.pack("<I", 0)))
    assert read_image(path)[0, :, 0].tolist() == [255, 155, 0]


def test_sixteen_bit_colours_keep_their_high_byte(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 16, 2, [struct.pack(">6H", 0, 40000, 65535, 256, 257, 511)]))
    assert read_image(path).tolist() == [[[0, 156, 255], [1, 1, 1]]]  # 40000 = 156 * 256 + 64
    assert read_image(Image.open(path)).tolist() == [[[0, 156, 255], [1, 1, 1]]]


@pytest.mark.parametrize("values, expected", [
    (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
    (np.array([[-1000.0, 0.0, np.nan, np.inf, 1000.0]], np.float32), [0, 128, 0, 0, 255]),
    (np.array([[100_000, 150_000, 200_000]], np.int32), [0, 128, 255]),
    (np.array([[7.5, 7.5]], np.float32), [0, 0]),
])
def test_values_of_unknown_range_are_stretched(tmp_path, values, expected):
    pixels = read_image(saved(tmp_path / "a.tiff", values))
    assert pixels[0, :, 0].tolist() == pixels[0, :, 2].tolist() == expected


@pytest.mark.parametrize("name", ["a.tiff", "a.jpg"])
def test_cmyk_as_ink_on_paper(tmp_path, name):
    ink = Image.new("CMYK", (16, 16), (0, 255, 51, 51))
    pixels = read_image(saved(tmp_path / name, ink)).astype(int)
    # what paper shows is (1 - ink)(1 - black): 204/255 = 0.8, and 0.8 * 204 = 163.2
    assert np.abs(pixels - (204, 0, 163)).max() <= 2


def test_adobe_jpeg_holds_inverted_inks(tmp_path):
    data = saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 0, 0, 0))).read_bytes()
    assert b"Adobe" in data  # Photoshop's mark: 255 is no ink, as stored by every writer that sets it
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), np.full((8, 8, 3), 255))


def test_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    for name in ("a.png", "a.gif", "a.bmp"):
        pixels = read_image(saved(tmp_path / name, image))
        assert pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [10, 20, 30]]]


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_transparent_entry_of_a_palette_is_white(tmp_path, name):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    assert read_image(saved(tmp_path / name, image, transparency=1)).tolist() == [[[255, 0, 0], [255] * 3]]


def test_half_transparent_entry_of_a_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([0, 0, 0, 0, 255, 0])
    path = saved(tmp_path / "a.png", image, transparency=bytes([51, 255]))
    assert read_image(path).tolist() == [[[204] * 3, [0, 255, 0]]]  # 51/255 = 0.2 of black on white


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff"])
def test_alpha_on_white(tmp_path, name):
    rgba = np.array([[[100, 0, 200, 0], [100, 0, 200, 51], [100, 0, 200, 255]]], np.uint8)
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    pixels = read_image(saved(tmp_path / name, rgba, **options))
    # a fifth of each colour and four fifths of white: 0.2 * 100 + 0.8 * 255 = 224
    assert pixels[0].tolist() == [[255, 255, 255], [224, 204, 244], [100, 0, 200]]


def test_grey_with_alpha_on_white(tmp_path):
    grey = Image.merge("LA", [Image.new("L", (2, 1), 55), Image.fromarray(np.array([[0, 51]], np.uint8))])
    assert read_image(saved(tmp_path / "a.png", grey)).tolist() == [[[255] * 3, [215] * 3]]


def test_colour_key_of_a_png_is_white(tmp_path):
    path = tmp_path / "a.png"
    key = chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    path.write_bytes(png(2, 1, 8, 2, [bytes([1, 2, 3, 1, 2, 4])], before=key))
    assert read_image(path).tolist() == [[[255] * 3, [1, 2, 4]]]


def test_one_bit(tmp_path):
    bits = Image.fromarray(np.array([[True, False, True]]))
    for name in ("a.png", "a.bmp", "a.tiff"):
        assert read_image(saved(tmp_path / name, bits))[0].tolist() == [[255] * 3, [0] * 3, [255] * 3]


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff"])
@pytest.mark.parametrize("orientation, upright", [
    (1, lambda a: a), (2, lambda a: a[:, ::-1]), (3, lambda a: a[::-1, ::-1]), (4, lambda a: a[::-1]),
    (5, lambda a: a.swapaxes(0, 1)), (6, lambda a: np.rot90(a, -1)),
    (7, lambda a: a[::-1, ::-1].swapaxes(0, 1)), (8, lambda a: np.rot90(a)), (9, lambda a: a),
])
def test_exif_orientation(tmp_path, name, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / name, CORNERS, exif=exif, **({"lossless": True} if name == "a.webp" else {}))
    np.testing.assert_array_equal(read_image(path), upright(CORNERS))


def test_exif_orientation_of_a_jpeg(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: stored with the top of the scene at the left
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, :16] = 255
    pixels = read_image(saved(tmp_path / "a.jpg", stored, exif=exif, quality=95))
    assert pixels.shape == (32, 16, 3) and pixels[:12].min() > 240 and pixels[20:].max() < 15


def test_damaged_exif_does_not_lose_the_picture(tmp_path):
    path = saved(tmp_path / "a.png", CORNERS, exif=b"Exif\0\0II*\0\x99\x99")
    np.testing.assert_array_equal(read_image(path), CORNERS)


def refusal(path, **options):
    with pytest.raises(ValueError) as caught:
        read_image(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.filterwarnings("ignore")  # Pillow's, about damaged tables
@pytest.mark.parametrize("content, reason", [
    (b"", "zero bytes"), (b"\0" * 100, "not a picture"),
    (b"<svg xmlns='x'></svg>", "not a picture"), (b"<!DOCTYPE html><html>", "not a picture"),
    (b"\xff\xd8\xff", "damaged or unsupported JPEG header"), (b"\x89PNG\r\n\x1a\n", "PNG header"),
    (b"RIFF\x04\0\0\0WEBP", "WEBP header"), (b"GIF89a", "GIF header"), (b"BM", "BMP header"),
    (b"II*\0\x08\0\0\0", "TIFF header"),
])
def test_files_that_are_no_pictures(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert reason in refusal(path)
    assert reason in check_image(path)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_pictures_without_pixels(tmp_path, size):
    path = tmp_path / "a.png"
    path.write_bytes(png(*size, 8, 0, []))
    assert refusal(path) == check_image(path) == "damaged or unsupported PNG header"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.tiff", "a.webp"])
def test_truncated(tmp_path, name):
    path = saved(tmp_path / name, noise())
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    kind = Image.registered_extensions()[path.suffix]
    assert kind in refusal(path)
    if name in ("a.jpg", "a.png", "a.gif", "a.bmp"):
        assert refusal(path) == f"truncated {kind}"
        assert check_image(path) is None  # only the header is read


@pytest.mark.parametrize("width, height", [(10_001, 10_000), (2**31 - 1, 2**31 - 1), (30_000, 30_000)])
def test_bomb_is_refused_by_its_header(tmp_path, width, height):
    path = tmp_path / "a.png"
    path.write_bytes(png(width, height, 8, 2, [b"\0" * 100]))
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = f"{width:,} x {height:,} pixels, more than {MAX_PIXELS:,}"
        assert refusal(path) == check_image(path) == expected
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before


def test_bomb_that_pillow_itself_refuses(tmp_path):
    size = (16_383 - 1) | (16_383 - 1) << 14  # the largest canvas of a lossless WebP
    chunk_data = b"\x2f" + struct.pack("<I", size)
    body = b"WEBPVP8L" + struct.pack("<I", len(chunk_data)) + chunk_data + b"\0"
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert refusal(path) == check_image(path)


def test_limit_is_the_callers(tmp_path):
    path = saved(tmp_path / "a.png", CORNERS)
    assert read_image(path, max_pixels=6).shape == (2, 3, 3)
    assert refusal(path, max_pixels=5) == check_image(path, max_pixels=5) == "3 x 2 pixels, more than 5"


def test_picture_beyond_pillows_own_warning_is_opened_quietly(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(9_999, 10_000, 1, 0, [b"\0" * 1250]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_image(path) is None


def test_places_that_are_no_files(tmp_path):
    assert refusal(tmp_path / "none.jpg") == check_image(tmp_path / "none.jpg") == "no such file"
    assert refusal(tmp_path) == "a folder, not a file"
    (tmp_path / "lost.jpg").symlink_to("nowhere.jpg")
    assert refusal(tmp_path / "lost.jpg") == "no such file"
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "can't be opened" in refusal(tmp_path / "loop.jpg")
    assert "can't be opened" in refusal(tmp_path / ("n" * 300 + ".jpg"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_and_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refusal(tmp_path / "pipe.jpg") == "a pipe or a device, not a regular file"
    assert check_image("/dev/zero") == "a pipe or a device, not a regular file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may read all")
def test_no_permission(tmp_path):
    path = saved(tmp_path / "a.png", CORNERS)
    path.chmod(0)
    assert "can't be opened: Permission denied" in refusal(path)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about damaged tables
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.tiff", "a.webp"])
def test_damaged_bytes_give_a_picture_or_a_reason(tmp_path, name):
    path = saved(tmp_path / name, noise(12, 16))
    data = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(7)
    for _ in range(60):
        hurt = data.copy()
        hurt[rng.integers(0, len(data), 5)] = rng.integers(0, 256, 5)
        path.write_bytes(hurt.tobytes())
        try:
            pixels = read_image(path, max_pixels=10_000)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")
        else:
            assert pixels.ndim == 3 and pixels.dtype == np.uint8


def test_a_picture_is_known_by_its_content_and_a_text_is_none(tmp_path):
    for number, name in enumerate(("a.png", "a.tga", "a.bmp", "a.ppm", "a.tif")):
        assert has_image(saved(tmp_path / name, CORNERS).rename(tmp_path / f"photo{number}"))
    for number, text in enumerate([b"BMW and others", b"P6 is a processor", b"\0\0\x02\0", b"", b"\0" * 100]):
        (tmp_path / f"text{number}").write_bytes(text)
        assert not has_image(tmp_path / f"text{number}")
    assert not has_image(tmp_path) and not has_image(tmp_path / "none")


@pytest.mark.parametrize("name", ["history.png", "history.jpg"])
def test_drawings_of_our_own_are_no_pictures_of_the_users(tmp_path, name):
    path = tmp_path / name
    history_curve({"loss": [0.9, 0.4], "score": [0.5, 0.8], "best_epoch": 2}, path)
    assert check_image(path) == "a drawing that devise made"
    assert check_image(saved(tmp_path / "a.png", CORNERS)) is None


def test_the_thumbnail_in_a_raw_picture_is_not_taken_for_it(tmp_path):
    path = saved(tmp_path / "a.tif", CORNERS).rename(tmp_path / "a.NEF")
    assert "a camera's raw picture" in refusal(path) and "raw" in check_image(path)


def test_extensions_are_lower_case_endings():
    assert all(ending == ending.lower() and ending.startswith(".") for ending in EXTENSIONS)


def test_the_content_of_a_file_is_read_as_the_file_is(tmp_path):
    path = saved(tmp_path / "a.png", CORNERS)
    np.testing.assert_array_equal(read_image(path.read_bytes()), CORNERS)
    for content, reason in [(b"", "zero bytes"), (b"no picture", "not a picture: its content is no jpg"),
                            (path.read_bytes()[:-30], "truncated|damaged")]:
        with pytest.raises(ValueError, match=f"^the picture: ({reason})"):
            read_image(content)


@pytest.mark.parametrize("least, shape", [(None, (480, 640)), (480, (480, 640)), (240, (240, 320)),
                                          (100, (120, 160)), (1, (60, 80))])
def test_a_jpeg_for_a_small_copy_is_decoded_no_smaller_than_asked(tmp_path, least, shape):
    path = saved(tmp_path / "a.jpg", np.full((480, 640, 3), (200, 100, 50), np.uint8))
    pixels = read_image(path, least_side=least)
    assert pixels.shape == (*shape, 3)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 4
    assert read_image(saved(tmp_path / "a.png", noise()), least_side=1).shape == (40, 60, 3)  # of other kinds nothing


def test_a_turned_jpeg_stays_upright_at_a_fraction_of_its_size(tmp_path):
    tall = Image.new("RGB", (320, 160), "blue")
    tall.paste("red", (0, 0, 160, 160))  # the left half, which a turn to the right brings up
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = read_image(saved(tmp_path / "a.jpg", tall, exif=exif), least_side=40)
    assert pixels.shape == (80, 40, 3)
    assert pixels[10, 20, 0] > 200 and pixels[70, 20, 2] > 200


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    from devise.datasets import images

    monkeypatch.setattr(images, "LARGE_PIXELS", 50)
    saved(tmp_path / "small.png", CORNERS)
    saved(tmp_path / "large.png", noise(10, 10))
    with ThreadPoolExecutor() as pool:
        with images._LARGE:
            large, small = (pool.submit(read_image, tmp_path / f"{name}.png") for name in ("large", "small"))
            assert small.result(timeout=60).shape == (2, 3, 3)
            with pytest.raises(TimeoutError):
                large.result(timeout=0.1)
        assert large.result(timeout=60).shape == (10, 10, 3)
