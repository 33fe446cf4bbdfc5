"""Spellings that mean the same: accents apart or together, apostrophes of all kinds, what is not seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator

APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼ′＇`´"), "'")


def plain(text: str) -> str:
    """`text` with composed letters (file names of macOS come apart), straight apostrophes and nothing invisible.

    >>> plain("cafe\\u0301\\u200b’s")
    "café's"
    """
    text = text.translate(APOSTROPHES)
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFC", text) if unicodedata.category(letter) != "Cf")


def folded(text: str) -> str:
    """`text` for a comparison in which neither case nor the way its letters are encoded matters.

    >>> folded("CAFÉ") == folded("cafe\\u0301")
    True
    """
    return unicodedata.normalize("NFKC", plain(text).casefold())


def spellings(word: str) -> Iterator[str]:
    """The spellings under which a vocabulary may have a word, its own first.

    >>> list(spellings("Dog"))
    ['Dog', 'dog']
    """
    yield word
    yield word.lower()
    if word.isascii() and "'" not in word and "`" not in word:
        return
    text = plain(word)
    for form in (text, text.lower()):
        yield from (form, unicodedata.normalize("NFKC", form), unicodedata.normalize("NFD", form),
                    form.replace("'", "’"))


def meant(name: str, known: Collection[str]) -> str:
    """The known name that a name means: itself, else the only one that is equal but for case and encoding, else itself.

    >>> meant("Café", ["cafe\\u0301", "bar"]) == "cafe\\u0301"
    True
    """
    same = [] if name in known else [one for one in known if folded(one) == folded(name)]
    return same[0] if len(same) == 1 else name
