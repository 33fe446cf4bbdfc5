"""Tables and reports, each with four renderings: text for a terminal, Markdown, HTML for a notebook, JSON."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from devise.errors import require
from devise.figures import DASH, FORMS, Comparison, Spread, as_json, number, one_line
from devise.storage import write_report

if TYPE_CHECKING:
    import pandas

RANDOM = "RANDOM WEIGHTS: this backbone was not trained, no figure here says what the method can do"
RECALLED = "† as recalled; check against the paper."
WIDTH = 100  # signs of a line of text
CELL = 'style="text-align:{side};padding:2px 10px"'


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
        columns: the heads; the first column names the rows.
        rows: one cell a column: a number, a Spread, a Comparison, text or None.
        caption: text.
        notes: sentences beneath.
        form: how `devise.figures.number` writes the cells, or {column: form}; what it leaves out is plain.
        published: rows of others, printed beneath, each with its source.
    Raises:
        ValueError: if a row has not one cell a column, or a form is unknown.

    >>> print(Table(("over", "@1", "@10"), [("seen", 0.5, 0.75)], "hit@k, in %.").text())
    hit@k, in %.
    over    @1   @10
    seen  50.0  75.0
    """

    columns: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    notes: tuple[str, ...] = ()
    form: str | Mapping[Any, str] = "percent"
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        for name in ("columns", "notes", "published"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "rows", tuple(map(tuple, self.rows)))
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} cells ({number(row)}): expected {len(self.columns)}, one for "
                                 f"each of {number(self.columns)}")
        for form in self.form.values() if isinstance(self.form, Mapping) else [self.form]:
            if form not in FORMS:
                raise ValueError(f"form is {form!r}: expected one of {', '.join(FORMS)}")

    @classmethod
    def by_name(cls, head: str, rows: Mapping[Any, Mapping], columns: Iterable | None = None, **options: Any) -> Table:
        """A table of {row name: {column: cell}}, what a row lacks being None.

        Args:
            head: what the rows are, over their names.
            columns: their order; None takes all, in the order in which the rows have them.
            options: caption, notes, form, published.

        >>> Table.by_name("over", {"seen": {1: 0.5}, "all": {1: 0.4, 2: 0.6}}).rows
        (('seen', 0.5, None), ('all', 0.4, 0.6))
        """
        if columns is None:
            columns = dict.fromkeys(column for values in rows.values() for column in values)
        columns = tuple(columns)
        cells = [(name, *(values.get(column) for column in columns)) for name, values in rows.items()]
        return cls((head, *columns), tuple(cells), **options)

    def row(self, name: Any) -> dict:
        """{column: cell} of a row by its name, without what it lacks.

        Raises:
            KeyError: if there is no such row.
        """
        for first, *cells in self.rows:
            if first == name:
                return {column: cell for column, cell in zip(self.columns[1:], cells, strict=True) if cell is not None}
        raise KeyError(f"there is no row {name!r}: expected one of {', '.join(str(row[0]) for row in self.rows)}")

    def text(self) -> str:
        """The table as aligned lines for a terminal, figures to the right."""
        heads, *lines = self._cells()
        aligned = []
        for head, *cells in zip(heads, *lines, strict=True):
            width = max(map(len, [head, *cells]))
            right = _figures(cells)
            aligned.append([cell.rjust(width) if right else cell.ljust(width) for cell in [head, *cells]])
        grid = "\n".join("  ".join(line).rstrip() for line in zip(*aligned, strict=True))
        parts = [*([_filled(self.caption)] if self.caption else []), grid, *map(_filled, self._notes())]
        return "\n".join(parts)

    def markdown(self, *, number: int | None = None) -> str:
        """The table with its caption above, after "Table `number`." where it has one, and its notes beneath."""
        lines = [[escape(cell) for cell in line] for line in self._cells()]
        columns = list(zip(*lines[1:], strict=True)) or [()] * len(self.columns)
        rule = ["---", *("---:" if cells and _figures(cells) else "---" for cells in columns[1:])]
        grid = "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
        caption = (f"**Table {number}.** " if number else "") + escape(self.caption)
        return "\n\n".join(part for part in (caption, grid, "  \n".join(map(escape, self._notes()))) if part)

    def html(self) -> str:
        """The table as HTML, nothing of its text being read as such."""
        def line(cells, tag):
            sides = ["left", *["right"] * (len(cells) - 1)]
            return "<tr>" + "".join(f"<{tag} {CELL.format(side=side)}>{html.escape(cell)}</{tag}>"
                                    for side, cell in zip(sides, cells, strict=True)) + "</tr>"

        head, *lines = self._cells()
        about = f'<caption style="text-align:left">{html.escape(self.caption)}</caption>' if self.caption else ""
        below = "".join(f'<div style="font-size:85%">{html.escape(note)}</div>' for note in self._notes())
        return (f"<table>{about}<thead>{line(head, 'th')}</thead>"
                f"<tbody>{''.join(line(cells, 'td') for cells in lines)}</tbody></table>{below}")

    def to_json(self) -> dict:
        """The table as a JSON document: fractions as they are, what a row lacks left out."""
        rows = [{"name": as_json(name), "values": {str(column): as_json(cell) for column, cell in
                                                   zip(self.columns[1:], cells, strict=True) if cell is not None}}
                for name, *cells in self.rows]
        return {"caption": self.caption, "head": str(self.columns[0]), "columns": list(map(str, self.columns[1:])),
                "rows": rows, "published": [as_json(row._asdict()) for row in self.published],
                "notes": list(self.notes)}

    def to_frame(self) -> pandas.DataFrame:
        """A pandas DataFrame with a row for each name, fractions as they are.

        A column of Spreads becomes two, its means and, called "… ±", its standard deviations; one of
        Comparisons three, its differences, "… low" and "… high". Rows of others come last, under
        their source in the column "source".
        """
        columns = {}
        for place, column in enumerate(self.columns[1:], start=1):
            values = [*(row[place] for row in self.rows), *(row.values.get(column) for row in self.published)]
            columns[column] = [value.mean if isinstance(value, Spread) else
                               value.difference if isinstance(value, Comparison) else value for value in values]
            if any(isinstance(value, Comparison) for value in values):
                for end in ("low", "high"):
                    columns[f"{column} {end}"] = [value._asdict()[end] if isinstance(value, Comparison) else None
                                                  for value in values]
            if any(isinstance(value, Spread) for value in values):
                columns[f"{column} ±"] = [value.std if isinstance(value, Spread) else None for value in values]
        if self.published:
            columns["source"] = [*[None] * len(self.rows), *(row.source for row in self.published)]
        return frame(columns, index=[row[0] for row in self.rows] + [row.name for row in self.published])

    def _repr_html_(self) -> str:
        return self.html()

    def _cells(self) -> list[list[str]]:
        """The heads and the rows, those of others last, as text."""
        forms = self.form if isinstance(self.form, Mapping) else dict.fromkeys(self.columns, self.form)
        forms = [forms.get(column, "plain") for column in self.columns]
        lines = [["" if head == "" else number(head) for head in self.columns]]
        lines += [[number(cell, form) for cell, form in zip(row, forms, strict=True)] for row in self.rows]
        sources = self._sources()
        for row in self.published:
            cells = [number(row.values.get(column), form)
                     for column, form in zip(self.columns[1:], forms[1:], strict=True)]
            lines.append([f"{one_line(row.name)} [{sources.index(_source(row)) + 1}]",
                          *(cell if row.certain or cell == DASH else f"{cell} †" for cell in cells)])
        return lines

    def _sources(self) -> list[str]:
        return list(dict.fromkeys(map(_source, self.published)))

    def _notes(self) -> list[str]:
        """The notes, who published the figures of others, and that some are from memory."""
        notes = [*self.notes, *(f"[{place}] {source}" for place, source in enumerate(self._sources(), start=1))]
        return notes + ([RECALLED] if any(not row.certain for row in self.published) else [])


