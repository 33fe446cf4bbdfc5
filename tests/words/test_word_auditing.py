"""What an audit warns of, on vectors planted for it and on genuine ones."""

import numpy as np
import pytest

from devise.arrays import unit_rows
from devise.words import WordVectors, audit, audit_table, coverage, label_synsets
from devise.words.auditing import occurrences, themes
from devise.words.phrases import resolve

NAMES = ["the", "car", "dollar", "bill", "grand", "piano", "none"]
# the branches and thresholds were chosen on the first two lists; the others were kept apart
SEVERAL = """
crane bass mouse seal palm bat bank pitcher spring jaguar mole nut pupil organ trunk ring jam date fan drill
cell club bow racket pen plant port tie cricket mint turkey iris nail bolt bark chest jack ray sole swallow
boxer cardinal kiwi tank horn mercury perch crab anchor stud pipe mustang cobra python ruby pawn kite
shuttle mink calf pool cape chip temple file hood tablet diamond cabinet
""".split()
PLAIN = """
elephant helicopter umbrella accordion butterfly crocodile giraffe dolphin piano guitar bicycle strawberry
lobster pizza airplane sandwich mosquito refrigerator kangaroo hedgehog saxophone flamingo scissors
wheelchair telescope rabbit spider banana tomato carrot motorcycle tractor bus sofa bathtub toothbrush
microscope penguin chimpanzee gorilla camel goat sheep trout salmon violin cello trumpet chandelier octopus
pigeon ostrich squirrel submarine ambulance oven toaster backpack jacket sweater spoon chocolate cucumber
lemon
""".split()
FURTHER_SEVERAL = """
buffalo beetle fly star needle stamp bridge crown key match ruler scale screw speaker table bulb button can
card coach court deck frog gear glass hawk jumper kid lead log mule mug monitor orange pad pike plane plate
press rook root saw shell slug spade squash staff tap tick vessel vault web beam blade boot cane cue dart
grouse
""".split()
FURTHER_PLAIN = """
zebra cheetah hippopotamus walrus otter beaver moose wombat koala hamster parrot peacock swan owl eagle
tortoise lizard salamander shrimp squid jellyfish moth grasshopper ladybug oyster pineapple watermelon
broccoli cauliflower cabbage spinach lettuce peach cherry grape tulip orchid daisy cactus clarinet harp oboe
trombone harmonica banjo ukulele typewriter television calculator thermometer stethoscope stapler envelope
suitcase skateboard surfboard snowboard canoe kayak yacht limousine minivan tricycle sombrero kimono skirt
trousers pyjamas earring necklace bracelet wardrobe bookcase armchair hammock blender kettle teapot
corkscrew
""".split()


@pytest.fixture
def words():
    matrix = np.random.default_rng(8).normal(size=(len(NAMES), 6)).astype(np.float32)
    matrix[NAMES.index("none")] = 0
    return WordVectors(NAMES, matrix, name="toy")


