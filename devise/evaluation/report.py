"""A report of what was measured, with what, over which candidates: for machines and for readers.

JSON holds fractions in [0, 1]; Markdown holds percent with one decimal. What was not measured is
null in the one and – in the other.
"""

import math
import re
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from devise.evaluation.protocols import Combined
from devise.metrics.summary import Spread
from devise.storage import atomic_path, write_json

RANDOM = "RANDOM WEIGHTS: this backbone was not trained, no figure here says what the method can do"
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
    """

    name: str
    values: dict
    source: str
    table: str = ""
    candidates: str = "not stated"
    certain: bool = True


class Example(NamedTuple):
    """A picture's tags: (word, score) pairs, best first; `right` holds the words that are right."""

    picture: str
    label: str | None
    tags: tuple
    right: tuple = ()


@dataclass(frozen=True)
class Table:
    """Figures under a caption that says over which candidates, by which metric, from how many runs.

    Attributes:
        caption: text.
        columns: keys of the values, in order.
        rows: {name: {column: fraction, Spread, count, text or None}}.
        head: what the rows are.
        published: rows of others, printed beneath.
    """

    caption: str
    columns: tuple
    rows: dict
    head: str = ""
    published: tuple[Published, ...] = ()

    def to_json(self):
        """The table as a JSON document."""
        rows = [{"name": name, "values": _values(values)} for name, values in self.rows.items()]
        published = [row._asdict() | {"values": _values(row.values)} for row in self.published]
        return {"caption": self.caption, "columns": [str(column) for column in self.columns],
                "rows": rows, "published": published}

    def to_markdown(self, *, number=None):
        """The table with its caption above and its footnotes beneath."""
        lines = [(f"**Table {number}.** " if number else "") + escape(self.caption), ""]
        lines += _grid([self.head, *map(str, self.columns)],
                       [[escape(name), *(_cell(values.get(column)) for column in self.columns)]
                        for name, values in self.rows.items()]
                       + [[f"*{escape(row.name)}* [{note}]", *self._marked(row)]
                          for note, row in enumerate(self.published, start=1)])
        notes = [f"[{note}] {escape(row.source)}{escape(', ' + row.table) if row.table else ''}; "
                 f"candidates: {escape(row.candidates)}." for note, row in enumerate(self.published, start=1)]
        notes += [f"{RECALLED}."] if any(not row.certain for row in self.published) else []
        return "\n".join(lines + ["", "  \n".join(notes)] if notes else lines)

    def _marked(self, row):
        cells = [_cell(row.values.get(column)) for column in self.columns]
        return [cell if row.certain or cell == NOTHING else f"{cell} †" for cell in cells]


@dataclass(frozen=True)
class Report:
    """All that one run of a recipe has to say.

    Attributes:
        title: one line.
        facts: {name: text, number, Spread, sequence or None}: backbone, words, head, seeds, sizes, times …;
            a number's unit stands in its name, as in "training time (s)".
        trained: whether the backbone's weights are trained ones; if not, every table says so.
        tables, examples: what was measured, and tags of single pictures.
        pictures: (caption, file name relative to the report) pairs.
        notes: sentences: skipped files, caveats.
    """

    title: str
    facts: dict = field(default_factory=dict)
    trained: bool = True
    tables: tuple[Table, ...] = ()
    examples: tuple[Example, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self):
        """The report as a JSON document, in a fixed order of keys."""
        examples = [{"picture": example.picture, "label": example.label,
                     "tags": [{"word": word, "score": _plain(score)} for word, score in example.tags],
                     "right": list(example.right)} for example in self.examples]
        return {"title": self.title, "trained": self.trained, "facts": _values(self.facts),
                "tables": [table.to_json() for table in self.tables], "examples": examples,
                "pictures": [{"caption": caption, "file": str(name)} for caption, name in self.pictures],
                "notes": list(self.notes)}

    def to_markdown(self):
        """The report as a Markdown page."""
        parts = [f"# {escape(self.title)}"]
        parts += [] if self.trained else [f"> **{RANDOM}.**"]
        if self.facts:
            rows = [[escape(name), _fact(value)] for name, value in self.facts.items()]
            parts.append("\n".join(_grid(["fact", "value"], rows)))
        for number, table in enumerate(self.tables, start=1):
            parts += [table.to_markdown(number=number)] + ([] if self.trained else [f"**{RANDOM}.**"])
        if self.examples:
            rows = [[escape(example.picture), _fact(example.label), _tags(example)]
                    for example in self.examples]
            parts += ["## Tags", "\n".join(_grid(["picture", "label", "tags, with their cosine"], rows))]
        if self.pictures:
            parts.append("## Pictures")
            parts += [f"![{escape(caption)}]({quote(Path(name).as_posix())})\n\n{escape(caption)}"
                      for caption, name in self.pictures]
        if self.notes:
            parts += ["## Notes", "\n".join(f"- {escape(note)}" for note in self.notes)]
        return "\n\n".join(parts) + "\n"

    def save(self, folder):
        """Write `report.json` and `report.md`, each whole or not at all; return the path of the latter."""
        folder = Path(folder)
        page = self.to_markdown()
        write_json(folder / "report.json", self.to_json())
        with atomic_path(folder / "report.md") as temporary:
            temporary.write_text(page, encoding="utf-8")
        return folder / "report.md"


