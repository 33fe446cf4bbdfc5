"""The figures that others printed, from one file that says for each how sure it is."""

import json
from functools import cache
from importlib.resources import files

from devise.report import Published

NEAR = 0.01  # of the count: WordNet 3.0 has 1,548 labels where the paper's 2-hop set has 1,549


def published(paper, table=None, *, data=None, candidates=None, recalled=False):
    """The rows of a paper's tables, in their order.

    Args:
        paper: "devise2013", "conse2014", "xian2018", "musgrave2020", "flickr8k", "hybrid" or "orientation".
        table: as the paper numbers it, "Table 1"; None takes all.
        data: pictures that were measured, such as "test" of the hybrid, or "SUN".
        candidates: a set of candidates by its short name, such as "2-hop +1K".
        recalled: give figures that are recalled and were not read again since, too; they are marked so.
    Returns:
        tuple of Published; figures are fractions, median ranks are numbers.
    Raises:
        KeyError: if there is no such paper, table, data or set of candidates.

    >>> published("devise2013", "Table 1", recalled=True)[1].values["hit@2"]
    0.652
    >>> published("devise2013", "Table 1")
    ()
    """
    wanted = {"paper": paper, "table": table, "data": data, "candidates": candidates}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    chosen = _document()["tables"]
    for name, value in wanted.items():
        known = list(dict.fromkeys(entry[name] for entry in chosen if name in entry))
        chosen = [entry for entry in chosen if entry.get(name) == value]
        if not chosen:
            raise KeyError(f"no figures with {name} {value!r} are known: expected one of {', '.join(known)}")
    return tuple(row for entry in chosen for row in _rows(entry, recalled) if recalled or row.certain)


def beside(paper, table, candidates, count, *, recalled=False):
    """The rows of `published`, where one's own `count` of candidates is theirs to one in a hundred, else none.

    >>> len(beside("conse2014", "Table 1", "2-hop", 1548, recalled=True)), beside("conse2014", "Table 1", "2-hop", 37)
    (4, ())
    """
    near = abs(count - count_of(candidates)) <= NEAR * count_of(candidates)
    return published(paper, table, candidates=candidates, recalled=recalled) if near else ()


def count_of(candidates, kind="count"):
    """How many candidates a set has, by its short name; with kind "unseen" how many of them are unseen, of a
    retrieval set its test classes, and with kind "pictures" their pictures."""
    return _document()["candidates"][candidates][kind]


def _rows(entry, recalled):
    known = _document()["candidates"].get(entry.get("candidates"))
    unsure = set(entry["rows"]) if entry["certainty"] == "recalled" else set(entry.get("recalled", ()))
    lost = () if recalled else entry.get("recalled_columns", ())
    for name, figures in entry["rows"].items():
        values = {column: figure if column in entry.get("plain", ()) else round(figure / 100, 6)
                  for column, figure in zip(entry["columns"], figures, strict=True) if column not in lost}
        values |= {column: f"{values[column]:g} †" for column in entry.get("recalled_columns", ()) if column in values}
        yield Published(name, values, entry["source"], entry["table"], known["text"] if known else "not stated",
                        certain=name not in unsure)


@cache
def _document():
    return json.loads(files("devise.recipes").joinpath("published.json").read_text(encoding="utf-8"))
