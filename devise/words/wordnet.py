"""WordNet's nouns, read from the database files that it is published as."""

import os
import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

FILES = ("data.noun", "index.noun")
FOLDERS = ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict")  # Debian's wordnet-base, Princeton's own
UP, DOWN = ("@", "@i"), ("~", "~i")  # kinds of, and instances of: a Buddha is an instance of a mystic


class Synset(NamedTuple):
    """One sense and the words for it.

    Attributes:
        identity: "n" and the eight digits of its place in data.noun, as ImageNet writes it.
        lemmas: its words, the usual one first, with spaces.
        hypernyms: identities of what it is a kind or an instance of.
        hyponyms: identities of its kinds and instances.
    """

    identity: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]
    hyponyms: tuple[str, ...]


class WordNet:
    """The nouns of WordNet by identity; a synset is read when it is asked for.

    The format is that of WordNet's manual page wndb(5). ImageNet's identities are those of
    version 3.0; in 3.1 the same digits are other synsets or none.

    Attributes:
        version: "3.0", or "unknown" where the files don't say.

    >>> wordnet = WordNet.open()  # doctest: +SKIP
    >>> wordnet.version  # doctest: +SKIP
    '3.0'
    """

    def __init__(self, data, index):
        """`data` and `index` are the bytes of data.noun and index.noun."""
        self._data, self._index = data, b"\n" + index + b"\n"
        stated = re.search(rb"WordNet (\d+\.\d+) Copyright", data[:4000])
        self.version = stated[1].decode() if stated else "unknown"
        first = next(self._starts(), None)
        if first is None or self._line(f"n{first:08d}") is None:
            raise ValueError("data.noun does not have its synsets where their numbers say: its line ends "
                             "were changed in copying, or it is another file; take it as it is published")

    @classmethod
    def open(cls, folder=None):
        """Read WordNet from a folder, or find it where Debian, Princeton's installer and NLTK put it.

        Args:
            folder: holds data.noun and index.noun; a .zip as NLTK keeps it will do.
        Raises:
            FileNotFoundError: if it is not there; says how to get it.
        """
        places = [_place(folder)] if folder is not None else _places()
        for place in places:
            data, index = (place / name for name in FILES)
            if data.is_file() and index.is_file():
                return cls(data.read_bytes(), index.read_bytes())
        where = f"in {folder}" if folder is not None else "in any usual place"
        raise FileNotFoundError(
            f"there is no WordNet ({' and '.join(FILES)}) {where}: on Debian and Ubuntu install "
            "wordnet-base; with NLTK run python -m nltk.downloader wordnet; or unpack Princeton's WNdb-3.0 "
            "and name its folder")

    def __contains__(self, identity):
        return self._line(identity) is not None

    def __iter__(self):
        """Every identity, in the order of the file."""
        return (f"n{start:08d}" for start in self._starts())

    def __getitem__(self, identity):
        """The synset of an identity such as n02084071.

        Raises:
            KeyError: if there is none.
        """
        line = self._line(identity)
        if line is None:
            raise KeyError(f"WordNet {self.version} has no noun {identity}: expected n and eight digits; "
                           "ImageNet's are those of WordNet 3.0")
        fields = line.partition(" | ")[0].split()
        n_words = int(fields[3], 16)
        words, pointers = fields[4:4 + 2 * n_words:2], fields[5 + 2 * n_words:]  # a count lies between
        links = list(zip(pointers[::4], pointers[1::4], strict=True))
        return Synset(identity, tuple(word.replace("_", " ") for word in words),
                      tuple(f"n{target}" for symbol, target in links if symbol in UP),
                      tuple(f"n{target}" for symbol, target in links if symbol in DOWN))

    def senses(self, word):
        """The identities of a word's noun senses, the most frequent first; none for an unknown word.

        Plurals are looked up as they stand: "scissors" is there, "dogs" is not.
        """
        lemma = "_".join(word.lower().split()).encode()
        start = self._index.find(b"\n" + lemma + b" ") if lemma else -1
        if start < 0:
            return ()
        fields = self._index[start:self._index.find(b"\n", start + 1)].decode().split()
        return tuple(f"n{offset}" for offset in fields[-int(fields[2]):])

    def closure(self, identities):
        """These synsets and everything that they are kinds of, up to the root.

        Returns:
            frozenset of identities.
        """
        found, waiting = set(), list(identities)
        while waiting:
            identity = waiting.pop()
            if identity not in found:
                found.add(identity)
                waiting += self[identity].hypernyms
        return frozenset(found)

    def licence(self):
        """The notice at the top of data.noun, which every copy of WordNet's facts has to carry."""
        start = next(self._starts())
        lines = self._data[:start].decode().splitlines()
        return "\n".join(re.sub(r"^ +\d+ ?", "", line).rstrip() for line in lines)

    def _line(self, identity):
        """The text at an identity's place, or None where no synset starts there."""
        if not re.fullmatch(r"n\d{8}", identity):
            return None
        start = int(identity[1:])
        begins = start == 0 or self._data[start - 1:start] == b"\n"
        if not begins or self._data[start:start + 9] != f"{identity[1:]} ".encode():
            return None
        end = self._data.find(b"\n", start)
        return self._data[start:end if end >= 0 else None].decode()

    def _starts(self):
        start = 0
        while 0 <= start < len(self._data):
            if not self._data.startswith(b" ", start):  # the licence's lines are indented
                yield start
            start = self._data.find(b"\n", start) + 1 or -1


def _places():
    if os.environ.get("WNSEARCHDIR"):  # WordNet's own settings
        yield Path(os.environ["WNSEARCHDIR"])
    if os.environ.get("WNHOME"):
        yield Path(os.environ["WNHOME"]) / "dict"
    yield from map(Path, FOLDERS)
    own = filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep))
    roots = (Path.home(), *(Path(prefix, part) for prefix in (sys.prefix, "/usr", "/usr/local")
                            for part in ("", "share", "lib")))
    for root in (*map(Path, own), *(root / "nltk_data" for root in roots)):
        yield root / "corpora" / "wordnet"
        if (root / "corpora" / "wordnet.zip").is_file():  # NLTK's downloader leaves it packed
            yield _place(root / "corpora" / "wordnet.zip")


def _place(folder):
    folder = Path(folder)
    return zipfile.Path(folder, "wordnet/") if folder.suffix == ".zip" and folder.is_file() else folder
