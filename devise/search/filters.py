"""Conditions on images: comparisons of what is known of each, such as "taken>=2024-06 and camera~Pixel"."""

from __future__ import annotations

import math
import operator
import posixpath
import re
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from devise.errors import quoted, unknown
from devise.spelling import folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.datasets import ImageSet, Metadata

TOKEN = re.compile(r"""\s*(?:([()])|(!=|<=|>=|==?|[<>~≠≤≥])|"([^"]*)"|'([^']*)'|"""
                   r"""([^\s()=!<>~≠≤≥"'](?:[^\s()=!<>~≠≤≥]|!(?!=))*))""")
SAME = {"==": "=", "≠": "!=", "≤": "<=", "≥": ">="}
ORDER = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
DATE = re.compile(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[T ](\d\d?)(?::(\d\d)(?::(\d\d))?)?)?)?)?$")
MOST, DEEPEST = 2000, 50  # signs of a condition, and parentheses or "not" within one another
EARTH = 6371.0  # its radius in km
NEAR = 10.0  # km
CALLED = {"class": "label"}  # as tables of answers head it

Test = Callable[[Any], bool]


class Selection(NamedTuple):
    """The images for which a condition holds.

    Attributes:
        where: the condition.
        rows: int64 (m,), ascending.
        lacking: {field: images of which it is not known}, of the fields that the condition asks for.

    >>> Selection("width>800", np.array([0, 2]), {"width": 1}).lacking
    {'width': 1}
    """

    where: str
    rows: NDArray[np.int64]
    lacking: dict[str, int]


def select(where: str, images: ImageSet, metadata: Sequence[Metadata | None]) -> Selection:
    """The rows of images for which a condition holds.

    A comparison is a field, one of = != < <= > >= ~ (contains), and a value, bare or in quotes; and, or, not and
    parentheses join several. Case does not matter. A date may be a part of one: taken=2024-06 is that month,
    taken>2024 is later than that year. folder=A holds below the folder A too. place~47.4,8.5,20km is within 20 km
    of a point, 10 where no distance is given. A comparison with what is not known is false, whichever it is.

    Args:
        where: the condition.
        metadata: of each image.
    Raises:
        ValueError: if it can't be read, has an unknown field, or a value that its field can't have.

    >>> from devise.datasets import ImageSet, Metadata
    >>> images = ImageSet(("cat/1.jpg", "dog/1.jpg"), [0, 1], ("cat", "dog"), root=None)
    >>> known = [Metadata("2024-06-01T18:30:00"), None]
    >>> select("taken=2024-06 or label=dog", images, known).rows
    array([0, 1])
    >>> select("not taken>=2024", images, known)
    Selection(where='not taken>=2024', rows=array([1]), lacking={'taken': 1})
    """
    columns, lacking = {}, {}

    def holds(field, sign, value):
        kind, read = FIELDS[field]
        test = kind(field, sign, value)
        if field not in columns:
            columns[field] = _factors(read(images, metadata))
        values, codes = columns[field]
        if values.count(None):
            lacking[field] = int((codes == values.index(None)).sum())
        return np.array([one is not None and test(one) for one in values], bool)[codes]

    return Selection(where, np.flatnonzero(_Reader(where, holds).read()), lacking)


def _factors(values: Iterable[Hashable]) -> tuple[list, NDArray[np.int64]]:
    """The different values, and the place of each one among them."""
    places: dict[Hashable, int] = {}
    codes = np.fromiter((places.setdefault(value, len(places)) for value in values), np.int64)
    return list(places), codes


class _Reader:
    """A condition, read from the left: or < and < not < parentheses; `holds(field, sign, value)` is bool (n,)."""

    def __init__(self, where, holds):
        if not isinstance(where, str) or not where.strip():
            raise ValueError("the condition is empty: expected a comparison such as taken>=2024-06")
        if len(where) > MOST:
            raise ValueError(f"the condition has {len(where):,} signs: expected {MOST:,} at most")
        self._where, self._holds, self._depth = where, holds, 0
        self._tokens = deque([*_tokens(where), ("end", "")])

    def read(self):
        found = self._or()
        self._take("end", "'and', 'or' or the end")
        return found

    def _or(self):
        found = self._and()
        while self._is("or"):
            found = found | self._and()
        return found

    def _and(self):
        found = self._not()
        while self._is("and"):
            found = found & self._not()
        return found

    def _not(self):
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"the condition is more than {DEEPEST} parentheses deep: write it in fewer")
        if self._is("not"):
            found = ~self._not()
        elif self._is("("):
            found = self._or()
            if not self._is(")"):
                raise self._strange("')'")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self):
        field = self._take("word", "a field such as taken, camera or folder").lower()
        field = CALLED.get(field, field)
        if field not in FIELDS:
            guess = unknown("field", field, FIELDS).partition(": expected")[0]
            raise ValueError(f"{guess.rstrip('?')}; the fields are {', '.join(FIELDS)}")
        sign = self._take("sign", f"one of {' '.join(ORDER)} ~ after {field}")
        if self._tokens[0][0] == "quoted":
            return self._holds(field, sign, self._tokens.popleft()[1])
        words = []
        while self._tokens[0][0] == "word" and self._tokens[0][1].lower() not in ("and", "or", "not"):
            words.append(self._tokens.popleft()[1])
        if not words:
            raise self._strange(f"a value after {field}{sign}")
        return self._holds(field, sign, " ".join(words))

    def _take(self, kind, expected):
        """The text of the next token, which must be of this kind."""
        if self._tokens[0][0] != kind:
            raise self._strange(expected)
        return self._tokens.popleft()[1]

    def _is(self, mark):
        """Whether the next token is this mark, which is taken then."""
        kind, text = self._tokens[0]
        return kind in ("word", "mark") and text.lower() == mark and bool(self._tokens.popleft())

    def _strange(self, expected):
        kind, text = self._tokens[0]
        came = "ends" if kind == "end" else f"has {text!r}"
        return ValueError(f"the condition {quoted(self._where)} {came} where {expected} was expected")


