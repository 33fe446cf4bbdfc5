"""Flat hit@k against a loop that sorts every candidate of every picture."""

import json
import math

import numpy as np
import pytest

from devise.arrays import nearest, unit_rows
from devise.evaluation import Candidates, combine, evaluate, exact_tags, flat_hit_at_k, hit_table, protocols
from devise.evaluation.protocols import answer_ranks

LABELS = tuple(f"label{number}" for number in range(12))
SEEN, UNSEEN = LABELS[:8], LABELS[8:]


@pytest.fixture
def vectors():
    return np.random.default_rng(1).normal(size=(12, 5))


@pytest.fixture
def pictures(vectors):
    """Embeddings near their labels' vectors, of all twelve labels."""
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 12, 90)
    return vectors[labels] + draw.normal(size=(90, 5)), labels


def slow_rank(embedding, answer, vectors):
    """1 + the candidates with a larger cosine + those of the same vector that stand before the answer."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(embedding)
    cosines = [float(row @ embedding / length) for row, length in zip(vectors, lengths, strict=True)]
    twins, rank = (vectors == vectors[answer]).all(axis=1).tolist(), 1
    for row, (cosine, same) in enumerate(zip(cosines, twins, strict=True)):
        rank += (not same and cosine > cosines[answer]) or (same and row < answer)
    return rank


def test_ranks_are_those_of_a_loop(vectors, pictures):
    candidates = Candidates.from_labels("all", LABELS, vectors)
    expected = [slow_rank(embedding, label, vectors) for embedding, label in zip(*pictures, strict=True)]
    assert answer_ranks(*pictures, candidates).tolist() == expected
    assert len(set(expected)) > 4  # the pictures are hard enough to tell ranks apart


def test_ranks_are_the_same_in_small_blocks(vectors, pictures, monkeypatch):
    candidates = Candidates.from_labels("seen", LABELS, vectors, SEEN)
    expected = answer_ranks(*pictures, candidates)
    assert np.isnan(expected).tolist() == (pictures[1] >= 8).tolist()
    for size in (1, 7, 64):
        monkeypatch.setattr(protocols, "BLOCK_BYTES", 4 * len(SEEN) * size)
        np.testing.assert_array_equal(answer_ranks(*pictures, candidates), expected)


def test_equal_vectors_rank_by_their_row_and_are_right_once(vectors):
    draw = np.random.default_rng(3)
    names = [f"word{number}" for number in range(1000)]
    rows = draw.normal(size=(1000, 5))
    rows[[400, 700, 999]] = rows[3]  # a matrix product may round equal columns differently
    candidates = Candidates.from_labels("all", names, rows)
    embeddings = rows[[3] * 40] + 0.3 * draw.normal(size=(40, 5))
    for place, label in enumerate((3, 400, 700, 999)):
        labels = np.full(40, label)
        ranks = answer_ranks(embeddings, labels, candidates)
        assert ranks.tolist() == [slow_rank(embedding, label, rows) for embedding in embeddings]
        assert (ranks - answer_ranks(embeddings, np.full(40, 3), candidates) == place).all()
    behind = answer_ranks(embeddings, np.full(40, 5), candidates)
    assert behind.tolist() == [slow_rank(embedding, 5, rows) for embedding in embeddings]
    assert (behind > 4).all()  # each twin takes a rank of its own


@pytest.mark.parametrize("seed", range(3))
def test_near_ties_go_by_float64(seed):
    """Vectors 1e-7 apart: the sums of a float32 matrix product have another order than those of `math.fsum`."""
    draw = np.random.default_rng(seed)
    rows = unit_rows(draw.normal(size=200) + 1e-7 * draw.normal(size=(300, 200)))
    embeddings = unit_rows(rows[:6] + 0.05 * draw.normal(size=(6, 200)))
    cosines = np.float32([[math.fsum(np.float64(row) * one) for row in rows] for one in embeddings])
    candidates = Candidates.from_labels("all", [f"label{number}" for number in range(300)], rows)
    for label in (0, 150, 299):
        expected = [sorted(range(300), key=lambda row: (-one[row], row)).index(label) + 1  # noqa: B023
                    for one in cosines]
        assert answer_ranks(embeddings, np.full(6, label), candidates).tolist() == expected


def test_equal_cosines_of_different_vectors_rank_by_their_row():
    candidates = Candidates.from_labels("all", "abc", np.eye(3))
    assert answer_ranks([[1, 1, 1]] * 3, [0, 1, 2], candidates).tolist() == [1, 2, 3]


@pytest.mark.parametrize("chosen", [LABELS, SEEN, UNSEEN])
def test_hit_at_k_is_whether_the_rank_is_at_most_k(vectors, pictures, chosen):
    embeddings, labels = pictures
    candidates = Candidates.from_labels("chosen", LABELS, vectors, chosen)
    rows = [LABELS.index(name) for name in chosen]
    hits = flat_hit_at_k(embeddings, labels, candidates)
    assert list(hits) == [k for k in (1, 2, 3, 5, 10, 20) if k <= len(chosen)]
    for number, (embedding, label) in enumerate(zip(embeddings, labels, strict=True)):
        for k, values in hits.items():
            if label not in rows:
                assert np.isnan(values[number])
            else:
                assert values[number] == (slow_rank(embedding, rows.index(label), vectors[rows]) <= k)


def test_hits_depend_on_neither_length_nor_order_nor_neighbours(vectors, pictures):
    embeddings, labels = pictures
    candidates = Candidates.from_labels("all", LABELS, vectors)
    expected = flat_hit_at_k(embeddings, labels, candidates, ks=(1, 3))
    order = np.random.default_rng(4).permutation(len(labels))
    scaled = embeddings[order] * np.linspace(0.1, 9, 90)[:, None]
    for k, values in flat_hit_at_k(scaled, labels[order], candidates, ks=(3, 1)).items():
        assert values.tolist() == expected[k][order].tolist()
    for row in range(90):
        alone = flat_hit_at_k(embeddings[row:row + 1], labels[row:row + 1], candidates, ks=(1,))
        assert alone[1].tolist() == [expected[1][row]]


def test_a_part_is_measured_over_the_candidates_that_hold_its_answers(vectors, pictures):
    embeddings, labels = pictures
    sets = [Candidates.from_labels("seen", LABELS, vectors, SEEN),
            Candidates.from_labels("unseen", LABELS, vectors, UNSEEN),
            Candidates.from_labels("all", LABELS, vectors),
            Candidates.from_words("words2", LABELS[:2], vectors[:2], LABELS, vectors,
                                  [*LABELS[:2], *[None] * 10])]
    unseen = labels >= 8
    parts = {"test": (embeddings[~unseen], labels[~unseen]), "unseen": (embeddings[unseen], labels[unseen]),
             "train": (np.zeros((0, 5)), np.zeros(0, int))}
    evaluation = evaluate(parts, sets)
    measured = {part: list(figures) for part, figures in evaluation.hit_at_k.items()}
    assert measured == {"test": ["seen", "all", "words2"], "unseen": ["unseen", "all", "words2"], "train": []}
    assert evaluation.n == {"test": int((~unseen).sum()), "unseen": int(unseen.sum()), "train": 0}
    document = evaluation.to_json()
    assert json.loads(json.dumps(document)) == document
    assert document["candidates"] == {
        "seen": {"count": 8, "ks_left_out": [10, 20]}, "unseen": {"count": 4, "ks_left_out": [5, 10, 20]},
        "all": {"count": 12, "ks_left_out": [20]},
        "words2": {"count": 12, "added": list(LABELS[2:]), "ks_left_out": [20]}}
    hits = [slow_rank(*picture, vectors[:8]) <= 2 for picture in zip(*parts["test"], strict=True)]
    assert document["hit_at_k"]["test"]["seen"]["2"] == pytest.approx(sum(hits) / len(hits))
    assert document["hit_at_k"]["unseen"]["unseen"].keys() == {"1", "2", "3"}
    assert document["without_answer"] == {}


def test_pictures_without_an_answer_are_counted_and_in_no_mean(vectors, pictures):
    embeddings, labels = pictures
    labels = labels.copy()
    labels[:7] = -1
    seen = Candidates.from_labels("seen", LABELS, vectors, SEEN)
    answered = (labels >= 0) & (labels < 8)
    evaluation = evaluate({"test": (embeddings, labels)}, [seen], ks=(1,))
    clean = evaluate({"test": (embeddings[answered], labels[answered])}, [seen], ks=(1,))
    assert evaluation.hit_at_k == clean.hit_at_k
    assert evaluation.without_answer == {"test": {"seen": int((~answered).sum())}}
    without_label = answer_ranks(embeddings, labels, Candidates.from_labels("all", LABELS, vectors))
    assert np.isnan(without_label).tolist() == (labels == -1).tolist()
    fewer = evaluate({"test": (embeddings[1:], labels[1:])}, [seen], ks=(1,))
    for runs in ([clean, evaluation, clean], [evaluation, fewer]):
        assert f"{(~answered).sum()} pictures without an answer in seen" in hit_table(runs, "test").caption


def test_exact_tags_are_counted_in_all_and_by_class(vectors, pictures):
    embeddings, labels = pictures
    candidates = Candidates.from_labels("seen", LABELS, vectors, SEEN)
    exact = exact_tags(embeddings, labels, candidates, k=2)
    expected = {}
    for embedding, label in sorted(zip(embeddings, labels, strict=True), key=lambda pair: pair[1]):
        if label < 8:
            found, n = expected.get(LABELS[label], (0, 0))
            expected[LABELS[label]] = found + (slow_rank(embedding, label, vectors[:8]) <= 2), n + 1
    assert exact.by_class == expected and list(exact.by_class) == list(expected)
    assert exact.found == sum(found for found, _ in expected.values())
    assert (exact.n, exact.without_answer) == ((labels < 8).sum(), (labels >= 8).sum())


def test_runs_are_combined_figure_by_figure(vectors):
    candidates = Candidates.from_labels("all", LABELS, vectors)
    runs, figures = [], []
    for seed, n in enumerate((50, 60, 60)):
        draw = np.random.default_rng(seed)
        labels = draw.integers(0, 12, n)
        runs.append(evaluate({"test": (vectors[labels] + draw.normal(size=(n, 5)), labels)}, [candidates]))
        figures.append(runs[-1].hit_at_k["test"]["all"][3])
    together = combine(runs)["test"]["all"][3]
    assert together.n == 3 and "50 to 60 test pictures; 3 seeds" in hit_table(runs, "test").caption
    assert together.mean == pytest.approx(sum(figures) / 3)
    assert together.std == pytest.approx(np.std(figures, ddof=1))
    single = combine(runs[:1])["test"]["all"][3]
    assert single.mean == figures[0] and np.isnan([single.std, single.low]).all()


def test_runs_of_different_protocols_are_not_combined(vectors, pictures):
    candidates = Candidates.from_labels("all", LABELS, vectors)
    with pytest.raises(ValueError, match="evaluation 2 measured other parts"):
        combine([evaluate({"test": pictures}, [candidates], ks=ks) for ks in [(1, 2), (1,)]])
    with pytest.raises(ValueError, match="no evaluation"):
        combine([])


@pytest.mark.parametrize("change, message", [
    ({"labels": [0.5]}, r"labels are float64"),
    ({"labels": [0, 1]}, r"expected integers \(1,\)"),
    ({"labels": [12]}, "labels run from 12 to 12: expected -1 to 11"),
    ({"labels": [-2]}, "labels run from -2"),
    ({"embeddings": [[1, 0, 0, 0]]}, "embeddings have 4 columns, expected 5"),
    ({"embeddings": [[0, 0, 0, 0, 0]]}, "embeddings hold 1 zero rows"),
    ({"ks": (0, 1)}, "expected depths of 1 and more"),
])
def test_what_does_not_fit_is_refused(vectors, change, message):
    given = {"embeddings": [[1, 0, 0, 0, 0]], "labels": [0]} | change
    with pytest.raises(ValueError, match=message):
        flat_hit_at_k(candidates=Candidates.from_labels("all", LABELS, vectors), **given)


def test_the_first_k_are_those_that_nearest_gives(vectors, pictures):
    embeddings, labels = pictures
    candidates = Candidates.from_labels("all", LABELS, vectors)
    ids, _ = nearest(unit_rows(embeddings), candidates.vectors, 5)
    hits = flat_hit_at_k(embeddings, labels, candidates, ks=(5,))[5]
    assert hits.tolist() == (ids == labels[:, None]).any(axis=1).tolist()


def test_depths_and_names_are_checked(vectors, pictures):
    candidates = Candidates.from_labels("all", LABELS, vectors)
    with pytest.raises(ValueError, match="k is 13: expected 1 to 12"):
        exact_tags(*pictures, candidates, k=13)
    with pytest.raises(ValueError, match="give each set its own name"):
        evaluate({"test": pictures}, [candidates, candidates])
    assert flat_hit_at_k(*pictures, candidates, ks=(20,)) == {}
    assert flat_hit_at_k(*pictures, candidates, ks=(13, 12))[12].all()