@dataclass(frozen=True)
class Report:
    """All that a recipe, an evaluation or a benchmark has to say.

    Attributes:
        title: one line.
        facts: {name: text, number, Spread, list, dict or None}: backbone, words, head, seeds, sizes, times …;
            a number's unit stands in its name, as in "training time (s)".
        tables: what was measured.
        notes: sentences: skipped files, caveats.
        pictures: (caption, file name relative to the report) pairs.
        trained: whether the backbone's weights are trained ones; if not, every table says so.

    >>> print(Report("hybrid", {"seeds": 5, "pictures": 1609}).text())
    hybrid
    <BLANKLINE>
    seeds     5
    pictures  1,609
    """

    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    pictures: Sequence[tuple[str, str]] = ()
    trained: bool = True

    def __post_init__(self) -> None:
        for name in ("tables", "notes", "pictures"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The report for a terminal: facts, tables and notes."""
        warning = [] if self.trained else [f"{RANDOM}."]
        parts = [one_line(self.title), *warning, *([pairs(self.facts)] if self.facts else [])]
        parts += ["\n".join([table.text(), *warning]) for table in self.tables]
        parts += [_filled(note, "- ") for note in self.notes]
        return "\n\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """The report as a Markdown page, with its pictures."""
        parts = [f"# {escape(self.title)}"]
        parts += [] if self.trained else [f"> **{RANDOM}.**"]
        parts += [self._facts().markdown()] if self.facts else []
        for place, table in enumerate(self.tables, start=1):
            parts += [table.markdown(number=place), *([] if self.trained else [f"**{RANDOM}.**"])]
        if self.pictures:
            parts.append("## Pictures")
            parts += [f"![{escape(caption)}]({quote(Path(name).as_posix())})\n\n{escape(caption)}"
                      for caption, name in self.pictures]
        if self.notes:
            parts += ["## Notes", "\n".join(f"- {escape(note)}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """The report as HTML: facts, tables and notes."""
        warning = "" if self.trained else f"<b>{html.escape(RANDOM)}.</b>"
        notes = "".join(f"<li>{html.escape(one_line(note))}</li>" for note in self.notes)
        return "".join([f"<h3>{html.escape(one_line(self.title))}</h3>", warning,
                        self._facts().html() if self.facts else "", *(table.html() for table in self.tables),
                        f"<ul>{notes}</ul>" if notes else ""])

    def to_json(self) -> dict:
        """The report as a JSON document, in a fixed order of keys."""
        return {"title": self.title, "trained": self.trained, "facts": as_json(dict(self.facts)),
                "tables": [table.to_json() for table in self.tables],
                "pictures": [{"caption": caption, "file": str(name)} for caption, name in self.pictures],
                "notes": list(self.notes)}

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write `report.json` and `report.md`, each whole or not at all; return the path of the latter.

        Args:
            overwrite: whether a report of another title that is there may be lost.
        Raises:
            FileExistsError: if it would be, or one of the files is there and is not as a report left it.
        """
        write_report(folder, self.to_json(), {"report.md": self.markdown()}, overwrite=overwrite)
        return Path(folder) / "report.md"

    def _repr_html_(self) -> str:
        return self.html()

    def _facts(self) -> Table:
        return Table(("fact", "value"), list(self.facts.items()), form="plain")


def pairs(values: Mapping[str, Any]) -> str:
    """{name: value} as lines with the values beneath one another.

    >>> print(pairs({"seeds": 5, "pictures": 1609}))
    seeds     5
    pictures  1,609
    """
    width = max(map(len, values), default=0)
    return "\n".join(f"{name.ljust(width)}  {number(value)}" for name, value in values.items())


def frame(columns: Mapping[Any, Sequence], index: Sequence | None = None) -> pandas.DataFrame:
    """A pandas DataFrame of {name: sequence}, all equally long; `index` names the rows.

    >>> frame({"name": ["crab"], "score": [0.8]}).shape  # doctest: +SKIP
    (1, 2)
    """
    return require("pandas", "pandas").DataFrame(columns, index=index)


def escape(text: Any) -> str:
    """`text` for a cell of a Markdown table: one line, with the signs that Markdown reads escaped.

    >>> escape("either|or")
    'either\\\\|or'
    """
    text = re.sub(r"([\\|`*<\[\]])", r"\\\1", one_line(text))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word, _ means nothing


def _source(row: Published) -> str:
    return f"{row.source}{', ' + row.table if row.table else ''}; candidates: {row.candidates}."


def _filled(text: str, mark: str = "") -> str:
    """A text in lines behind a mark; no path or option is taken apart."""
    return textwrap.fill(one_line(text), WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark),
                         break_long_words=False, break_on_hyphens=False)


def _figures(cells: Iterable[str]) -> bool:
    """Whether each cell is a number or a dash."""
    return all(re.match(rf"[+−-]?\d|{DASH}$", cell) for cell in cells)