def _tokens(where):
    """(mark, sign, quoted or word; its text) of each token."""
    place = 0
    while where[place:].strip():
        found = TOKEN.match(where, place)
        if found is None:
            raise ValueError(f"the condition {quoted(where)} has {where[place:].strip()[:1]!r} where nothing can be "
                             "made of it: put values with such signs in quotes")
        kind = found.lastindex
        yield {1: "mark", 2: "sign", 3: "quoted", 4: "quoted", 5: "word"}[kind], SAME.get(found[kind], found[kind])
        place = found.end()


def _text(field: str, sign: str, value: str) -> Test:
    wanted = folded(value)
    tests = {"=": lambda one: folded(one) == wanted, "!=": lambda one: folded(one) != wanted,
             "~": lambda one: wanted in folded(one)}
    return _of(tests, field, sign, "a text")


def _folder(field: str, sign: str, value: str) -> Test:
    wanted = folded(value).strip("/")

    def inside(one):
        return f"{folded(one).strip('/')}/".startswith(f"{wanted}/")

    return _of({"=": inside, "!=": lambda one: not inside(one), "~": lambda one: wanted in folded(one)}, field, sign,
               "a folder")


def _number(field: str, sign: str, value: str) -> Test:
    try:
        wanted = float(value)
    except ValueError:
        raise ValueError(f"{field}{sign}{value}: {value!r} is no number") from None
    test = _of(ORDER, field, sign, "a number")
    return lambda one: test(one, wanted)


def _date(field: str, sign: str, value: str) -> Test:
    if sign == "~":
        return lambda one: value in one
    found = DATE.match(value.strip())
    numbers: list[Any] = [int(part) for part in found.groups() if part] if found else []
    try:
        datetime(*numbers, *(1, 1)[len(numbers) - 1:])  # refuses a day that no calendar has
    except (TypeError, ValueError):
        raise ValueError(f"{field}{sign}{value}: {value!r} is no date: expected 2024, 2024-06, 2024-06-01 or "
                         "2024-06-01T18:30") from None
    parts = [f"{numbers[0]:04}", *(f"{part:02}" for part in numbers[1:])]
    wanted = "".join(mark + part for mark, part in zip(("", "-", "-", "T", ":", ":"), parts, strict=False))
    return lambda one: ORDER[sign](one[:len(wanted)], wanted)


def _place(field: str, sign: str, value: str) -> Test:
    try:
        latitude, longitude, *rest = (float(part.lower().removesuffix("km")) for part in value.split(","))
        [far] = rest or [NEAR]
    except ValueError:
        raise ValueError(f"{field}{sign}{value}: {value!r} is no place: expected latitude,longitude and perhaps a "
                         "distance, such as 47.4,8.5,20km") from None
    return _of({"~": lambda one: _distance(one, (latitude, longitude)) <= far}, field, sign, "a place")


def _distance(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Great-circle distance in km of two points in degrees, by the haversine formula."""
    north, south = math.radians(first[0]), math.radians(second[0])
    half = (math.sin((north - south) / 2) ** 2
            + math.cos(north) * math.cos(south) * math.sin(math.radians(first[1] - second[1]) / 2) ** 2)
    return 2 * EARTH * math.asin(min(1, math.sqrt(half)))


def _of(tests: Mapping[str, Callable[..., bool]], field: str, sign: str, kind: str) -> Callable[..., bool]:
    if sign not in tests:
        raise ValueError(f"{field} is {kind}, which has no {sign}: expected {field} and one of {' '.join(tests)}")
    return tests[sign]


def _column(name):
    value = operator.attrgetter(name)
    return lambda images, metadata: (None if one is None else value(one) for one in metadata)


FIELDS: dict[str, tuple[Callable[[str, str, str], Test], Callable[[ImageSet, Sequence], Iterable]]] = {
    "taken": (_date, _column("taken")), "camera": (_text, _column("camera")),
    "folder": (_folder, lambda images, metadata: (posixpath.dirname(path) for path in images.paths)),
    "label": (_text, lambda images, metadata: map(images.label_of, range(len(images)))),
    "name": (_text, lambda images, metadata: (posixpath.basename(path) for path in images.paths)),
    "place": (_place, lambda images, metadata: (
        None if one is None or one.latitude is None else (one.latitude, one.longitude) for one in metadata)),
    "latitude": (_number, _column("latitude")), "longitude": (_number, _column("longitude")),
    "width": (_number, _column("width")), "height": (_number, _column("height"))}
