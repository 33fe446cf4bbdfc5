"""Numbers as people read them: fractions, scores, counts, means with their spread, and what is undefined."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple

DASH = "–"
FORMS = ("percent", "interval", "plain", "score")


class Spread(NamedTuple):
    """Figures of repeated runs.

    Attributes:
        mean, min, max: of the runs.
        std: with n - 1 in the denominator; NaN for one run.
        n: the number of runs.
        low, high: the 95 % interval of the mean; NaN for one run.

    >>> number(Spread(mean=0.6, std=0.1, min=0.5, max=0.7, n=3, low=0.35, high=0.85), "percent")
    '60.0 ± 10.0'
    """

    mean: float
    std: float
    min: float
    max: float
    n: int
    low: float
    high: float


class Comparison(NamedTuple):
    """How much better b is than a on the same queries.

    Attributes:
        difference: mean of b - a.
        low, high: its 95 % interval.
        p: two-sided, of a difference as far from 0 if there were none.
        n: the number of queries with both values.

    >>> number(Comparison(difference=0.02, low=0.01, high=0.03, p=0.001, n=500), "percent")
    '+2.00 (+1.00 to +3.00)'
    """

    difference: float
    low: float
    high: float
    p: float
    n: int


def number(value: Any, form: str = "plain") -> str:
    """A value in few signs; text stays as it is, without line breaks and control characters.

    Args:
        value: None, text, a number, a Spread, a Comparison, or a list, tuple or dict of these. What is
            None, empty or not finite becomes a dash; whole numbers are counts in every form.
        form: of a fraction or score: "percent" (without the sign; a Spread as mean ± standard deviation, a
            Comparison in points with its interval), "interval" (percent, a Spread as mean and 95 % interval),
            "plain" (three significant digits) or "score" (three decimals).
    Raises:
        ValueError: if there is no such form.

    >>> number(1609), number(0.012345), number(1170.4), number(["cat", 2]), number(None), number(True)
    ('1,609', '0.0123', '1,170', 'cat, 2', '–', 'yes')
    >>> number(0.9741, "percent"), number(-0.5, "score"), number(-0.0001, "score"), number(float("nan"), "score")
    ('97.4', '−0.500', '0.000', '–')
    """
    if form not in FORMS:
        raise ValueError(f"form is {form!r}: expected one of {', '.join(FORMS)}")
    if value is None:
        return DASH
    if isinstance(value, Spread):
        return _spread(value, form)
    if isinstance(value, Comparison):
        return _comparison(value, form)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return _signed(f"{int(value):,}")
    if isinstance(value, Real):
        return _real(float(value), form)
    if isinstance(value, (list, tuple)):
        return ", ".join(number(item, form) for item in value) or DASH
    if isinstance(value, dict):
        return ", ".join(f"{one_line(name)} {number(item, form)}" for name, item in value.items()) or DASH
    return one_line(value) or DASH


def counted(n: int, noun: str) -> str:
    """A number of things and their name, which gets its plural where they are not one.

    >>> counted(1, "picture"), counted(1609, "picture"), counted(0, "class")
    ('1 picture', '1,609 pictures', '0 classes')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "es" if noun.endswith("s") else "s")


def some(names: Iterable[object], most: int = 3) -> str:
    """The first of some names, for a sentence.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    listed = list(map(str, names))
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def percent(fraction: float | None) -> str:
    """A fraction in percent, with the sign, for a sentence or a cell; a dash where there is none.

    >>> percent(0.9741), percent(None)
    ('97.4 %', '–')
    """
    text = number(None if fraction is None else float(fraction), "percent")
    return text if text == DASH else f"{text} %"


def score(value: float | None) -> str:
    """A cosine or another score, three decimals."""
    return number(None if value is None else float(value), "score")


def one_line(text: Any) -> str:
    """Text on one line, what can't be printed as �.

    >>> one_line("two\\nlines\\x1b[1m")
    'two lines�[1m'
    """
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(str(text).split()))


def printable(text: str) -> str:
    """Lines of text for a terminal: what can't be printed, such as an escape in a file's name, as �.

    >>> printable("two\\nlines\\x1b[1m")
    'two\\nlines�[1m'
    """
    return "".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in text)


def as_json(value: Any) -> Any:
    """A value as JSON has it: NaN and infinity become null, a Spread or Comparison a dict, keys text.

    >>> as_json({1: float("nan"), "n": (1, 0.5)})
    {'1': None, 'n': [1, 0.5]}
    """
    if isinstance(value, Spread | Comparison):
        value = value._asdict()
    if isinstance(value, bool | None):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value if isinstance(value, str) else str(value)


def _real(value: float, form: str) -> str:
    if not math.isfinite(value):
        return DASH
    if form == "plain":
        return _signed(f"{value:,.0f}" if abs(value) >= 100 else f"{value:z.3g}")
    return _signed(f"{value:z.3f}" if form == "score" else f"{100 * value:z.1f}")


def _spread(value: Spread, form: str) -> str:
    """Mean and standard deviation, or in the form "interval" mean and interval; of one run the mean alone."""
    mean = _real(value.mean, form)
    if value.n < 2 or mean == DASH:
        return mean
    if form != "interval":
        return f"{mean} ± {_real(value.std, form)}"
    low = value.low if value.mean < 0 else max(0.0, value.low)  # a share ends at 0 and at 1
    return f"{mean} ({_real(low, form)}–{_real(min(1.0, value.high), form)})"


def _comparison(value: Comparison, form: str) -> str:
    scale, digits = (100, 2) if form in ("percent", "interval") else (1, 3)
    if math.isnan(value.difference):
        return DASH
    difference, low, high = (_signed(f"{scale * part:+z.{digits}f}") for part in value[:3])
    return difference if math.isnan(value.low) else f"{difference} ({low} to {high})"


def _signed(text: str) -> str:
    """The text of a number with a minus sign that is as wide as a plus."""
    return text.replace("-", "−", 1) if text.startswith("-") else text
