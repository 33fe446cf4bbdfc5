"""What every recipe shares: its steps and its time, figures over draws and seeds, and the report with its pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from devise.figures import Comparison, Spread
from devise.metrics import spread
from devise.plots import Card
from devise.report import Report, Table
from devise.storage import is_manifest

if TYPE_CHECKING:
    from devise.datasets import ImageSet
    from devise.model import Devise

Figures = Mapping[Any, float]  # {column: fraction}
Item = TypeVar("Item")
Found = TypeVar("Found")
PRINTED = 5e-5  # of a fraction: less is printed as 0.00 points


class Harness:
    """One run of a recipe, from its first step to its report.

    Args:
        output: the folder to write.
        progress: called as progress(done, total), once a step; None for nobody.

    Attributes:
        pictures: (caption, file name) of those that were drawn.
        total: steps in all; where nobody says, those of the first `each`.
    """

    def __init__(self, output: str | Path, progress: Callable | None = None):
        self.output, self.progress = Path(output), progress
        self.pictures: list[tuple[str, str]] = []
        self.total, self._done, self._started = 0, 0, time.monotonic()

    def each(self, items: Iterable[Item], measure: Callable[[Item], Found]) -> list[Found]:
        """What `measure` gives for each draw or seed, a step each."""
        items = list(items)
        self.total = self.total or len(items)
        found = []
        for item in items:
            found.append(measure(item))
            self.step()
        return found

    def step(self) -> None:
        """Count one step as done."""
        self._done = min(self._done + 1, self.total)
        if self.progress:
            self.progress(self._done, self.total)

    def draw(self, caption: str, name: str, plot: Callable, drawn: Any, **options: Any) -> None:
        """Draw a picture of the report into the file `name`, by plot(drawn, path, **options)."""
        plot(drawn, self.output / name, **options)
        self.pictures.append((caption, name))

    def save(self, model: Devise) -> None:
        """Write the model that the report is of into `model` beside it."""
        model.save(self.output / "model", overwrite=is_manifest(self.output / "report.json"))  # of which it is a part

    def report(self, title: str, facts: Mapping[str, Any], tables: Iterable[Table | None], notes: Iterable[str] = (), *,
               trained: bool = True) -> Report:
        """Write report.md and report.json, with what the run took.

        Args:
            tables: what is None is left out.
            trained: whether the network's weights are trained ones.
        """
        facts = {**facts, "time (s)": round(time.monotonic() - self._started, 1)}
        report = Report(title, facts, [table for table in tables if table is not None], tuple(notes), self.pictures,
                        trained=trained)
        report.save(self.output, overwrite=True)  # of the recipe's own; the command asks before the run
        return report


def card(images: ImageSet, row: int, **known: Any) -> Card:
    """A row of some images for a sheet, under the name of its file; `known` has what else a Card has."""
    return Card(images.file(row) if images.root else None, **{"name": Path(images.paths[row]).name} | known)


def by_row(runs: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """{row: [what each run has of it]} of [{row: …}, one a run].

    >>> by_row([{"ridge": 1, "chance": 2}, {"ridge": 3, "chance": 2}])
    {'ridge': [1, 3], 'chance': [2, 2]}
    """
    return {name: [run[name] for run in runs] for name in runs[0]}


def spreads(runs: Sequence[Figures], columns: Iterable | None = None) -> dict[Any, Spread]:
    """{column: Spread over the runs that have it}, columns None being the first run's; NaN in a run is not there."""
    found = {}
    for column in runs[0] if columns is None else columns:
        values = [run[column] for run in runs if column in run and not np.isnan(run[column])]
        if values:
            found[column] = spread(values)
    return found


def means_table(head: str, found: Mapping[str, Sequence[Figures]], columns: Iterable | None = None, *,
                extra: Mapping[str, Mapping] | None = None, **options: Any) -> Table:
    """A Table of each row's mean over its runs.

    Args:
        head: what the rows are.
        found: {row: [figures, one a run]}; of what has no seed one.
        columns: their order; one that no row has is left out. None takes them as they come.
        extra: {row: {column: cell}}, further cells.
        options: of `Table.by_name`: caption, form ("percent" prints the standard deviation, "interval" the 95 %
            interval over the runs), published.
    """
    rows = {name: spreads(runs, columns) | dict((extra or {}).get(name, {})) for name, runs in found.items()}
    if columns is not None:
        printed = [*rows.values(), *(row.values for row in options.get("published", ()))]
        columns = tuple(column for column in columns if any(column in values for values in printed))
    return Table.by_name(head, rows, columns, **options)


def verdict(comparison: Comparison) -> str:
    """What the interval of a difference says, in a word or two; one that is printed as 0.00 says nothing.

    Heads that kept their start differ from it by rounding alone, in every class the same way.
    """
    if comparison.low > PRINTED:
        return "better"
    return "worse" if comparison.high < -PRINTED else "no difference shown"


def p_of(comparison: Comparison) -> str | None:
    """Its p in two digits, or None where there is none."""
    return f"{comparison.p:.2g}" if comparison.p == comparison.p else None


def used(backbone: Mapping[str, Any], words: Any = None) -> dict[str, str]:
    """What a report states of its network and its words.

    Args:
        backbone: of a FeatureTable.
        words: WordVectors, or the record of a model's.
    """
    facts = {"backbone": f"{backbone['name']}, layer {backbone['layer']}, {backbone['dim']}-d, "
                         f"weights {backbone['weights']}"}
    if words is not None:
        told = words if isinstance(words, Mapping) else {"name": words.name, "n": len(words), "dim": words.dim}
        facts["words"] = f"{told['name']}, {told['n']:,} words, {told['dim']}-d"
    return facts


def numbered(seeds: int) -> str:
    """The seeds, as a report states them: "0, 1, 2"."""
    return ", ".join(map(str, range(seeds)))


def seeds_text(n: int) -> str:
    """How a caption states the runs."""
    return f"{n} seeds, mean ± standard deviation" if n > 1 else "one seed"


def span(counts: Iterable[int]) -> str:
    """One number, or the least and the largest of several.

    >>> span([50, 50]), span([1200, 900])
    ('50', '900 to 1,200')
    """
    low, high = min(counts := list(counts)), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def curve(found: Mapping[str, Sequence[Figures]], ks: Iterable[int]) -> dict[str, dict[int, Spread]]:
    """{row: {k: hit@k over the runs, a Spread}}, as `plots.hit_curve` draws it."""
    return {name: {int(column[4:]): value for column, value in spreads(runs, [f"hit@{k}" for k in ks]).items()}
            for name, runs in found.items()}
