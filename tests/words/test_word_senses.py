"""Senses in brackets, and which way they pull a vector."""

import json

import numpy as np
import pytest

from devise.words import LabelTable, WordVectors, label_vectors, read_synonyms
from devise.words.labels import split_sense

NAMES = ["crane", "bird", "wading", "wader", "machine", "hot", "cold"]


@pytest.fixture
def words():
    matrix = np.random.default_rng(3).normal(size=(len(NAMES), 8)).astype(np.float32)
    matrix[-1] = -matrix[-2]
    return WordVectors(NAMES, matrix, name="toy")


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_a_context_word_pulls_the_vector_halfway(words):
    table = label_vectors(["Crane", "machine"], words, synonyms={"crane": "Crane (bird)"})
    expected = unit(unit(words.vector("crane")) + unit(words.vector("bird")))
    assert table.vectors[0] == pytest.approx(expected, abs=1e-6)
    assert table.vectors[1] == pytest.approx(unit(words.vector("machine")), abs=1e-6)
    assert (table.parts, table.extras) == ((("crane",), ("machine",)), (("bird",), ()))
    assert table.word(0) == "crane"


def test_a_synset_pulls_by_its_other_words_and_those_above_it(words):
    table = label_vectors(["crane"], words, synonyms={"crane": "crane [n02012849]"})
    wading_bird = unit(unit(words.vector("wading")) + unit(words.vector("bird")))
    expected = unit(unit(words.vector("crane")) + unit(wading_bird + unit(words.vector("wader"))))
    assert table.vectors[0] == pytest.approx(expected, abs=1e-6)
    assert table.extras == (("wading", "bird", "wader"),)


def test_brackets_in_a_label_itself_are_words(words):
    assert label_vectors(["crane (bird)"], words).parts == (("crane", "bird"),)


def test_senses_without_a_vector_are_named(words):
    with pytest.raises(ValueError) as caught:
        label_vectors(["crane", "bird", "hot"], words,
                      synonyms={"crane": "crane (zzz)", "bird": "bird (hot cold)", "hot": "hot [n01440764]"})
    assert "crane: no vector for 'zzz'" in str(caught.value)
    assert "bird: no vector for 'hot cold'" in str(caught.value)
    assert "hot: no vector for 'n01440764'" in str(caught.value)


def test_a_synset_that_nobody_knows_is_refused(words):
    with pytest.raises((KeyError, FileNotFoundError), match="WordNet"):
        label_vectors(["crane"], words, synonyms={"crane": "crane [n99999999]"})


@pytest.mark.parametrize("text", ["crane ()", "(bird)", "crane [bird]", "crane [n123]", "crane []"])
def test_a_malformed_sense_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match="expected"):
        split_sense(text)
    (tmp_path / "synonyms.txt").write_text(f"a = b\ncrane = {text}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_synonyms(tmp_path / "synonyms.txt")


def test_senses_are_read_from_a_file_of_synonyms(tmp_path, words):
    (tmp_path / "synonyms.txt").write_text("crane = crane (bird)  # not the machine\n")
    synonyms = read_synonyms(tmp_path / "synonyms.txt")
    assert synonyms == {"crane": "crane (bird)"}
    table = label_vectors(["crane"], words, synonyms=synonyms)
    again = LabelTable.from_json(json.loads(json.dumps(table.to_json())), table.vectors)
    assert again.extras == table.extras == (("bird",),)


def test_a_sense_brings_its_siblings_nearer(packaged):
    bare, meant = label_vectors(["crane", "Crane bird"], packaged,
                                synonyms={"crane bird": "crane (bird)"}).vectors
    for word in ("heron", "stork", "pelican"):
        vector = unit(packaged.vector(word))
        assert vector @ meant > vector @ bare
