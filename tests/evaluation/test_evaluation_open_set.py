"""Retrieval that may refuse, against loops."""

import json
import math

import numpy as np
import pytest

from devise.arrays import unit_rows
from devise.evaluation import best_scores, choose_threshold, evaluate_open_set


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    labels = random.integers(0, 12, 150)
    labels[:5] = -1
    return random.standard_normal((12, 6))[labels] + 0.7 * random.standard_normal((150, 6)), labels


def by_loop(embeddings, labels, queries, gallery):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    best = {"genuine": [], "impostor": []}
    for query in queries:
        scores = {"genuine": [-math.inf], "impostor": [-math.inf]}
        for row in gallery:
            if row != query:
                same = labels[row] == labels[query] != -1
                scores["genuine" if same else "impostor"].append(unit[row] @ unit[query])
        for kind in best:
            best[kind].append(max(scores[kind]))
    return np.array(best["genuine"]), np.array(best["impostor"])


@pytest.mark.parametrize("block_bytes", [1, 2**20])
def test_best_scores(rows, block_bytes):
    queries, gallery = np.arange(40), np.arange(2, 150)[::-1]
    got = best_scores(*rows, queries=queries, gallery=gallery, block_bytes=block_bytes)
    np.testing.assert_allclose(got, by_loop(*rows, queries, gallery), rtol=1e-5)
    assert np.isinf(got.genuine[:5]).all()


@pytest.mark.parametrize("rate", [0, 0.05, 0.2])
def test_a_threshold_keeps_its_share_of_impostors(rows, rate):
    threshold = choose_threshold(*rows, false_accept_rate=rate)
    impostor = best_scores(*rows).impostor
    assert np.mean(impostor >= threshold) <= rate < np.mean(impostor >= threshold) + 1.01 / 150


def test_figures_of_a_threshold(rows):
    embeddings, labels = rows
    known_classes = np.arange(8)
    gallery = [row for row in range(75) if labels[row] in known_classes]
    figures = evaluate_open_set(embeddings, labels, gallery=gallery, threshold=0.8)
    queries = [row for row in range(150) if row not in gallery]
    genuine, impostor = by_loop(embeddings, labels, queries, gallery)
    counts = {"unknown": 0, "known": 0, "let in": 0, "refused": 0, "named": 0}
    for mine, other in zip(genuine, impostor, strict=True):
        known, accepted = mine > -math.inf, max(mine, other) >= 0.8
        counts["known" if known else "unknown"] += 1
        counts["let in"] += accepted and not known
        counts["refused"] += known and not accepted
        counts["named"] += known and accepted and mine > other
    assert (figures.n_known, figures.n_unknown) == (counts["known"], counts["unknown"])
    assert figures.gallery == len(gallery) and min(counts.values()) > 2
    assert figures.unknown_accepted == pytest.approx(counts["let in"] / counts["unknown"])
    assert figures.known_rejected == pytest.approx(counts["refused"] / counts["known"])
    assert figures.identified == pytest.approx(counts["named"] / counts["known"])
    place = np.searchsorted(-figures.curve.thresholds, -0.8, side="right") - 1
    assert figures.curve.false_accept_rate[place] == pytest.approx(figures.unknown_accepted)
    assert figures.curve.true_accept_rate[place] == pytest.approx(1 - figures.known_rejected)


def test_copies_of_other_classes_are_a_tie_and_so_no_identification():
    """Ten rows, each held by two classes: a matrix product may round the copies differently."""
    random = np.random.default_rng(1)
    places = random.standard_normal((10, 200)).astype(np.float32)
    gallery = np.repeat(places, 2, axis=0)
    queries = places + 0.2 * random.standard_normal((10, 200)).astype(np.float32)
    rows = np.concatenate([gallery, queries, -places[:1]])
    labels = np.concatenate([np.arange(20), np.arange(0, 20, 2), [99]])
    best = best_scores(rows, labels, queries=np.arange(20, 30), gallery=np.arange(20))
    np.testing.assert_array_equal(best.genuine, best.impostor)
    assert evaluate_open_set(rows, labels, gallery=np.arange(20), threshold=0.0).identified == 0


def test_the_best_of_near_ties_is_that_of_float64():
    random = np.random.default_rng(2)
    rows = unit_rows(random.standard_normal(200) + 1e-7 * random.standard_normal((300, 200)))
    queries = unit_rows(rows[:6] + 0.05 * random.standard_normal((6, 200)))
    labels = np.concatenate([np.arange(300) % 2, np.zeros(6, int)])
    best = best_scores(np.concatenate([rows, queries]), labels, queries=np.arange(300, 306), gallery=np.arange(300))
    cosines = np.float32([[math.fsum(np.float64(row) * one) for row in rows] for one in queries])
    np.testing.assert_array_equal(best.genuine, cosines[:, ::2].max(axis=1))
    np.testing.assert_array_equal(best.impostor, cosines[:, 1::2].max(axis=1))


def test_the_document_and_an_infinite_threshold(rows):
    figures = evaluate_open_set(*rows, gallery=np.flatnonzero(rows[1] == 3), queries=np.arange(60),
                                threshold=-math.inf)
    document = json.loads(json.dumps(figures.to_json(), allow_nan=False))
    assert document["threshold"] is None and document["unknown_accepted"] == 1 and document["known_rejected"] == 0
    assert set(document["true_accept_rate"]) == {"0.001", "0.01", "0.1"}


def test_a_class_joins_the_gallery_without_training(rows):
    embeddings, labels = rows
    old = np.flatnonzero((labels >= 0) & (labels < 8) & (np.arange(150) < 75))
    new = np.flatnonzero((labels == 9) & (np.arange(150) < 75))
    asked = np.flatnonzero((labels >= 0) & (np.arange(150) >= 75))
    before = evaluate_open_set(embeddings, labels, gallery=old, queries=asked, threshold=0.5)
    after = evaluate_open_set(embeddings, labels, gallery=[*old, *new], queries=asked, threshold=0.5)
    moved = int((labels[asked] == 9).sum())
    assert len(new) and moved and after.n_known == before.n_known + moved


def test_bad_input(rows):
    embeddings, labels = rows
    with pytest.raises(ValueError, match="have their class in the gallery"):
        evaluate_open_set(embeddings[5:], labels[5:], gallery=np.arange(100), queries=np.arange(100), threshold=0)
    with pytest.raises(ValueError, match="two classes or more"):
        choose_threshold([[1, 0], [0, 1]], [4, 4])
    with pytest.raises(ValueError, match="gallery is empty"):
        best_scores(embeddings, labels, gallery=[])
