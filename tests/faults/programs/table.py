"""The reliability table of the README, from what `make test-faults` has counted in results/faults.json."""

import json
from pathlib import Path

RESULTS = Path(__file__).parents[3] / "results" / "faults.json"


def table(counts):
    """Markdown with a row a trial.

    >>> print(table({"kill -9, extract": {"kills": 200, "old": 90, "new": 110}}))
    | trial | counted |
    | --- | --- |
    | kill -9, extract | kills 200, old 90, new 110 |
    """
    rows = [f"| {trial} | {', '.join(f'{words(name)} {number:,}' for name, number in told.items())} |"
            for trial, told in counts.items()]
    return "\n".join(["| trial | counted |", "| --- | --- |", *rows])


def words(name):
    return name.replace("_", " ")


if __name__ == "__main__":
    print(table(json.loads(RESULTS.read_text(encoding="utf-8"))))
