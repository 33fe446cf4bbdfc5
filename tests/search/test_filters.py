"""Conditions on images, against a loop over what is known of each."""

import itertools

import numpy as np
import pytest

from devise.datasets import ImageSet, Metadata
from devise.search import select

PATHS = ("2023/alps/1.jpg", "2023/alps/snow/2.JPG", "2024/Sea/3.jpg", "4.png", "2024/Sea2/5.jpg")
KNOWN = (Metadata("2023-12-31T23:59:59", "Google Pixel 8", 46.5, 8.0, 4000, 3000),
         Metadata("2024-06-01", "Canon EOS 5D", -33.9, 151.2, 3000, 4000),
         Metadata("2024-06-15T08:00:00", None, None, None, 800, 600), None,
         Metadata(camera="pixel 3", width=640, height=480))


@pytest.fixture
def images():
    return ImageSet(PATHS, [0, 1, -1, 0, 1], ("Cat", "golden retriever"), root=None)


@pytest.mark.parametrize(("where", "rows"), [
    ("taken=2024", [1, 2]), ("taken=2024-06", [1, 2]), ("taken=2024-6-1", [1]), ("taken==2024-06-15T08:00", [2]),
    ("taken>2023", [1, 2]), ("taken>=2023", [0, 1, 2]), ("taken<2024", [0]), ("taken<=2024-06-01", [0, 1]),
    ("taken>2024-06-01", [2]), ("taken!=2024", [0]), ("taken~-12-31", [0]), ("taken >= '2024-06-15 08'", [2]),
    ("camera~PIXEL", [0, 4]), ('camera="canon eos 5d"', [1]), ("camera=canon eos 5d", [1]), ("camera!=pixel 3", [0, 1]),
    ("label=cat", [0, 3]), ("Class=cat", [0, 3]),
    ("label~retriever", [1, 4]), ("label!=cat", [1, 4]), ("label = Golden Retriever", [1, 4]),
    ("folder=2023/alps", [0, 1]), ("folder=2024/sea", [2]), ("folder~sea", [2, 4]), ("folder!=2023", [2, 3, 4]),
    ("folder=2023/", [0, 1]), ("name=2.jpg", [1]), ("name~.jpg", [0, 1, 2, 4]),
    ("width>=3000", [0, 1]), ("width<800", [4]), ("height=4e3", [1]), ("latitude<0", [1]), ("longitude>-1", [0, 1]),
    ("place~46.5,8.2,20km", [0]), ("place~46.5,8.2", []), ("place ~ -33.8, 151.2, 15", [1]),
    ("not taken>=2024", [0, 3, 4]), ("not camera~pixel", [1, 2, 3]), ("not not label=cat", [0, 3]),
    ("taken=2024 and camera~canon or label=cat", [0, 1, 3]), ("taken=2024 and (camera~canon or label=cat)", [1]),
    ("NOT (label=cat OR label=golden retriever) And width≥800", [2]), ("taken≠2024 or width≤640", [0, 4]),
])
def test_the_rows_for_which_a_condition_holds(images, where, rows):
    assert select(where, images, KNOWN).rows.tolist() == rows


def test_and_or_not_are_those_of_sets(images):
    parts = {"taken>=2024": {1, 2}, "camera~pixel": {0, 4}, "label=cat": {0, 3}}
    for (a, in_a), (b, in_b), (c, in_c) in itertools.permutations(parts.items()):
        for where, expected in ((f"{a} or {b} and {c}", in_a | in_b & in_c),
                                (f"({a} or {b}) and {c}", (in_a | in_b) & in_c), (f"not {a} and {b}", in_b - in_a),
                                (f"not ({a} and {b})", {*range(5)} - (in_a & in_b))):
            assert set(select(where, images, KNOWN).rows.tolist()) == expected, where


def test_what_is_not_known_is_counted(images):
    assert select("taken=2024 and not camera~canon or width>1", images, KNOWN).lacking == {
        "taken": 2, "camera": 2, "width": 1}
    assert select("folder~a", images, KNOWN).lacking == {}
    assert select("label=cat", images, KNOWN).lacking == {"label": 1}


@pytest.mark.parametrize(("where", "message"), [
    ("", "empty"), ("taken", "ends where one of = != < <= > >= ~ after taken"), ("taken>=", "ends where a value after"),
    ("takn>=2024", "no field 'takn': did you mean taken; the fields are taken, camera, folder"),
    ("iso=100", "no field 'iso'; the fields are taken"), ("taken=June", "'June' is no date: expected 2024, 2024-06"),
    ("taken=2024-13", "no date"), ("taken=2023-02-29", "no date"), ("taken=0000", "no date"),
    ("taken=2024-00", "no date"), ("width=big", "is no number"),
    ("camera>a", "camera is a text, which has no >"), ("width~3", "width is a number, which has no ~"),
    ("place=1,2", "a place, which has no ="), ("place~here", "is no place: expected latitude,longitude"),
    ("label=cat and", "ends where a field"), ("label=cat camera~x", "has '~' where"),
    ("(label=cat", "ends where '\\)'"),
    ("label=cat)", "has '\\)' where 'and', 'or' or the end"), ("label='cat", "nothing can be made of it: put values"),
    ("=cat", "has '=' where a field"), ("and", "no field 'and'"),
    ("label=cat'; drop table pictures; --", "no|where|made"),
    ("not " * 60 + "label=cat", "parentheses deep"), ("(" * 60 + "label=cat" + ")" * 60, "parentheses deep"),
    ("label=" + "a" * 3000, "2,000 at most"),
])
def test_what_can_not_be_read_is_said(images, where, message):
    if "drop table" in where:
        assert not select(where, images, KNOWN).rows.size  # one long value, and nothing else
        return
    with pytest.raises(ValueError, match=message):
        select(where, images, KNOWN)


def test_any_text_is_read_or_refused(images):
    pieces = ["taken", "camera", "=", "!=", "~", "(", ")", "and", "or", "not", '"', "'", "2024", "é", " ", "\n", "\0",
              "km,"]
    random = np.random.default_rng(0)
    for _ in range(3000):
        try:
            found = select("".join(random.choice(pieces, random.integers(1, 9))), images, KNOWN)
        except ValueError:
            continue
        assert set(found.rows.tolist()) <= set(range(5))
