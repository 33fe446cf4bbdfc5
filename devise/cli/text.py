"""What a person reads: lines on stderr, progress bars, aligned tables."""

import contextlib
import math
import re
import sys

from tqdm import tqdm

NOTHING = "–"


def say(line):
    """A note for the person, on stderr: stdout belongs to the answer."""
    print(line, file=sys.stderr, flush=True)


def say_skipped(images):
    """Say which pictures could not be used and why, if there are any."""
    if images.skipped:
        say(images.report())


@contextlib.contextmanager
def progress_bar(what, unit="pictures"):
    """A progress callable that draws a bar with rate and time left; quiet when stderr is no terminal.

    Args:
        what: the word before the bar.
        unit: what is counted; of "B", thousands become k, M, G.
    """
    with tqdm(desc=what, unit=unit if unit == "B" else f" {unit}", unit_scale=unit == "B", leave=False,
              file=sys.stderr, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)
        yield progress


def table(rows, columns):
    """Rows of cells as aligned lines: figures to the right, text to the left.

    >>> print(table([["seen", "97.4 %"]], ["over", "@1"]))
    over      @1
    seen  97.4 %
    """
    aligned = []
    for head, *cells in zip(columns, *rows, strict=True):
        width = max(map(len, [head, *cells]))
        right = figures(cells)
        aligned.append([cell.rjust(width) if right else cell.ljust(width) for cell in [head, *cells]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*aligned, strict=True))


def markdown(rows, columns):
    """Rows of cells as a Markdown table, figures to the right.

    >>> print(markdown([["seen", "97.4 %"]], ["over", "@1"]))
    | over | @1 |
    | --- | ---: |
    | seen | 97.4 % |
    """
    rule = ["---:" if figures(cells) else "---" for cells in zip(*rows, strict=True)] or ["---"] * len(columns)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in [columns, rule, *rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(cells):
    """Whether each cell is a number or a dash."""
    return all(re.match(rf"-?\d|{NOTHING}$", cell) for cell in cells)


def pairs(values):
    """{name: value} as lines with the values beneath one another.

    >>> print(pairs({"seeds": 5, "pictures": 1609}))
    seeds     5
    pictures  1,609
    """
    width = max(map(len, values))
    return "\n".join(f"{name.ljust(width)}  {plain(value)}" for name, value in values.items())


def percent(fraction):
    """A fraction as people read it, or a dash where there is none.

    >>> percent(0.9741), percent(None)
    ('97.4 %', '–')
    """
    return NOTHING if fraction is None or math.isnan(fraction) else f"{100 * fraction:.1f} %"


def plain(value):
    """A value in few signs.

    >>> plain(1609), plain(0.012345), plain(1170.4), plain(["cat", "dog"]), plain(None)
    ('1,609', '0.0123', '1,170', 'cat, dog', '–')
    """
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value))
    return NOTHING if value is None else str(value)
