"""What a check says, and the part that holds for every artefact: its manifest and its files' digests."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from devise.storage import digest, open_artefact

AGAIN = {"features": "remove the folder and run devise extract again",
         "words": "remove the folder: the text is converted again when it is opened next",
         "model": "train again, or bring the folder from where it is whole",
         "index": "build the index again: devise index",
         "search": "build the index again: devise index"}
# what reading a damaged or hostile file may raise, and an engine that is not installed
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, ImportError)


class Problem(NamedTuple):
    """What is wrong, where, and what to do about it.

    >>> Problem("table/rows.json", "it is gone", "extract again").do
    'extract again'
    """

    place: str
    what: str
    do: str


@dataclass
class Checked:
    """What a check found at one place.

    Attributes:
        place, kind: the folder, and what it holds: features, model, search, index, words or nothing.
        facts: {name: value} that are true of it.
        problems: Problem after Problem; none where all is well.
        notes: sentences worth knowing that are no problems.
        opened: the thing itself, for checks against others; None where it can't be opened.

    >>> found = Checked("table", "features")
    >>> found.problem("a picture is gone", "bring it back")
    >>> found.ok, found.problems[0].place
    (False, 'table')
    """

    place: str
    kind: str
    facts: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    opened: Any = None

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def problem(self, what: str, do: str, place: str | Path | None = None) -> None:
        """Note a problem, by default of the whole place."""
        self.problems.append(Problem(str(place or self.place), what, do))

    def to_json(self) -> dict:
        """The place as a JSON document."""
        return {"place": self.place, "kind": self.kind, "ok": self.ok, "facts": self.facts,
                "problems": [problem._asdict() for problem in self.problems], "notes": self.notes}


def whole(found, folder, progress):
    """The manifest's document, where all files have the digests that stand in it; else None, and `found` the problems.

    Progress is called with the number of bytes after each file, see `size`.
    """
    again = AGAIN[found.kind]
    try:
        document, paths = open_artefact(folder, found.kind)
    except DAMAGE as error:
        found.problem(f"its manifest can't be followed: {error}", again, folder)
        return None
    before = len(found.problems)
    for name, path in paths.items():
        if digest(path) != document["files"][name].get("sha256"):
            found.problem("its content is not what was saved", again, path)
        progress(os.path.getsize(path))
    left = sum(1 for path in Path(folder).glob(".partial-*") if path.suffix != ".journal")
    if left:
        found.notes.append(f"{left} files that a killed run left, .partial-*: the next write removes those after a day "
                           "that its journal claims")
    return document if len(found.problems) == before else None


def opens(found, folder, load):
    """Whether a folder can be loaded; found.opened is what it holds, or a problem says why not."""
    try:
        found.opened = load(folder)
    except DAMAGE as error:
        found.problem(str(error), AGAIN[found.kind])
        return False
    return True


def size(folder):
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