def planted(*mixtures, seed=0):
    """Forty clusters of fifty words around unrelated centres, the mixtures of centres before them."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.normal(size=(40, 50)))
    members = centres + rng.normal(0, 0.1, size=(50, 40, 50))
    names = [f"{chr(97 + cluster // 26)}{chr(97 + cluster % 26)}{member}"
             for member in range(50) for cluster in range(40)]
    first = [sum(centres[cluster] for cluster in mixture) for mixture in mixtures]
    labels = [f"x{number}" for number in range(len(mixtures))]
    return WordVectors([*labels, *names], np.concatenate([first, members.reshape(-1, 50)])), labels


def test_audit_says_what_each_label_got(words):
    records = audit(["car", "dollar bill", "bill dollar", "none", "grand zzz"], words, k=2)
    car, first, second, none, half = records
    assert (car.words, car.failed, car.rank, car.warnings) == (("car",), (), 2, ())
    assert len(car.neighbours) == 2 and "car" not in dict(car.neighbours)
    assert first.rank == 4 and first.warnings == ("same vector as bill dollar",)
    assert second.warnings == ("same vector as dollar bill",)
    assert none.failed == ("none",) and none.rank is None and none.neighbours == ()
    assert half.words == ("grand",) and half.failed == ("zzz",) and "no vector" in half.warnings


def test_audit_warns_of_numbers_and_of_one_word_in_two_numbers():
    words = WordVectors(["1", "a", "cat", "cats"], np.eye(4))
    found = {record.label: record.warnings for record in audit(["1", "A", "cat", "Cats", "zzz"], words)}
    assert found["1"] == found["A"] == ("no word",) and found["zzz"] == ("no vector",)
    assert "plural of cat" in found["Cats"] and not [line for line in found["cat"] if "plural" in line]
    assert "no word" not in audit(["1"], words, synonyms={"1": "cat"})[0].warnings


def test_audit_warns_of_rare_words(words, monkeypatch):
    monkeypatch.setattr("devise.words.auditing.RARE", 2)
    assert [record.warnings for record in audit(["car", "dollar"], words)] == [(), ("rare",)]


def test_the_table_of_an_audit_shows_warnings_first(words):
    lines = audit_table(audit(["car", "grand zzz"], words, k=1)).text().splitlines()
    assert lines[0].split() == ["label", "words", "rank", "neighbours", "warnings"]
    assert lines[1].startswith("grand zzz") and "zzz?" in lines[1] and lines[1].endswith("no vector")
    assert lines[2].startswith("car")


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_polysemous_label_is_caught(seed):
    words, labels = planted((0, 1), (2,), seed=seed)
    mixed, plain = audit(labels, words)
    assert [warning for warning in mixed.warnings if warning.startswith("polysemous (")]
    assert not [warning for warning in plain.warnings if warning.startswith("polysemous")]
    halves = themes(words.neighbours(words.vector(labels[0]), 51), words, own=labels[:1])
    assert {frozenset(word[:2] for word in half) for half in halves} == {frozenset({"aa"}), frozenset({"ab"})}


def test_a_hub_is_caught_and_its_words_are_counted():
    words, labels = planted((2,), (0, 1))  # a centre is nearer to its cluster than any of its words
    hub, mixed = audit(labels, words)
    unit = unit_rows(words.matrix)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    counts = [0] * len(words)
    for row in cosines:
        for near in np.argsort(-row)[:10]:
            counts[near] += 1
    assert hub.occurrences == counts[0] and mixed.occurrences == counts[1]
    assert counts[0] > np.mean(counts) + 3 * np.std(counts) > counts[1]
    assert hub.warnings[-1] == f"hub ({counts[0]} of 2,002 words)"
    assert not [warning for warning in mixed.warnings if "hub" in warning]


def test_few_words_tell_neither_hubs_nor_themes(words):
    assert themes(words.neighbours("car"), words) is None
    assert occurrences([resolve("car", words)], words)[0] == [None]
    assert audit([], words) == []


def test_a_sense_silences_the_warning_of_branches():
    words = WordVectors(["crane", "bird", "cranes"], np.eye(3))
    bare, plural = audit(["crane", "cranes"], words)
    meant, other = audit(["Crane", "cranes"], words, synonyms={"crane": "crane (bird)"})
    assert bare.warnings == ("polysemous (artifact, animal)",)
    assert meant.warnings == () and meant.extras == ("bird",) and meant.words == ("crane",)
    assert plural.warnings == ("plural of crane", "polysemous (artifact, animal)")
    assert other.warnings == ("plural of Crane", "polysemous (artifact, animal)")


def test_coverage_counts_labels_with_a_vector_and_warnings_among_them(words):
    records = audit(["car", "dollar bill", "bill dollar", "zzz"], words)
    assert coverage(records) == {"labels": 4, "found": 3, "warned": 2}


def test_words_of_several_meanings_are_told_from_plain_ones(packaged, monkeypatch):
    monkeypatch.setattr("devise.words.auditing.HUB_WORDS", 200)  # hubs are not the question

    def warned(names):
        records = audit(names, packaged)
        return {record.label for record in records if "polysemous" in "".join(record.warnings)}

    several, plain = warned(SEVERAL), warned(PLAIN)
    assert {"crane", "bass", "mouse", "seal", "palm"} <= several
    assert not {"elephant", "helicopter", "umbrella"} & plain
    assert (len(several), len(SEVERAL), len(plain), len(PLAIN)) == (48, 69, 4, 64)
    several, plain = warned(FURTHER_SEVERAL), warned(FURTHER_PLAIN)
    assert (len(several), len(FURTHER_SEVERAL), len(plain), len(FURTHER_PLAIN)) == (37, 59, 11, 79)


def test_the_labels_of_caltech(packaged):
    records = audit(list(label_synsets()), packaged)
    assert coverage(records) == {"labels": 60, "found": 60, "warned": 17}


def test_one_string_is_one_label(words):
    assert [record.label for record in audit("car", words)] == ["car"]


def told(record):
    return record._replace(neighbours=tuple(word for word, _ in record.neighbours))


def test_an_audit_in_blocks_says_the_same_as_one_in_a_piece(words, monkeypatch):
    labels = ["car", "dollar bill", "none", "bill dollar", "grand", "cars"]
    vocabulary, drawn = planted((0, 1), (2,))
    whole = audit(labels, words), audit([*drawn, "none", *vocabulary.words[:30]], vocabulary)
    monkeypatch.setattr("devise.words.auditing.BLOCK_BYTES", 8 * len(vocabulary))
    for one, other in zip((audit(labels, words), audit([*drawn, "none", *vocabulary.words[:30]], vocabulary)), whole,
                          strict=True):
        assert [told(record) for record in one] == [told(record) for record in other]
