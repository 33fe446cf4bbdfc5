import json

import numpy as np
import pytest

from devise.words import (
    LabelTable,
    WordVectors,
    doubts,
    embed_texts,
    label_vectors,
    phrase_vector,
    read_synonyms,
)
from devise.words.phrases import resolve
from devise.words.sentences import SentenceVectors

NAMES = ["the", "car", "dollar", "bill", "grand", "piano", "grand_piano", "yin-yang", "Paris", "st.",
         "bernard", "none", "side", "saxophone"]


@pytest.fixture
def words():
    matrix = np.random.default_rng(8).normal(size=(len(NAMES), 6)).astype(np.float32)
    matrix[NAMES.index("none")] = 0
    return WordVectors(NAMES, matrix, name="toy")


def unit(values):
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def mean_of(words, *parts):
    return unit([sum(column) for column in zip(*(unit(words.vector(part).tolist()) for part in parts), strict=True)])


@pytest.mark.parametrize(("label", "parts"), [
    ("car", ["car"]),
    ("Car", ["car"]),
    ("dollar_bill", ["dollar", "bill"]),
    ("Dollar-Bill", ["dollar", "bill"]),
    ("  dollar   bill ", ["dollar", "bill"]),
    ("dollar/bill", ["dollar", "bill"]),
    ("grand piano", ["grand_piano"]),
    ("Grand-Piano", ["grand_piano"]),
    ("yin_yang", ["yin-yang"]),
    ("Paris", ["Paris"]),
    ("St. Bernard", ["st.", "bernard"]),
    ("bill, the car", ["bill", "the", "car"]),
])
def test_which_words_a_label_gets(words, label, parts):
    table = label_vectors([label], words)
    assert table.names == (label,) and table.parts == (tuple(parts),)
    assert table.vectors[0].tolist() == pytest.approx(mean_of(words, *parts), abs=1e-6)
    assert table.word(0) == (parts[0] if len(parts) == 1 else None)


@pytest.mark.parametrize("key", ["car_side", "Car side", "car-side"])
def test_a_synonym_takes_the_place_of_its_label(words, key):
    table = label_vectors(["car_side", "bill"], words, synonyms={key: "car", "unused": "nothing"})
    assert table.parts == (("car",), ("bill",)) and table.names == ("car_side", "bill")


def test_labels_without_a_vector_are_all_named_with_near_spellings(words):
    with pytest.raises(ValueError) as caught:
        label_vectors(["saxaphone", "car", "dollar zzz", "none", "--", "car none"], words)
    message = str(caught.value)
    assert message.startswith("5 of 6 labels have no vector in toy")
    assert "saxaphone: no vector for 'saxaphone' (near: saxophone)" in message
    assert "dollar zzz: no vector for 'zzz'" in message
    assert "car none: no vector for 'none'" in message
    assert "--: it holds no word" in message


def test_parts_that_cancel_out_give_no_zero_vector():
    words = WordVectors(["hot", "cold"], [[1, 2], [-1, -2]])
    with pytest.raises(ValueError, match="points anywhere"):
        label_vectors(["hot cold"], words)
    with pytest.raises(ValueError, match="no direction"):
        phrase_vector("hot cold", words)


def test_labels_that_repeat_are_refused(words):
    with pytest.raises(ValueError, match="label names repeat: car"):
        label_vectors(["car", "bill", "car"], words)


def test_no_labels_give_an_empty_table(words):
    assert label_vectors([], words).vectors.shape == (0, 6)


def test_phrases(words):
    expected = mean_of(words, "the", "dollar")
    assert phrase_vector("the Dollar", words).tolist() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(KeyError, match="saxophone"):
        phrase_vector("the saxaphone", words)
    for nothing in ("", "  ", "none"):
        with pytest.raises(ValueError, match="no direction"):
            phrase_vector(nothing, words)


