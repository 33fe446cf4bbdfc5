"""A database of six synsets made by hand, and the published one where it is installed."""

import zipfile

import pytest

from devise.words.hierarchy import Hierarchy
from devise.words.wordnet import WordNet

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


@pytest.fixture(scope="module")
def published():
    try:
        return WordNet.open()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_every_synset_as_it_was_written(folder, identities):
    wordnet = WordNet.open(folder)
    assert list(wordnet) == list(identities.values())
    assert wordnet.version == "3.0"
    for name, (words, kinds, instances) in SYNSETS.items():
        synset = wordnet[identities[name]]
        assert synset.identity == identities[name]
        assert synset.lemmas == tuple(word.replace("_", " ") for word in words)
        assert synset.hypernyms == tuple(identities[other] for other in kinds + instances)
        below = {other for other in SYNSETS if name in SYNSETS[other][1] + SYNSETS[other][2]}
        assert set(synset.hyponyms) == {identities[other] for other in below}


def test_senses_in_the_order_of_the_index(folder, identities):
    wordnet = WordNet.open(folder)
    assert wordnet.senses("dog") == (identities["dog"], identities["villain"])
    assert wordnet.senses("Domestic  Dog") == (identities["dog"],)
    assert wordnet.senses("laika") == (identities["Laika"],)  # the last line
    assert wordnet.senses("do") == wordnet.senses("") == wordnet.senses("This is") == ()


def test_closure_goes_up_through_instances(folder, identities):
    wordnet = WordNet.open(folder)
    wanted = {identities[name] for name in ("Laika", "dog", "pet", "animal", "entity")}
    assert wordnet.closure([identities["Laika"]]) == wanted


def test_hierarchies_of_some_and_of_all(folder, identities):
    wordnet = WordNet.open(folder)
    assert len(Hierarchy.from_wordnet(wordnet)) == 6
    some = Hierarchy.from_wordnet(wordnet, [identities["dog"]])
    assert set(some.nodes) == {identities[name] for name in ("dog", "pet", "animal", "entity")}
    assert some[identities["dog"]].synonyms == ("domestic dog", "Canis familiaris")


def test_what_is_no_synset(folder, identities):
    wordnet = WordNet.open(folder)
    one_further = f"n{int(identities['pet'][1:]) + 1:08d}"
    for identity in ("n00000000", "n99999999", "dog", "v00000105", one_further, identities["pet"] + "0"):
        assert identity not in wordnet
        with pytest.raises(KeyError, match="WordNet 3.0 has no noun"):
            wordnet[identity]


def test_digits_inside_a_line_are_no_synset(folder, identities):
    data = (folder / "data.noun").read_bytes()
    place = data.index(b"what dog is")
    (folder / "data.noun").write_bytes(data.replace(b"what dog ", f"{place:08d} ".encode()))
    assert f"n{place:08d}" not in WordNet.open(folder)


def test_notice(folder):
    assert WordNet.open(folder).licence() == ("This is a notice.\n"
                                              "WordNet 3.0 Copyright 2006 by Princeton University.")


def test_packed_as_nltk_keeps_it(tmp_path, monkeypatch, identities):
    data, index, _ = database()
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    with zipfile.ZipFile(corpora / "wordnet.zip", "w") as archive:
        archive.writestr("wordnet/data.noun", data)
        archive.writestr("wordnet/index.noun", index)
    assert identities["dog"] in WordNet.open(corpora / "wordnet.zip")
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    monkeypatch.delenv("WNHOME", raising=False)
    monkeypatch.setattr("devise.words.wordnet.FOLDERS", ())
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    assert list(WordNet.open()) == list(identities.values())


def test_wordnets_own_setting_comes_first(folder, monkeypatch):
    monkeypatch.setenv("WNSEARCHDIR", str(folder))
    assert len(list(WordNet.open())) == 6


def test_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="wordnet-base.*nltk.downloader wordnet"):
        WordNet.open(tmp_path)


def test_changed_line_ends_are_noticed(folder):
    data = (folder / "data.noun").read_bytes()
    (folder / "data.noun").write_bytes(data.replace(b"\n", b"\r\n"))
    with pytest.raises(ValueError, match="line ends"):
        WordNet.open(folder)


@pytest.mark.parametrize("identity, lemma", [("n02084071", "dog"), ("n02504458", "African elephant"),
                                             ("n01440764", "tench"), ("n15075141", "toilet tissue")])
def test_imagenet_numbers_are_those_of_version_3(published, identity, lemma):
    assert published.version == "3.0"
    assert published[identity].lemmas[0] == lemma


def test_the_published_database(published):
    everything = list(published)
    assert len(everything) == 82_115  # noun synsets, by WordNet 3.0's own statistics page wnstats(7)
    assert published.senses("dog")[0] == "n02084071"
    assert set(published["n02503517"].hyponyms) >= {"n02504013", "n02504458"}  # elephants, Indian and African
    roots = [identity for identity in everything if not published[identity].hypernyms]
    assert [published[root].lemmas for root in roots] == [("entity",)]
