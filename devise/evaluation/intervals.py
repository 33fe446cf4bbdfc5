"""Tables whose figures are means over draws or runs, or differences, each with its 95 % interval."""

import math

from devise.evaluation.tables import NOTHING, Table
from devise.metrics.summary import Comparison, Spread


class IntervalTable(Table):
    """A Table that readers see as "mean (low–high)" in percent; JSON holds each Spread or Comparison whole.

    >>> from devise.metrics import spread
    >>> table = IntervalTable("hit@1 of three draws.", ("all",), {"ridge": {"all": spread([0.4, 0.5, 0.6])}})
    >>> table.readable().rows
    {'ridge': {'all': '50.0 (25.2–74.8)'}}
    """

    def readable(self):
        """The same table with text for its figures."""
        rows = {name: {column: _text(value) for column, value in values.items()}
                for name, values in self.rows.items()}
        return Table(self.caption, self.columns, rows, self.head, self.published)

    def _repr_html_(self):
        return self.readable()._repr_html_()

    def to_markdown(self, *, number=None):
        """The table with its caption above and its footnotes beneath."""
        return self.readable().to_markdown(number=number)


def _text(value):
    """A Spread as mean and interval, which stops at 0 and 100, of one value the value alone; a Comparison in points."""
    if isinstance(value, Comparison):
        if math.isnan(value.difference):
            return NOTHING
        interval = "" if math.isnan(value.low) else f" ({_points(value.low)} to {_points(value.high)})"
        return f"{_points(value.difference)}{interval}"
    if not isinstance(value, Spread):
        return value
    if value.n == 1:
        return f"{100 * value.mean:.1f}"
    return f"{100 * value.mean:.1f} ({100 * max(0, value.low):.1f}–{100 * min(1, value.high):.1f})"


def _points(value):
    return f"{100 * value:+.2f}".replace("-", "−")