def test_synonyms_from_a_file(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("\ufeff# of Caltech-101\ncar_side = car\n\nFaces easy=face   # people\nc#=language\n")
    assert read_synonyms(path) == {"car_side": "car", "Faces easy": "face", "c#": "language"}


@pytest.mark.parametrize("line", ["car_side", "= car", "car_side =", "car_side = # car"])
def test_a_line_that_is_no_synonym_is_refused_with_its_number(tmp_path, line):
    (tmp_path / "synonyms.txt").write_text(f"a = b\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_synonyms(tmp_path / "synonyms.txt")


def test_a_label_with_two_synonyms_is_refused(tmp_path):
    (tmp_path / "synonyms.txt").write_text("a = b\na = c\n")
    with pytest.raises(ValueError, match="line 2.*'a' has a synonym already"):
        read_synonyms(tmp_path / "synonyms.txt")


def test_a_table_survives_json(words):
    table = label_vectors(["car", "dollar bill"], words)
    again = LabelTable.from_json(json.loads(json.dumps(table.to_json())), table.vectors)
    assert (again.names, again.parts) == (table.names, table.parts)
    assert np.array_equal(again.vectors, table.vectors) and len(again) == 2


def test_a_table_written_without_extras_is_read(words):
    old = {"names": ["car"], "parts": [["car"]]}
    table = LabelTable.from_json(old, label_vectors(["car"], words).vectors)
    assert (table.parts, table.extras, table.word(0)) == ((("car",),), ((),), "car")


def test_frequent_words_count_less_in_a_phrase():
    names = ["the", *(f"w{row}" for row in range(9_998)), "bill"]
    matrix = np.random.default_rng(5).normal(size=(len(names), 4)).astype(np.float32)
    many, few = WordVectors(names, matrix), WordVectors(names[1:], matrix[1:])
    harmonic = np.log(len(names)) + 0.5772156649
    units = [matrix[row] / np.linalg.norm(matrix[row]) for row in (0, 5, 9_999)]  # "the", "w4", "bill"
    weights = [0.001 / (0.001 + 1 / (rank * harmonic)) for rank in (1, 6, 10_000)]
    expected = sum(weight * unit for weight, unit in zip(weights, units, strict=True))
    assert phrase_vector("the w4 bill", many) == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    table = label_vectors(["the w4 bill"], many)
    assert table.vectors[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    alike = units[1] + units[2]  # a vocabulary of 9,999 words is a selection
    assert phrase_vector("w4 bill", few) == pytest.approx(alike / np.linalg.norm(alike), abs=1e-6)


def test_one_text_or_several(words):
    both = embed_texts(["dollar bill", "car"], words)
    assert both.shape == (2, words.dim) and both.dtype == np.float32
    np.testing.assert_array_equal(both[0], phrase_vector("dollar bill", words))
    np.testing.assert_array_equal(embed_texts("dollar bill", words), both[:1])  # not letter by letter
    assert embed_texts([], words).shape == (0, words.dim)
    with pytest.raises(KeyError, match="'saxaphone'.*near spellings are saxophone"):
        embed_texts(["car", "saxaphone"], words)
    with pytest.raises(TypeError, match="a text is 3, a int"):
        embed_texts(["car", 3], words)


def test_plurals_are_averaged_where_both_are_known():
    words = WordVectors(["dog", "dogs", "bus", "buses", "old", "mouse", "mice", "len", "lens"],
                        [[4, 0], [1, 1], [0, 1], [-1, 0], [0, 3], [1, 1], [1, 0], [0, 1], [1, 0]])
    names = ["dog", "dogs", "bus", "old dog", "mouse", "lens", "dog old"]
    table = label_vectors(names, words, plurals=True)
    halfway = np.add([1, 0], np.array([1, 1]) / 2 ** 0.5)
    halfway /= np.linalg.norm(halfway)
    assert table.vectors[0] == pytest.approx(halfway, abs=1e-6)
    assert table.vectors[1] == pytest.approx(halfway, abs=1e-6)
    assert table.vectors[2].tolist() == [0, 1]  # "buses" points elsewhere
    old_dog = halfway + [0, 1]
    assert table.vectors[3] == pytest.approx(old_dog / np.linalg.norm(old_dog), abs=1e-6)
    assert table.extras == (("dogs",), ("dog",), (), ("dogs",), ("mice",), (), ())
    assert table.parts == tuple(tuple(name.split()) for name in names) and table.word(0) == "dog"


def test_a_table_is_immutable_and_checked():
    vectors = np.eye(2, dtype=np.float32)
    table = LabelTable(["a", "b"], vectors, [["a"], ["b"]])
    with pytest.raises(ValueError, match="read-only"):
        table.vectors[0] = 0
    vectors[0] = 7
    assert table.vectors[0, 0] == 1
    with pytest.raises(ValueError, match="1 names, 2 vectors"):
        LabelTable(["a"], np.eye(2), [["a"]])
    with pytest.raises(ValueError, match="not of length 1"):
        LabelTable(["a"], [[3, 4]], [["a"]])
    with pytest.raises(ValueError, match="1 names and 2 lists of extras"):
        LabelTable(["a"], [[1, 0]], [["a"]], [["b"], ["c"]])
    for names, parts, extras in (([[]], [["a"]], [[]]), (["a"], [[3]], [[]]), (["a"], [["a"]], [[None]])):
        with pytest.raises(ValueError, match="where a name or a word belongs"):
            LabelTable(names, [[1, 0]], parts, extras)


def test_genuine_labels(packaged):
    names = ["elephant", "Faces easy", "dollar_bill", "yin_yang", "car_side"]
    table = label_vectors(names, packaged, synonyms={"car_side": "car"})
    assert table.parts == (("elephant",), ("faces", "easy"), ("dollar", "bill"), ("yin-yang",), ("car",))
    waves = phrase_vector("ocean waves", packaged)
    assert {"ocean", "waves"} == {word for word, _ in packaged.neighbours(waves, k=2)}


TOY = ("dog", "cat", "child", "toy", "do", "run", "can", "will", "airplane", "sunset", "golden", "retriever", "café",
       "t-shirt", "u.s.", "c++", "कुत्ता", "bowl", "a", ",", "&")


@pytest.fixture(scope="module")
def toy():
    return WordVectors(TOY, np.eye(len(TOY)), name="toy")


@pytest.mark.parametrize(("text", "parts"), [
    ("a dog's bowl", ("a", "dog", "bowl")), ("child’s toy", ("child", "toy")),
    ("dog' bowl", ("dog", "bowl")), ("don't run", ("do", "run")), ("DON’T RUN", ("do", "run")),
    ("can't", ("can",)), ("won't run", ("will", "run")), ("“airplane”", ("airplane",)), ("‘airplane’", ("airplane",)),
    ("«airplane»", ("airplane",)), ("airplane…", ("airplane",)), ("cat,dog", ("cat", "dog")),
    ("cat;dog", ("cat", "dog")),
    ("cat&dog", ("cat", "dog")), ("cat, dog!", ("cat", "dog")), ("cat , dog", ("cat", "dog")), ("#sunset", ("sunset",)),
    ("#GoldenRetriever", ("golden", "retriever")), ("¿dog?", ("dog",)), ("dog (toy)", ("dog", "toy")),
    ("dog 🐕", ("dog",)), ("🐕dog", ("dog",)), ("cafe\u0301", ("café",)), ("Cafe\u0301!", ("café",)),
    ("d\u200bog", ("dog",)), ("\ufeffdog", ("dog",)), ("ｄｏｇ", ("dog",)), ("a T-shirt!", ("a", "t-shirt")),
    ("dog-cat toy", ("dog", "cat", "toy")), ("U.S.,", ("u.s.",)), ("c++ toy", ("c++", "toy")),
    ("कुत्ता!", ("कुत्ता",)), (",", (",",)), ("dog\u00a0bowl", ("dog", "bowl")), ("*dog*", ("dog",)), ("`dog`", ("dog",)),
    ("dog/cat", ("dog", "cat")), ("dog'run'cat", ("dog", "run", "cat"))])
def test_text_is_read_as_people_write_it(toy, text, parts):
    found = resolve(text, toy)
    assert found.words == parts and not found.failed
    sentences = SentenceVectors(toy, components=0)
    if text != ",":  # the captions' reader passes over what is a sign alone
        assert sentences.embed(text)[0].nonzero()[0].tolist() == sorted({TOY.index(part) for part in parts})


@pytest.mark.parametrize(("text", "failed"), [
    ("okapi's", ("okapi's",)), ("“okapi”", ("okapi",)), ("cat,okapi", ("okapi",)), ("…", ("…",)), ("🐕", ("🐕",)),
    ("catOkapi", ("catOkapi",))])
def test_what_has_no_vector_is_named_without_the_signs_around_it(toy, text, failed):
    assert resolve(text, toy).failed == failed and resolve(text, toy).vector is None


def test_a_vocabulary_may_have_its_letters_apart_too():
    words = WordVectors(["cafe\u0301", "don’t"], np.eye(2))
    assert words.row("café") == words.row("CAFÉ") == 0 and words.row("don't") == 1


def test_synonyms_and_their_labels_may_be_written_in_two_ways(toy):
    table = label_vectors(["cafe\u0301"], toy, synonyms={"café": "dog"})
    assert table.names == ("cafe\u0301",) and table.parts == (("dog",),)


def test_one_string_is_one_label(toy):
    assert label_vectors("cat", toy).names == ("cat",)
    with pytest.raises(TypeError, match="one str, or several"):
        label_vectors([b"cat"], toy)


FORMS = ["satsuma", "golden", "retriever", "bear", "jalapeno", "ice-cream", "woodpeckers", "zebra", "crossing",
         "chihuahua", "wild", "boar", "1", "a", "dog", "dogs"]


@pytest.mark.parametrize(("label", "parts"), [
    ("Satsumas", ["satsuma"]), ("GoldenRetriever", ["golden", "retriever"]),
    ("goldenretriever", ["golden", "retriever"]), ("Golden_Retrievers", ["golden", "retriever"]),
    ("009.bear", ["bear"]), ("jalapeño", ["jalapeno"]), ("ice cream", ["ice-cream"]),
    ("woodpecker", ["woodpeckers"]), ("zebracrossing", ["zebra", "crossing"]),
    ("n02099601", ["golden", "retriever"]), ("n02085620-Chihuahua", ["chihuahua"]),
    ("wild_boar(1)", ["wild", "boar", "1"]),
])
def test_a_label_without_a_vector_is_looked_up_in_other_forms(label, parts):
    vectors = np.random.default_rng(8).normal(size=(len(FORMS), 6))
    words = WordVectors(FORMS, vectors)
    table = label_vectors([label, "bear"], words)
    assert table.names == (label, "bear") and table.parts[0] == tuple(parts)
    assert table.vectors[0].tolist() == pytest.approx(mean_of(words, *parts), abs=1e-6)


def test_numbers_before_every_label_are_passed_over_though_they_are_words():
    words = WordVectors(FORMS, np.random.default_rng(8).normal(size=(len(FORMS), 6)))
    assert label_vectors(["1_dog", "2_bear"], words).parts == (("dog",), ("bear",))
    assert label_vectors(["1_dog", "bear"], words).parts == (("1", "dog"), ("bear",))  # it may be a part of the name
    assert label_vectors(["1_dog", "1-bear"], words).parts == (("1", "dog"), ("1", "bear"))


def test_labels_without_a_vector_are_left_out_where_that_is_asked_for(words):
    with pytest.raises(ValueError, match=r"another word for each with synonyms=.* leave .* out with skip_unknown=True"):
        label_vectors(["car", "zzz", "bill"], words)
    table = label_vectors(["car", "zzz", "bill"], words, skip_unknown=True)
    assert table.names == ("car", "bill") and len(table.vectors) == 2
    with pytest.raises(ValueError, match="2 of 2 labels have no vector"):
        label_vectors(["zzz", "yyy"], words, skip_unknown=True)


def test_what_is_doubtful_about_labels_is_said_in_sentences():
    words = WordVectors(FORMS, np.random.default_rng(8).normal(size=(len(FORMS), 6)))
    names = ["Bear", "bear", "BEAR", "dog", "dogs", "1", "a", "Satsumas"]
    found = doubts(label_vectors(names, words))
    assert [line.partition(" have ")[0].partition(" are ")[0].partition(":")[0] for line in found] == [
        "Bear, bear and BEAR", "dogs and dog", "1 and a", "looked up in another form"]
    assert found[-1].endswith("Satsumas as satsuma")
    given = {"bear": "dog", "1": "zebra", "a": "boar"}
    assert doubts(label_vectors(["bear", "1", "a"], words, synonyms=given), given) == []


def test_a_sentence_on_many_labels_names_the_first():
    vectors = np.random.default_rng(8).normal(size=(40, 6))
    names = [str(number) for number in range(40)]
    found = doubts(label_vectors(names, WordVectors(names, vectors)))
    assert any("0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 30 more" in line for line in found)
