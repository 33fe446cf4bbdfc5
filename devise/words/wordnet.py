"""WordNet's nouns, read from the database files that it is published as: WordNet's wndb(5)."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from devise.storage import user_home

VERSION = "3.0"  # ImageNet's identities are its; in 3.1 the same digits are other synsets or none
FILES = ("data.noun", "index.noun")
FOLDERS = ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict")  # Debian's wordnet-base, Princeton's own
UP = ("@", "@i")  # a kind of, and an instance of: a Buddha is an instance of a mystic
# of the nouns' lexicographer files, lexnames(5WN), by their numbers
FIELDS = dict(enumerate(("tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication",
                         "event", "feeling", "food", "group", "location", "motive", "object", "person", "phenomenon",
                         "plant", "possession", "process", "quantity", "relation", "shape", "state", "substance",
                         "time"), 3))


class Detail(NamedTuple):
    """What WordNet says of a noun synset beside its words and hypernyms.

    Attributes:
        field: the lexicographers' file that it is from: "animal", "artifact", "act" …
        instance: whether it is one thing, such as a person, and no kind of things.
        gloss: its definition, without the examples.
    """

    field: str
    instance: bool
    gloss: str


def read_nouns(folder: str | Path | None = None) -> tuple[dict, dict]:
    """All noun synsets and all senses of WordNet 3.0.

    Args:
        folder: as of `devise.words.Taxonomy.from_wordnet`, which also tells the errors.
    Returns:
        {identity: (lemmas, hypernyms)}, an identity being "n" and the eight digits of its place in
        data.noun, as ImageNet writes it; {lemma in lower case: identities, the most frequent first}.
    """
    data, index, _ = _database(folder)
    senses = {}
    for line in index.decode().splitlines():
        if not line.startswith(" "):  # the licence's lines are indented
            fields = line.split()
            senses[fields[0].replace("_", " ")] = tuple(f"n{offset}" for offset in fields[-int(fields[2]):])
    synsets = {f"n{fields[0]}": (tuple(lemma.replace("_", " ") for lemma in lemmas), tuple(
        f"n{target}" for symbol, target in zip(pointers[::4], pointers[1::4], strict=True) if symbol in UP))
        for fields, lemmas, pointers, _ in _entries(data)}
    return synsets, senses


def read_details(folder: str | Path | None = None) -> tuple[dict[str, Detail], dict[tuple[str, int], int]]:
    """Field and definition of every noun synset, and how often each sense was met in WordNet's texts.

    Args:
        folder: as of `read_nouns`.
    Returns:
        {identity: Detail}; {(word in lower case, sense from 0): count} of the senses that were met at all, {} where
        the database lacks cntlist.rev.
    """
    data, _, place = _database(folder)
    details = {f"n{fields[0]}": Detail(FIELDS[int(fields[1])], "@i" in pointers[::4],
                                       re.sub('"[^"]*"', "", gloss).strip(" ;\n"))
               for fields, _, pointers, gloss in _entries(data)}
    counts, listed = {}, place / "cntlist.rev"
    for line in listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else ():
        key, number, count = line.split()
        word, _, kind = key.partition("%")
        if kind.startswith("1:"):  # a noun
            counts[word.replace("_", " "), int(number) - 1] = int(count)
    return details, counts


def _entries(data):
    """The fields, lemmas, pointers (symbol, target and two more in turn) and gloss of each line of data.noun."""
    place = 0
    for line in data.split(b"\n"):
        if line and not line.startswith(b" "):
            head, _, gloss = line.decode().partition(" | ")
            fields = head.split()
            if fields[0] != f"{place:08d}":
                raise ValueError("data.noun does not have its synsets where their numbers say: its line ends "
                                 "were changed in copying, or it is another file; take it as it is published")
            n_words = int(fields[3], 16)
            yield fields, fields[4:4 + 2 * n_words:2], fields[5 + 2 * n_words:], gloss  # a count lies between
        place += len(line) + 1


def _database(folder):
    """data.noun and index.noun as bytes, and their folder: the first usual place that holds this version."""
    for place in [_place(folder)] if folder is not None else _places():
        data, index = (place / name for name in FILES)
        if not (data.is_file() and index.is_file()):
            continue
        content = data.read_bytes()
        stated = re.search(rb"WordNet (\d+\.\d+) Copyright", content[:4000])
        version = stated[1].decode() if stated else "unknown"
        if version == VERSION:
            return content, index.read_bytes(), place
        if folder is not None:
            raise ValueError(f"{folder} holds WordNet {version}: expected {VERSION}, as ImageNet numbers it")
    where = f"in {folder}" if folder is not None else "in any usual place"
    raise FileNotFoundError(
        f"there is no WordNet {VERSION} ({' and '.join(FILES)}) {where}: on Debian and Ubuntu install wordnet-base; "
        "with NLTK run python -m nltk.downloader wordnet; or unpack Princeton's WNdb-3.0 and set WNSEARCHDIR "
        "to its folder")


def _places():
    if os.environ.get("WNSEARCHDIR"):  # WordNet's own settings
        yield Path(os.environ["WNSEARCHDIR"])
    if os.environ.get("WNHOME"):
        yield Path(os.environ["WNHOME"]) / "dict"
    yield from map(Path, FOLDERS)
    own = filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep))
    roots = (user_home(), *(Path(prefix, part) for prefix in (sys.prefix, "/usr", "/usr/local")
                            for part in ("", "share", "lib")))
    for root in (*map(Path, own), *(root / "nltk_data" for root in roots)):
        yield root / "corpora" / "wordnet"
        if (root / "corpora" / "wordnet.zip").is_file():  # NLTK's downloader leaves it packed
            yield _place(root / "corpora" / "wordnet.zip")


def _place(folder):
    folder = Path(folder)
    return zipfile.Path(folder, "wordnet/") if folder.suffix == ".zip" and folder.is_file() else folder
