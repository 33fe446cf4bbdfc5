"""Spellings that mean the same (accents, apostrophes, what is not seen), and the forms that an English word has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼ′＇`´"), "'")
CLITIC = re.compile(r"(n't|'s|'re|'ve|'ll|'d|'m)$", re.IGNORECASE)  # what English hangs on a word
BEFORE_NOT = {"ca": "can", "wo": "will", "sha": "shall"}  # can't, won't, shan't
IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot",
             "teeth": "tooth", "geese": "goose", "mice": "mouse", "oxen": "ox"}
NO_PLURAL = {"arms", "glasses", "means", "news", "series", "species"}  # another thing than their singular


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
    """`text` for a comparison in which neither case nor the way its letters are encoded matters."""
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


def stem(word: str) -> str:
    """A word without what English hangs on it.

    >>> stem("dog's"), stem("won't"), stem("they're")
    ('dog', 'will', 'they')
    """
    bare = CLITIC.sub("", word)
    return BEFORE_NOT.get(bare.lower(), bare) if word.lower().endswith("n't") else bare


def singulars(word: str) -> list[str]:
    """The spellings that the singular of an English word may have, if it is a plural.

    >>> singulars("wolves")
    ['wolve', 'wolf', 'wolfe', 'wolv']
    """
    if word in IRREGULAR:
        return [IRREGULAR[word]]
    if not word.endswith("s") or word.endswith("ss") or len(word) < 4 or word in NO_PLURAL:
        return []
    found = [word[:-1]]
    if word.endswith("ies"):
        found.append(word[:-3] + "y")
    if word.endswith("ves"):
        found += [word[:-3] + "f", word[:-3] + "fe"]
    if word.endswith("es"):
        found.append(word[:-2])
    return found


def plural_spellings(word: str) -> list[str]:
    """The spellings that the plural of an English word may have.

    >>> plural_spellings("butterfly"), plural_spellings("mouse"), plural_spellings("wolf")
    (['butterflies'], ['mice'], ['wolves', 'wolfs'])
    """
    irregular = [plural for plural, singular in IRREGULAR.items() if singular == word]
    if irregular:
        return irregular
    if re.search(r"[^aeiou]y$", word):
        return [word[:-1] + "ies"]
    if re.search(r"(s|x|z|ch|sh)$", word):
        return [word + "es"]
    found = [re.sub("fe?$", "ves", word)] if re.search(r"[^f]fe?$", word) else []
    if word.endswith("o"):
        found.append(word + "es")
    return [*found, word + "s"]
