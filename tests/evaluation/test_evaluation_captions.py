"""Protocols of retrieval by captions, against loops over every triplet, sentence and judgement."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from devise.evaluation import captions
from devise.evaluation.captions import (
    ceiling,
    correlation,
    graded,
    judged_triplets,
    text_retrieval,
)

N = 9


@pytest.fixture
def matrices():
    """Scores and relevance of nine pictures, rounded so that both have ties."""
    random = np.random.default_rng(0)
    truth = np.round(random.uniform(0, 1, (N, N)), 1)
    scores = np.round(truth + random.normal(scale=0.4, size=(N, N)), 1)
    return scores, truth


def test_agreement_is_that_of_a_loop_over_all_triplets(matrices):
    scores, truth = matrices
    found = graded(scores, truth, r=3)
    each, ties, decided, every = [], 0, 0, 0
    for query in range(N):
        values = []
        for one, two in itertools.combinations([other for other in range(N) if other != query], 2):
            every += 1
            if truth[query, one] == truth[query, two]:
                continue
            decided += 1
            if scores[query, one] == scores[query, two]:
                ties += 1
                values.append(0.5)
            else:
                said, so = scores[query, one] - scores[query, two], truth[query, one] - truth[query, two]
                values.append(float(said * so > 0))
        each.append(np.mean(values))
    assert found.agreement == pytest.approx(each)
    assert (found.triplets, found.ties, found.undecided) == (decided, ties / decided, 1 - decided / every)
    assert 0 < found.ties < 1 and 0 < found.undecided < 1


def test_gain_and_correlation_leave_the_query_out(matrices):
    scores, truth = matrices
    found = graded(scores, truth, r=3)
    for query in range(N):
        others = np.array([other for other in range(N) if other != query])
        order = others[np.argsort(-scores[query, others], kind="stable")]
        best = sorted(truth[query, others], reverse=True)
        curve = []
        for r in range(1, N):
            gain, most = (sum(value / math.log2(place + 2) for place, value in enumerate(values[:r]))
                          for values in (truth[query, order], best))
            curve.append(gain / most)
        assert found.ndcg[query] == pytest.approx(curve[2]) and found.area[query] == pytest.approx(np.mean(curve))
        expected = np.corrcoef(scores[query, others], truth[query, others])[0, 1]
        assert found.pearson[query] == pytest.approx(expected)


def test_an_order_by_the_truth_is_perfect_and_the_reverse_is_nothing(matrices):
    truth = np.random.default_rng(1).uniform(-0.1, 1, (N, N))
    found, reverse = graded(truth, truth), graded(-truth, truth)
    assert found.means() == pytest.approx({"agreement": 1, "ndcg": 1, "area": 1, "pearson": 1})
    assert reverse.means()["agreement"] == 0 and reverse.means()["pearson"] == pytest.approx(-1)
    assert graded(np.ones((N, N)), truth).means()["agreement"] == 0.5


def test_triplets_may_be_drawn(matrices):
    scores, truth = matrices
    found, every = graded(scores, truth, triplets=12, seed=3), graded(scores, truth)
    assert found.triplets < every.triplets and abs(found.means()["agreement"] - every.means()["agreement"]) < 0.2
    assert found.to_json() == graded(scores, truth, triplets=12, seed=3).to_json()


def test_a_query_that_nothing_is_like_is_undefined_and_json_has_null():
    found = graded(np.random.default_rng(0).uniform(size=(3, 3)), np.zeros((3, 3)))
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document == {"agreement": None, "ndcg": None, "area": None, "pearson": None, "n": 3, "ties": 0,
                        "undecided": 1, "triplets": 0}


def test_sentences_and_pictures_find_one_another_as_in_a_loop():
    random = np.random.default_rng(4)
    owners = np.array([0, 0, 1, 3, 3, 3])
    scores = random.normal(size=(4, 6))
    found = text_retrieval(scores, owners, ks=(1, 2, 4))
    for picture in (0, 1, 3):
        ahead = [min(np.sum(scores[picture] > scores[picture, text]) for text in np.flatnonzero(owners == picture))]
        assert found.image_ranks[picture] == 1 + ahead[0]
    assert found.text_ranks.tolist() == [1 + np.sum(scores[:, text] > scores[owners[text], text]) for text in range(6)]
    assert found.median_ranks() == {"image → text": np.median(found.image_ranks[[0, 1, 3]]),
                                    "text → image": np.median(found.text_ranks)}
    ranks = (found.image_ranks[[0, 1, 3]], found.text_ranks)
    assert found.mean_recall() == pytest.approx(np.mean([np.mean(way <= k) for way in ranks for k in (1, 2, 4)]))
    for k in (1, 2, 4):
        for picture in range(4):
            best = sorted(range(6), key=lambda text: -scores[picture, text])[:k]  # noqa: B023
            expected = any(owners[text] == picture for text in best)
            assert np.isnan(found.image_to_text[k][2]) if picture == 2 else found.image_to_text[k][picture] == expected
        for text in range(6):
            best = sorted(range(4), key=lambda picture: -scores[picture, text])[:k]  # noqa: B023
            assert found.text_to_image[k][text] == (owners[text] in best)
    means = found.means()
    assert means["text → image @4"] == 1
    assert means["image → text @1"] == pytest.approx(np.mean(found.image_to_text[1][[0, 1, 3]]))


def test_ranks_do_not_follow_the_rounding_of_float32():
    random = np.random.default_rng(5)
    owners = np.repeat(np.arange(20), 3)
    scores = np.round(random.uniform(-1, 1, (20, 60)), 1)  # ties in each row
    orders = [np.argsort(-row, kind="stable").tolist() for row in scores]
    expected = [1 + min(order.index(text) for text in np.flatnonzero(owners == picture))
                for picture, order in enumerate(orders)]
    noisy = (scores + random.uniform(-2e-7, 2e-7, scores.shape)).astype(np.float32)
    for given in (scores, noisy):
        found = text_retrieval(given, owners)
        assert found.image_ranks.tolist() == expected
        assert found.text_ranks.tolist() == [
            1 + np.argsort(-scores[:, text], kind="stable").tolist().index(owners[text]) for text in range(60)]


def judged(n=60):
    random = np.random.default_rng(5)
    pictures = random.integers(0, 20, n)
    said = random.integers(1, 5, (n, 3)).astype(float)
    said[:, 1:] += said[:, :1]
    return said.mean(axis=1) + random.normal(scale=1, size=n), said, pictures


def test_correlations_are_those_of_scipy_and_the_interval_holds_them():
    scores, said, pictures = judged()
    found = correlation(scores, said.mean(axis=1), pictures)
    assert found.spearman == pytest.approx(spearmanr(scores, said.mean(axis=1)).statistic)
    assert found.kendall == pytest.approx(kendalltau(scores, said.mean(axis=1)).statistic)
    assert found.low < found.spearman < found.high and found.n == 60
    assert found == correlation(scores, said.mean(axis=1), pictures)
    draws, groups = np.random.default_rng(0), [np.flatnonzero(pictures == picture) for picture in np.unique(pictures)]
    drawn = [np.concatenate([groups[group] for group in draws.integers(len(groups), size=len(groups))])
             for _ in range(1000)]
    again = [spearmanr(scores[rows], said[rows].mean(axis=1)).statistic for rows in drawn]
    assert (found.low, found.high) == pytest.approx(np.quantile(again, [0.025, 0.975]))


@pytest.mark.parametrize("n", [150, 500])
def test_the_interval_of_a_correlation_holds_the_truth(n, monkeypatch):
    """Pictures with two judgements each, which share a part; of normal rows ρ = 6/π asin(r/2)."""
    monkeypatch.setattr(captions, "RESAMPLES", 100)
    pictures, truth, held = np.repeat(np.arange(n), 2), 6 / np.pi * np.arcsin(0.35), 0
    for run in range(150):
        random = np.random.default_rng(run)
        left, noise = (np.sqrt(0.3) * random.normal(size=n)[pictures] + np.sqrt(0.7) * random.normal(size=2 * n)
                       for _ in range(2))
        found = correlation(left, 0.7 * left + np.sqrt(1 - 0.49) * noise, pictures, seed=run)
        held += found.low <= truth <= found.high
    assert 0.89 <= held / 150 <= 0.99


def test_judgements_of_one_picture_are_drawn_together():
    scores, said, _ = judged()
    said = said.mean(axis=1)
    twice = np.concatenate([scores, scores]), np.concatenate([said, said])
    apart = correlation(*twice, np.arange(120))
    together = correlation(*twice, np.tile(np.arange(60), 2))
    once = correlation(scores, said, np.arange(60))
    width = {name: found.high - found.low for name, found in (("apart", apart), ("together", together), ("once", once))}
    assert width["together"] == pytest.approx(width["once"], rel=0.15) and width["apart"] < 0.85 * width["once"]


def test_the_ceiling_is_each_rater_against_the_mean_of_the_others():
    _, said, pictures = judged()
    found = ceiling(said, pictures)
    expected = np.mean([spearmanr(said[:, one], said[:, [a for a in range(3) if a != one]].mean(axis=1)).statistic
                        for one in range(3)])
    assert found.spearman == pytest.approx(expected) and found.low < expected < found.high
    assert ceiling(np.tile(said[:, :1], 3), pictures).spearman == pytest.approx(1)


def test_pairs_of_sentences_about_one_picture_are_judged():
    scores, said = [0.9, 0.1, 0.5, 0.5, 0.3], [4, 1, 2, 2, 1]
    found = judged_triplets(scores, said, [7, 7, 7, 8, 8])
    assert (found.n, found.right, found.undecided) == (4, 4, 0)
    assert judged_triplets(scores, [1, 2, 2, 4, 4], [7, 7, 7, 8, 8])[:3] == (0.0, 2, 0)


def test_constant_scores_have_no_correlation():
    found = correlation(np.ones(4), [1, 2, 3, 4], [0, 1, 2, 3])
    assert math.isnan(found.spearman) and math.isnan(found.low)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: graded(np.eye(2), np.eye(2)), "three or more"),
    (lambda: graded(np.eye(3), np.eye(4)), "of the same pictures"),
    (lambda: graded(np.full((3, 3), np.nan), np.eye(3)), "hold NaN"),
    (lambda: text_retrieval(np.eye(3), [0, 1]), "3 sentences and 3 pictures but owners of shape"),
    (lambda: text_retrieval(np.eye(3), [0, 1, 3]), "one picture, 0 and up"),
    (lambda: text_retrieval(np.full((2, 2), np.nan), [0, 1]), "hold NaN"),
    (lambda: correlation([1], [1, 2], [0, 0]), "expected one of each"),
    (lambda: correlation([], [], []), "there are no judgements"),
    (lambda: ceiling(np.ones((4, 1)), np.arange(4)), "two raters or more"),
])
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