def hit_table(evaluation, part, *, published=()):
    """Flat hit@k of one part, a row for each set of candidates; the caption says what they are.

    Args:
        evaluation: Evaluation, or Combined for several runs.
        part: "train", "test", "unseen" …
        published: Published rows with k as columns.
    Raises:
        KeyError: if the part was not measured.

    >>> from devise.evaluation.protocols import Evaluation
    >>> run = Evaluation({"test": {"seen": {1: 0.948}}}, {"test": 316}, {"seen": {"count": 32}})
    >>> print(hit_table(run, "test").to_markdown())
    Flat hit@k, in % of 316 test pictures; one seed. Candidates: seen = 32 labels.
    <BLANKLINE>
    | candidates, k = | 1 |
    | --- | ---: |
    | seen | 94.8 |
    """
    if part not in evaluation.hit_at_k:
        raise KeyError(f"part {part!r} was not measured: expected one of {', '.join(evaluation.hit_at_k)}")
    rows = evaluation.hit_at_k[part]
    published = tuple(published)
    columns = {k for values in [*rows.values(), *(row.values for row in published)] for k in values}
    return Table(_caption(evaluation, part), tuple(sorted(columns)), rows, "candidates, k =", published)


def exact_table(exact):
    """How many pictures of each class have their own label among their first tags, from an ExactTags."""
    rows = {label: {"found": found, "of": n} for label, (found, n) in exact.by_class.items()}
    rows["all"] = {"found": exact.found, "of": exact.n}
    return Table(f"Pictures that have exactly their label among their first {exact.k} tags. "
                 f"Candidates: {exact.candidates}.", ("found", "of"), rows, "class")


def escape(text):
    """`text` for a cell of a Markdown table: one line, with the signs that Markdown reads escaped.

    >>> escape("either|or")
    'either\\\\|or'
    """
    text = re.sub(r"([\\|`*<\[\]])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word, _ means nothing


def _caption(evaluation, part):
    n, runs = evaluation.n[part], 1
    if isinstance(evaluation, Combined):
        runs = evaluation.runs
        n = f"{n[0]:,}" if n[0] == n[1] else f"{n[0]:,} to {n[1]:,}"
    else:
        n = f"{n:,}"
    seeds = f"{runs} seeds, mean ± standard deviation" if runs > 1 else "one seed"
    chosen = [_candidates(name, evaluation.candidates[name]) for name in evaluation.hit_at_k[part]]
    lost = [f"{count} pictures without an answer in {name} are left out"
            for name, count in evaluation.without_answer.get(part, {}).items()]
    return ". ".join([f"Flat hit@k, in % of {n} {part} pictures; {seeds}",
                      f"Candidates: {'; '.join(chosen)}", *lost]) + "."


def _candidates(name, statement):
    """A set of candidates in words: its size, what joined the vocabulary, which k it is too small for."""
    text = f"{name} = {statement['count']:,} labels"
    if "added" in statement:
        added = statement["added"]
        text = f"{name} = {statement['count']:,}: {statement['count'] - len(added):,} words"
        text += f" and the labels that none of them stands for ({', '.join(added)})" if added else ""
    if "ks_left_out" in statement:
        text += f", too few for k = {', '.join(map(str, statement['ks_left_out']))}"
    return text


def _grid(head, rows):
    """A Markdown table; every column but the first is aligned to the right when it holds figures only."""
    rule = ["---"] + ["---:" if rows and all(re.match(r"[\d–−-]", row[column]) for row in rows) else "---"
                      for column in range(1, len(head))]
    return ["| " + " | ".join(cells) + " |" for cells in [head, rule, *rows]]


def _tags(example):
    bold = {word: "**" for word in example.right}
    return ", ".join(f"{bold.get(word, '')}{escape(word)}{bold.get(word, '')} {score:.3f}"
                     for word, score in example.tags)


def _cell(value):
    """A fraction as percent, a Spread as mean ± deviation, a count or text as it is."""
    if isinstance(value, Spread):
        return _cell(value.mean) + (f" ± {100 * value.std:.1f}" if value.n > 1 else "")
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{100 * value:.1f}" if math.isfinite(value) else NOTHING
    return _fact(value)


def _fact(value):
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
        return ", ".join(map(_fact, value)) or NOTHING
    return escape(value)


def _values(values):
    return {str(name): _plain(value) for name, value in values.items()}


def _plain(value):
    """A value as JSON has it: NaN and infinity become null, a Spread a dict."""
    if isinstance(value, Spread):
        return _values(value._asdict())
    if isinstance(value, Integral):
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
