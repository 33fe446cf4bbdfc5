"""Words that name things of different kinds: the crane that wades and the crane that lifts.

The facts are from WordNet 3.0, Copyright 2006 by Princeton University; its notice is in
`wordnet_licence.txt` beside them.
"""

from functools import cache
from importlib.resources import files

from devise.storage import atomic_path

# food, persons and acts are left out: a lobster is eaten, a toaster proposes toasts, scissors are a hold
BRANCHES = {"n00015388": "animal", "n00017222": "plant", "n00021939": "artifact", "n05220461": "body part",
            "n09287968": "geological formation", "n09239740": "celestial body", "n09225146": "water",
            "n00031264": "group", "n00024720": "state", "n00034213": "phenomenon", "n00029378": "event",
            "n00027807": "shape", "n00032613": "possession"}
ACT = "n00030358"  # a kind of event: nearly every tool is one in its second sense
SMALL_PLACES = {"geological formation", "celestial body", "water"}


def branches(word, wordnet):
    """The kinds of things that a noun may be, the kind of its most frequent sense first.

    Senses that are written with a capital, such as the writer Crane, don't count.

    Args:
        word: a lower-case noun.
        wordnet: `WordNet` 3.0.
    Returns:
        tuple of names out of BRANCHES; empty for a word whose senses are in none of them.
    """
    found = []
    for identity in wordnet.senses(word):
        if word not in wordnet[identity].lemmas:
            continue
        above = wordnet.closure([identity])
        name = next((name for root, name in BRANCHES.items() if root in above), None)
        if ACT not in above and name is not None:
            found.append("nature" if name in SMALL_PLACES else name)
    return tuple(dict.fromkeys(found))


@cache
def ambiguous_nouns():
    """The nouns of WordNet 3.0 with senses in two branches or more, from a file in the package.

    Returns:
        {noun: (branch, …)}.

    >>> ambiguous_nouns()["crane"], "elephant" in ambiguous_nouns()
    (('artifact', 'animal'), False)
    """
    text = files("devise.words").joinpath("ambiguous_nouns.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {noun: tuple(kinds.split(", ")) for noun, kinds in rows}


def write_ambiguous_nouns(wordnet, path):
    """Write the file that `ambiguous_nouns` reads: every lower-case noun of one word in two branches."""
    nouns = sorted({lemma for identity in wordnet for lemma in wordnet[identity].lemmas
                    if lemma.isalpha() and lemma.islower()})
    lines = ["# nouns of WordNet 3.0 whose senses are in different branches; its notice: wordnet_licence.txt"]
    for noun in nouns:
        if len(wordnet.senses(noun)) > 1 and len(kinds := branches(noun, wordnet)) > 1:
            lines.append(f"{noun}\t{', '.join(kinds)}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
