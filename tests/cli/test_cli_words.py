import pytest


def test_near_words_are_those_of_the_vectors(answer, words_file, vocabulary):
    found = answer("words", words_file, "--near", "cat", "-k", 3)
    assert [(near["word"], near["score"]) for near in found["near"]["cat"]] == [
        (word, pytest.approx(score, abs=1e-6)) for word, score in vocabulary.neighbours("cat", 3)]
    assert (found["n"], found["dim"]) == (11, 12)


def test_a_phrase_has_neighbours_too(answer, words_file):
    found = answer("words", words_file, "--near", "dollar bill", "-k", 2)["near"]["dollar bill"]
    assert {near["word"] for near in found} == {"dollar", "bill"}


def test_a_misspelt_word_is_corrected(devise, words_file):
    ran = devise("words", words_file, "--near", "oceam")
    assert ran.code == 1 and "near spellings are ocean" in ran.err


def test_an_audit_prints_its_table_and_fails_with_a_label(devise, answer, words_file, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\nkitten\n\ncar side\n")
    ran = devise("words", words_file, "--audit", tmp_path / "labels.txt")
    assert ran.code == 1
    assert ["label", "words", "rank", "neighbours", "warnings"] in [line.split() for line in ran.out.splitlines()]
    assert "kitten?" in ran.out and "no vector" in ran.out
    records = {record["label"]: record
               for record in answer("words", words_file, "--audit", tmp_path / "labels.txt", code=1)["audit"]}
    assert records["cat"]["words"] == ["cat"] and records["cat"]["neighbours"][0]["word"] == "cats"
    assert (records["kitten"]["failed"], records["kitten"]["rank"]) == (["kitten"], None)
    assert records["car side"]["failed"] == ["side"]


def test_synonyms_mend_an_audit(devise, words_file, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\nkitten\ncar side\n")
    (tmp_path / "synonyms.txt").write_text("kitten = cats\ncar_side = car  # seen from the side\n")
    ran = devise("words", words_file, "--audit", tmp_path / "labels.txt",
                 "--synonyms", tmp_path / "synonyms.txt")
    assert ran.code == 0 and "no vector" not in ran.out


def test_labels_that_are_no_text_are_refused(devise, words_file, tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00cat")
    ran = devise("words", words_file, "--audit", tmp_path / "labels.txt")
    assert ran.code == 1 and "is not UTF-8 text: expected one label a line" in ran.err


def test_without_a_question_it_says_what_is_there(devise, words_file):
    ran = devise("words", words_file)
    assert ran.code == 0 and ran.out.startswith("11 words of dim 12 from words")
