"""Which WordNet synsets the bundled labels and ImageNet's classes are, as files in the package.

The facts are from WordNet 3.0, Copyright 2006 by Princeton University; `hierarchy.json` carries
its licence.
"""

import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from devise.storage import atomic_path
from devise.words.hierarchy import Hierarchy, Node

HERE = "devise.words"
VERSION = "3.0"
SOURCE = "WordNet 3.0, nouns: the hypernyms and words of the synsets wanted and of everything above them"
ROOT, MISC = "imagenet", "misc"
BRANCHES = {"n00017222": "plant", "n09287968": "geological formation", "n00019128": "natural object",
            "n00523513": "sport", "n00021939": "artifact", "n12992868": "fungus", "n00007846": "person",
            "n00015388": "animal"}


class LabelSynset(NamedTuple):
    """What a label stands for.

    Attributes:
        synset: its identity in WordNet 3.0.
        lookalikes: ImageNet classes whose pictures show the same though WordNet has them elsewhere:
            ImageNet's "cup" is a punch there, its "cock" no rooster, its "tusker" no elephant.

    >>> label_synsets()["lobster"].synset[0]
    'n'
    """

    synset: str
    lookalikes: tuple[str, ...]


@cache
def label_synsets():
    """The synset of each of 60 labels of Caltech-101, chosen by hand from pictures and glosses.

    The 37 of the bundled set come first. A strict figure that hides a label's synset and its
    kinds alone still lets the network see an elephant as "tusker": hide the lookalikes too.

    Returns:
        {label: LabelSynset}.

    >>> label_synsets()["crab"]
    LabelSynset(synset='n01976957', lookalikes=('n01986214',))
    """
    text = files(HERE).joinpath("label_synsets.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return {label: LabelSynset(synset, tuple(" ".join(rest).split())) for label, synset, _kind, *rest in rows}


@cache
def imagenet_hierarchy():
    """ImageNet's 1,000 classes and the 60 labels with everything above them, without WordNet at hand.

    Returns:
        Hierarchy.

    >>> imagenet_hierarchy()["n02504458"].name
    'African elephant'
    """
    return Hierarchy.from_json(json.loads(files(HERE).joinpath("hierarchy.json").read_text(encoding="utf-8")))


def write_hierarchy(wordnet, synsets, path):
    """Write the hypernyms of some synsets as a file that `Hierarchy.from_json` reads, one node a line.

    The package's own file is of ImageNet's classes and the labels:
    `write_hierarchy(WordNet.open(), [*imagenet_ids, *(s.synset for s in label_synsets().values())], path)`.

    Raises:
        ValueError: if WordNet is not version 3.0, whose numbers ImageNet uses.
        KeyError: if WordNet has no such synset.

    >>> write_hierarchy(WordNet.open(), ["n02121620"], "cat.json")  # doctest: +SKIP
    """
    if wordnet.version != VERSION:
        raise ValueError(f"this is WordNet {wordnet.version}: expected {VERSION}, as ImageNet numbers it")
    nodes = Hierarchy.from_wordnet(wordnet, synsets).to_json()["nodes"]
    notes, lines = _members({"source": SOURCE, "licence": wordnet.licence()}), _members(nodes)
    with atomic_path(path) as temporary:
        temporary.write_text(f'{{\n{notes},\n"nodes": {{\n{lines}\n}}\n}}\n', encoding="utf-8")


def imagenet_tree(hierarchy, labels):
    """The graph that ImageNet's 2011 release hangs its labels in, made from WordNet's.

    Eight branches and "misc" lie right below the root. What is in no branch, food above all, hangs
    below "misc" itself, so that an ice cream is two edges from a street sign. That it was so is
    inferred from figures of Frome et al. 2013 that depend on the graph alone: its 3-hop set of
    7,860 labels (7,813 here, 5,982 in WordNet), and the chance row of its hierarchical precision
    at 2, 5, 10 and 20: .007, .013, .022, .042 (here .006, .011, .020, .036; in WordNet .005, .009,
    .018, .033).

    Args:
        hierarchy: made from WordNet, with everything above the labels; for hops all of WordNet.
        labels: identities.
    Returns:
        Hierarchy of the branches, everything in them, and the labels.
    Raises:
        KeyError: if the hierarchy lacks a label.

    >>> tree = imagenet_tree(hierarchy, imagenet_ids)  # doctest: +SKIP
    """
    branches = [branch for branch in BRANCHES if branch in hierarchy]
    inside = set(branches).union(*(hierarchy.descendants(branch) for branch in branches))
    outside = set(labels) - inside
    kept = inside | outside
    nodes = {ROOT: Node(ROOT), MISC: Node(MISC, (ROOT,))}
    for identity in sorted(kept):
        node = hierarchy[identity]
        above = tuple(hypernym for hypernym in node.hypernyms if hypernym in kept)
        extra = (MISC,) if identity in outside else (ROOT,) if identity in branches else ()
        nodes[identity] = node._replace(hypernyms=above + extra)
    return Hierarchy(nodes)


def _members(entries):
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items())
