"""A database of six synsets made by hand, and the published one where it is installed."""

import zipfile

import pytest

from devise.backbones import imagenet
from devise.words import Taxonomy

HEADER = "  1 This is a notice.  \n  2 WordNet 3.0 Copyright 2006 by Princeton University.  \n"
# name: words, hypernyms, instance hypernyms
SYNSETS = {"entity": (["entity"], [], []),
           "animal": (["animal", "beast"], ["entity"], []),
           "pet": (["pet"], ["animal"], []),
           "dog": (["dog", "domestic_dog", "Canis_familiaris"], ["animal", "pet"], []),
           "villain": (["dog", "hound"], ["entity"], []),
           "Laika": (["Laika"], [], ["dog"])}
INDEX = ("  1 This is a notice.\n"
         "animal n 1 2 @ ~ 1 1 {animal}\n"
         "dog n 2 3 @ ~ ~i 2 1 {dog} {villain}\n"
         "domestic_dog n 1 2 @ ~i 1 0 {dog}\n"
         "laika n 1 1 @i 1 0 {Laika}\n")


def lines(offsets):
    """One line a synset; a word's lexical id, and a verb that is related, are there to be passed over."""
    for name, (words, kinds, instances) in SYNSETS.items():
        below = [("~", other) for other in SYNSETS if name in SYNSETS[other][1]]
        below += [("~i", other) for other in SYNSETS if name in SYNSETS[other][2]]
        links = [("@", other) for other in kinds] + [("@i", other) for other in instances] + below
        pointers = [f"{symbol} {offsets[other]} n 0000" for symbol, other in links] + ["+ 00692347 v 0101"]
        spelled = " ".join(f"{word} {number:x}" for number, word in enumerate(words))
        yield (f"{offsets[name]} 05 n {len(words):02x} {spelled} {len(pointers):03d} {' '.join(pointers)} "
               f"| what {name} is | @ 00000000 n 0000  \n")


def database():
    """Bytes of data.noun and index.noun, and the identity of each synset."""
    offsets, place = dict.fromkeys(SYNSETS, "0" * 8), len(HEADER)
    for name, line in zip(SYNSETS, list(lines(offsets)), strict=True):
        offsets[name], place = f"{place:08d}", place + len(line)
    data, index = HEADER + "".join(lines(offsets)), INDEX.format(**offsets)
    return data.encode(), index.encode(), {name: f"n{offset}" for name, offset in offsets.items()}


@pytest.fixture
def identities():
    return database()[2]


@pytest.fixture
def folder(tmp_path):
    data, index, _ = database()
    (tmp_path / "data.noun").write_bytes(data)
    (tmp_path / "index.noun").write_bytes(index)
    return tmp_path


def test_every_synset_as_it_was_written(folder, identities):
    kinds = Taxonomy.from_wordnet(folder)
    assert set(kinds.synsets) == set(identities.values())
    for name, (words, above, instances) in SYNSETS.items():
        synset = kinds[identities[name]]
        assert synset.lemmas == tuple(word.replace("_", " ") for word in words)
        assert synset.hypernyms == tuple(identities[other] for other in above + instances)
    assert kinds.above([identities["Laika"]]) == {identities[name] for name in SYNSETS} - {identities["villain"]}


def test_senses_in_the_order_of_the_index(folder, identities):
    kinds = Taxonomy.from_wordnet(folder)
    assert kinds.senses_of("dog") == (identities["dog"], identities["villain"])
    assert kinds.senses_of("Domestic  Dog") == (identities["dog"],)
    assert kinds.senses_of("laika") == (identities["Laika"],)  # the last line
    assert kinds.senses_of("do") == kinds.senses_of("") == kinds.senses_of("This") == ()


def test_packed_as_nltk_keeps_it(tmp_path, monkeypatch, identities):
    data, index, _ = database()
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    with zipfile.ZipFile(corpora / "wordnet.zip", "w") as archive:
        archive.writestr("wordnet/data.noun", data)
        archive.writestr("wordnet/index.noun", index)
    assert identities["dog"] in Taxonomy.from_wordnet(corpora / "wordnet.zip")
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    monkeypatch.delenv("WNHOME", raising=False)
    monkeypatch.setattr("devise.words.wordnet.FOLDERS", ())
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    assert len(Taxonomy.from_wordnet()) == 6


def test_wordnets_own_setting_comes_first(folder, monkeypatch):
    monkeypatch.setenv("WNSEARCHDIR", str(folder))
    assert len(Taxonomy.from_wordnet()) == 6


def test_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="wordnet-base.*nltk.downloader wordnet"):
        Taxonomy.from_wordnet(tmp_path)


def test_other_versions_are_refused_and_passed_over(folder, monkeypatch):
    data = (folder / "data.noun").read_bytes()
    (folder / "data.noun").write_bytes(data.replace(b"WordNet 3.0", b"WordNet 3.1"))
    with pytest.raises(ValueError, match="holds WordNet 3.1: expected 3.0"):
        Taxonomy.from_wordnet(folder)
    monkeypatch.setattr("devise.words.wordnet._places", lambda: iter([folder]))
    with pytest.raises(FileNotFoundError, match="there is no WordNet 3.0"):
        Taxonomy.from_wordnet()


def test_changed_line_ends_are_noticed(folder):
    data = (folder / "data.noun").read_bytes()
    (folder / "data.noun").write_bytes(data.replace(b"\n", b"\r\n"))
    with pytest.raises(ValueError, match="line ends"):
        Taxonomy.from_wordnet(folder)


@pytest.mark.parametrize(("identity", "lemma"), [("n02084071", "dog"), ("n02504458", "African elephant"),
                                                 ("n01440764", "tench"), ("n15075141", "toilet tissue")])
def test_imagenet_numbers_are_those_of_version_3(wordnet, identity, lemma):
    assert wordnet[identity].name == lemma


def test_the_published_database(wordnet):
    assert len(wordnet) == 82_115  # noun synsets, by WordNet 3.0's own statistics page wnstats(7)
    assert wordnet.senses_of("dog")[0] == "n02084071"
    assert [synset.lemmas for synset in wordnet.synsets.values() if not synset.hypernyms] == [("entity",)]
    near, nearer = wordnet.hops(imagenet.identities(), 3), wordnet.hops(imagenet.identities(), 2)
    assert nearer < near and not near & set(imagenet.identities())
