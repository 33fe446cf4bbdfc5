"""What a camera wrote, in files that are made here with Pillow, against what was put in."""

import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from devise.datasets import Metadata, metadata_of, open_images, read_metadata

SYDNEY = {1: "S", 2: (33.0, 51.0, 54.0), 3: "E", 4: (151.0, 12.0, 36.0)}


def exif(base=(), photo=(), place=()):
    """The bytes of an EXIF block of these tags, {number: value}."""
    block = Image.Exif()
    block.update(base)
    block.get_ifd(ExifTags.IFD.Exif).update(photo)
    block.get_ifd(ExifTags.IFD.GPSInfo).update(place)
    return block.tobytes()


@pytest.fixture
def write(tmp_path):
    def write(name="a.jpg", **tags):
        Image.new("RGB", (60, 40)).save(tmp_path / name, exif=exif(**tags))
        return tmp_path / name
    return write


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "avif"])
def test_what_was_written_is_read(write, kind):
    path = write(f"a.{kind}", base={271: "Google", 272: "Pixel 8", 274: 6}, photo={0x9003: "2024:06:01 18:30:59"},
                 place=SYDNEY)
    found = read_metadata(path)
    assert found == Metadata("2024-06-01T18:30:59", "Google Pixel 8", pytest.approx(-33.865), pytest.approx(151.21),
                             40, 60)


@pytest.mark.parametrize(("text", "expected"), [
    ("2024:06:01 18:30:00", "2024-06-01T18:30:00"), ("2024-06-01T18:30:00Z", "2024-06-01T18:30:00"),
    ("2024:06:01 18:30:00+02:00", "2024-06-01T18:30:00"), ("2024/6/1 8:30", "2024-06-01T08:30:00"),
    ("2024:06:01", "2024-06-01"), ("2024:06:01 24:00:00", "2024-06-01"), ("2024:06:01 12:60:00", "2024-06-01"),
    ("2024:02:30 10:00:00", None), ("2024:13:01 10:00:00", None), ("0000:00:00 00:00:00", None),
    ("    :  :     :  :  ", None), ("0001:01:01 00:00:00", None), ("", None), ("yesterday", None),
    ("2023:02:29 10:00:00", None), ("2024:02:29 10:00:00\0rest", "2024-02-29T10:00:00"),
])
def test_dates_of_many_shapes(write, text, expected):
    assert read_metadata(write(photo={0x9003: text})).taken == expected


def test_the_exposure_counts_before_the_digitising_and_the_last_change(write):
    dates = {"base": {306: "2003:01:01 00:00:00"}, "photo": {0x9003: "2001:01:01 00:00:00",
                                                             0x9004: "2002:01:01 00:00:00"}}
    assert read_metadata(write(**dates)).taken[:4] == "2001"
    dates["photo"][0x9003] = "0000:00:00 00:00:00"
    assert read_metadata(write(**dates)).taken[:4] == "2002"
    del dates["photo"]
    assert read_metadata(write(**dates)).taken[:4] == "2003"


@pytest.mark.parametrize(("make", "model", "expected"), [
    ("Canon", "Canon EOS 5D", "Canon EOS 5D"), ("NIKON CORPORATION", "NIKON D70 ", "NIKON D70"),
    ("Apple", "iPhone 12", "Apple iPhone 12"), ("Canon\0\0\0", "", "Canon"), ("", "X100", "X100"), ("", " ", None),
    ("A\x1b[31m", "B\nC", "A [31m B C"),
])
def test_a_camera_is_its_make_once_and_its_model(write, make, model, expected):
    assert read_metadata(write(base={271: make, 272: model})).camera == expected


@pytest.mark.parametrize(("change", "expected"), [
    ({}, (-33.865, 151.21)), ({1: "N", 3: "W"}, (33.865, -151.21)), ({2: (0, 0, 0)}, (0, 151.21)),
    ({2: (0, 0, 0), 4: (0, 0, 0)}, None), ({1: None}, None), ({1: "up"}, None), ({2: (95, 0, 0)}, None),
    ({2: None}, None), ({4: (IFDRational(0, 0), 0, 0)}, None), ({3: "e"}, (-33.865, 151.21)),
])
def test_places_south_and_west_and_those_that_are_none(write, change, expected):
    place = {tag: value for tag, value in (SYDNEY | change).items() if value is not None}
    found = read_metadata(write(place=place))
    assert (found.latitude, found.longitude) == (pytest.approx(expected) if expected else (None, None))


def test_damaged_exif_is_left_out_and_says_nothing(write):
    """Thousands of blocks with bytes changed: never an error, never a warning, and the size stays."""
    path = write(base={271: "Google", 272: "Pixel 8"}, photo={0x9003: "2024:06:01 18:30:00"}, place=SYDNEY)
    content, random = path.read_bytes(), np.random.default_rng(0)
    start = content.index(b"Exif") + 6
    end = start + int.from_bytes(content[start - 8:start - 6], "big") - 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(500):
            changed = bytearray(content)
            for place in random.integers(start, end, random.integers(1, 8)):
                changed[place] = random.integers(256)
            path.write_bytes(changed)
            found = read_metadata(path)
            assert found is None or {found.width, found.height} == {60, 40}
            assert found is None or found.latitude is None or -90 <= found.latitude <= 90


def test_what_is_no_picture_or_has_no_file(write, tmp_path):
    (tmp_path / "note.jpg").write_text("no picture")
    assert read_metadata(tmp_path / "note.jpg") is None and read_metadata(tmp_path / "none.jpg") is None
    path = write(base={272: "X100"})
    images = open_images([path, np.zeros((5, 9, 3), np.uint8)])
    path.with_name("b.jpg").write_bytes(path.read_bytes())
    assert metadata_of(images) == [Metadata(camera="X100", width=60, height=40), Metadata(width=9, height=5)]
    path.unlink()
    assert metadata_of(images)[0] is None
