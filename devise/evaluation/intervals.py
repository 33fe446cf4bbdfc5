"""Tables whose figures are means over draws or runs, each with its 95 % interval."""

import math

from devise.evaluation.tables import NOTHING, Table
from devise.metrics.summary import Comparison, Spread


class IntervalTable(Table):
    """A Table that readers see as "mean (low–high)" in percent; JSON holds each Spread whole.

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
    """A Spread as mean and interval, which stops at 0 and 100; of one value the value alone."""
    if not isinstance(value, Spread):
        return value
    if value.n == 1:
        return f"{100 * value.mean:.1f}"
    return f"{100 * value.mean:.1f} ({100 * max(0, value.low):.1f}–{100 * min(1, value.high):.1f})"


class DifferenceTable(Table):
    """A Table of Comparisons, that readers see as "+3.1 (+1.2 to +5.0)" in points; JSON holds each whole.

    >>> from devise.metrics import paired_bootstrap
    >>> gain = paired_bootstrap([0.1, 0.2, 0.4], [0.2, 0.3, 0.5])
    >>> DifferenceTable("NDCG, learnt − raw.", ("all",), {"learnt": {"all": gain}}).readable().rows
    {'learnt': {'all': '+10.0 (+10.0 to +10.0)'}}
    """

    def readable(self):
        """The same table with text for its figures."""
        rows = {name: {column: _points(value) for column, value in values.items()}
                for name, values in self.rows.items()}
        return Table(self.caption, self.columns, rows, self.head, self.published)

    def to_json(self):
        """The table as a JSON document, a Comparison as a dict whose undefined entries are null."""
        rows = [{"name": name, "values": {column: _whole(value) for column, value in values.items()}}
                for name, values in self.rows.items()]
        return {**super().to_json(), "rows": rows}

    def to_markdown(self, *, number=None):
        """The table with its caption above and its footnotes beneath."""
        return self.readable().to_markdown(number=number)


def _points(value):
    """A Comparison in points of percent, with its interval; text as it is."""
    if not isinstance(value, Comparison):
        return value
    if math.isnan(value.difference):
        return NOTHING
    return f"{100 * value.difference:+.1f} ({100 * value.low:+.1f} to {100 * value.high:+.1f})".replace("-", "−")


def _whole(value):
    """A Comparison as JSON has it; text as it is."""
    if not isinstance(value, Comparison):
        return value
    return {key: float(part) if math.isfinite(part) else None for key, part in value._asdict().items()}
