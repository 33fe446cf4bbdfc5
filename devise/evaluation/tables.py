"""A table of figures that says over which candidates, by which metric, from how many runs.

JSON holds fractions in [0, 1]; Markdown holds percent with one decimal. What was not measured is
null in the one and – in the other.
"""

import math
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import NamedTuple

from devise import notebook
from devise.frames import frame
from devise.metrics.summary import Comparison, Spread

RECALLED = "† as recalled; check against the paper"
NOTHING = "–"


class Published(NamedTuple):
    """A row of figures that others printed, to stand beside one's own.

    Attributes:
        name: what was measured, in a few words.
        values: {column: fraction}, under the columns of the table it joins.
        source: who printed it, and `table`, where.
        candidates: what was ranked over, as far as the source says.
        certain: False for a figure given from memory; it is marked † wherever it is printed.

    >>> Published("DeViSE", {1: 0.006}, "Frome et al. 2013", "table 3").values[1]
    0.006
    """

    name: str
    values: dict
    source: str
    table: str = ""
    candidates: str = "not stated"
    certain: bool = True


@dataclass(frozen=True)
class Table:
    """Figures under a caption that says over which candidates, by which metric, from how many runs.

    Attributes:
        caption: text.
        columns: keys of the values, in order.
        rows: {name: {column: fraction, Spread, count, text or None}}.
        head: what the rows are.
        published: rows of others, printed beneath.

    >>> print(Table("hit@k, in %.", (1, 10), {"seen": {1: 0.5, 10: 0.75}}, "over").to_markdown())
    hit@k, in %.
    <BLANKLINE>
    | over | 1 | 10 |
    | --- | ---: | ---: |
    | seen | 50.0 | 75.0 |
    """

    caption: str
    columns: tuple
    rows: dict
    head: str = ""
    published: tuple[Published, ...] = ()

    def to_json(self):
        """The table as a JSON document."""
        rows = [{"name": name, "values": plain_values(values)} for name, values in self.rows.items()]
        published = [row._asdict() | {"values": plain_values(row.values)} for row in self.published]
        return {"caption": self.caption, "columns": [str(column) for column in self.columns],
                "rows": rows, "published": published}

    def to_markdown(self, *, number=None):
        """The table with its caption above and its footnotes beneath."""
        lines = [(f"**Table {number}.** " if number else "") + escape(self.caption), ""]
        lines += grid([self.head, *map(str, self.columns)],
                      [[escape(name), *(cell(values.get(column)) for column in self.columns)]
                       for name, values in self.rows.items()]
                      + [[f"*{escape(row.name)}* [{note}]", *self._marked(row, escape)]
                          for note, row in enumerate(self.published, start=1)])
        notes = self._notes(escape)
        return "\n".join(lines + ["", "  \n".join(notes)] if notes else lines)

    def _notes(self, escape=str):
        """Who published the figures of others, and over which candidates."""
        notes = [f"[{note}] {escape(row.source)}{escape(', ' + row.table) if row.table else ''}; "
                 f"candidates: {escape(row.candidates)}." for note, row in enumerate(self.published, start=1)]
        return notes + ([f"{RECALLED}."] if any(not row.certain for row in self.published) else [])

    def to_frame(self):
        """A pandas DataFrame with a row for each name, fractions as they are.

        A column of Spreads becomes two, its means and, called "… ±", its standard deviations; one of
        Comparisons three, its differences, "… low" and "… high". Rows of others come last, under
        their source in the column "source".
        """
        records = [(name, values, None) for name, values in self.rows.items()]
        records += [(row.name, row.values, row.source) for row in self.published]
        columns = {}
        for column in self.columns:
            values = [record[1].get(column) for record in records]
            columns[column] = [value.mean if isinstance(value, Spread) else
                               value.difference if isinstance(value, Comparison) else value for value in values]
            for end in ("low", "high") if any(isinstance(value, Comparison) for value in values) else ():
                columns[f"{column} {end}"] = [getattr(value, end, None) for value in values]
            if any(isinstance(value, Spread) for value in values):
                columns[f"{column} ±"] = [value.std if isinstance(value, Spread) else None for value in values]
        if self.published:
            columns["source"] = [record[2] for record in records]
        return frame(columns, index=[record[0] for record in records])

    def _repr_html_(self):
        rows = [[name, *(cell(values.get(column), str) for column in self.columns)]
                for name, values in self.rows.items()]
        rows += [[f"{row.name} [{note}]", *self._marked(row, str)] for note, row in enumerate(self.published, start=1)]
        return notebook.table([self.head, *self.columns], rows, self.caption, self._notes())

    def _marked(self, row, escape):
        cells = [cell(row.values.get(column), escape) for column in self.columns]
        return [cell if row.certain or cell == NOTHING else f"{cell} †" for cell in cells]


def escape(text):
    """`text` for a cell of a Markdown table: one line, with the signs that Markdown reads escaped.

    >>> escape("either|or")
    'either\\\\|or'
    """
    text = re.sub(r"([\\|`*<\[\]])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word, _ means nothing


def grid(head, rows):
    """A Markdown table; every column but the first is aligned to the right when it holds figures only."""
    rule = ["---"] + ["---:" if rows and all(re.match(r"[\d–−-]", row[column]) for row in rows) else "---"
                      for column in range(1, len(head))]
    return ["| " + " | ".join(cells) + " |" for cells in [head, rule, *rows]]


def cell(value, escape=escape):
    """A fraction as percent, a Spread as mean ± deviation, a count or text as it is."""
    if isinstance(value, Spread):
        return cell(value.mean) + (f" ± {100 * value.std:.1f}" if value.n > 1 else "")
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{100 * value:.1f}" if math.isfinite(value) else NOTHING
    return fact(value, escape)


def fact(value, escape=escape):
    """A value in few signs."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Spread):
        return f"{value.mean:.4g}" + (f" ± {value.std:.2g}" if value.n > 1 else "")
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real):
        return f"{value:.4g}" if math.isfinite(value) else NOTHING
    if isinstance(value, (list, tuple)):
        return ", ".join(fact(item, escape) for item in value) or NOTHING
    return escape(value)


def plain_values(values):
    """{text: value} with each value as JSON has it."""
    return {str(name): plain(value) for name, value in values.items()}


def plain(value):
    """A value as JSON has it: NaN and infinity become null, a Spread a dict."""
    if isinstance(value, Spread | Comparison):
        return plain_values(value._asdict())
    if isinstance(value, Integral):
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
