"""What every rule must do, whatever its arithmetic; a new rule joins RULES."""

from typing import NamedTuple

import numpy as np
import pytest

from devise import heads, zeroshot
from devise.index import Hits

N, CLASSES, CANDIDATES, WIDTH, DIM = 60, 6, 7, 9, 5
RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.normal(size=(CANDIDATES, DIM))  # of which the last one has no pictures
LABELS = np.arange(N) % CLASSES
FEATURES = VECTORS[LABELS] @ RANDOM.normal(size=(DIM, WIDTH)) + RANDOM.normal(size=(N, WIDTH))
EMBEDDINGS, LOGITS = RANDOM.normal(size=(N, DIM)), RANDOM.normal(size=(N, CLASSES))
MASK = np.arange(CLASSES) == 2


class Case(NamedTuple):
    """How to make a rule: `make(candidates, seed)`; x for it; what an error calls a wrong x."""

    make: callable
    x: np.ndarray
    x_name: str = "features"


def fitted(method, **options):
    def make(candidates, seed):
        return zeroshot.onto(method(**options).fit(FEATURES, LABELS, VECTORS, seed=seed), candidates)
    return Case(make, FEATURES)


def nearest(candidates):
    return zeroshot.NearestLabel(candidates)


def embedded(make):
    return Case(lambda candidates, seed: make(candidates), EMBEDDINGS, "embeddings")


def conse(**options):
    head = heads.ConseHead.of_logits(VECTORS[:CLASSES], **options)
    return Case(lambda candidates, seed: zeroshot.onto(head, candidates), LOGITS, "logits")


def lift(**options):
    def make(candidates, seed):
        return zeroshot.Lift(zeroshot.kernel(VECTORS[:CLASSES], candidates), **options)
    return Case(make, LOGITS, "logits")


def seen(candidates):
    """Whether each candidate points where one of the first four of VECTORS does."""
    ratios, known = (rows[:, -1] / rows[:, -2] for rows in (candidates, VECTORS[:4]))
    return np.isclose(ratios[:, None], known).any(axis=1)


def stacking(candidates):
    return zeroshot.Stacking(nearest(candidates), seen(candidates), gamma=0.3)


def all_at_once(candidates):
    csls = zeroshot.CSLS(nearest(candidates), EMBEDDINGS[:30])
    return zeroshot.Stacking(csls, seen(candidates), gamma=0.3)


RULES = {
    "nearest": embedded(nearest),
    "inner product": embedded(zeroshot.InnerProduct),
    "conse 1": conse(top=1),
    "conse 3, masked": conse(top=3, mask=MASK),
    "conse all": conse(top=1000, temperature=2.0),
    "lift": lift(),
    "lift, masked": lift(temperature=0.5, gamma=0.8, mask=MASK),
    "ridge": fitted(heads.RidgeHead, penalty=1.0),
    "head": Case(lambda candidates, seed: zeroshot.NearestLabel(
        candidates, heads.RidgeHead(1.0).fit(FEATURES, LABELS, VECTORS).embed), FEATURES),
    "eszsl": fitted(heads.ESZSL),
    "sae": fitted(heads.SAE),
    "ale": fitted(heads.ALE),
    "sje": fitted(heads.SJE),
    "stacking": embedded(stacking),
    "csls": embedded(lambda candidates: zeroshot.CSLS(nearest(candidates), EMBEDDINGS[:30], neighbours=3)),
    "all at once": embedded(all_at_once),
}


@pytest.fixture(params=RULES)
def case(request):
    return RULES[request.param]


@pytest.fixture
def rule(case):
    return case.make(VECTORS, seed=0)


def test_hits_are_k_distinct_candidates_best_first(rule, case):
    hits = rule.tag(case.x[:4], k=3)
    assert isinstance(hits, Hits)
    assert hits.ids.shape == hits.scores.shape == (4, 3)
    assert hits.ids.dtype == np.int64 and hits.scores.dtype == np.float32
    assert all(len(set(row)) == 3 and set(row) <= set(range(CANDIDATES)) for row in hits.ids.tolist())
    assert (np.diff(hits.scores, axis=1) <= 0).all()


def test_tags_are_the_largest_scores(rule, case):
    scores, hits = rule.scores(case.x), rule.tag(case.x, k=CANDIDATES)
    assert scores.shape == (N, CANDIDATES) and scores.dtype == np.float32
    assert rule.n_candidates == CANDIDATES
    for row, ids, own in zip(scores, hits.ids, hits.scores, strict=True):
        assert ids.tolist() == sorted(range(CANDIDATES), key=lambda c: (-row[c], c))
        assert own.tolist() == row[ids].tolist()


def test_fewer_are_the_beginning_of_more(rule, case):
    np.testing.assert_array_equal(rule.tag(case.x, k=2).ids, rule.tag(case.x, k=CANDIDATES).ids[:, :2])


def test_small_blocks_change_nothing(rule, case, monkeypatch):
    whole, matrix = rule.tag(case.x, k=3), rule.scores(case.x)
    monkeypatch.setattr("devise.zeroshot.rules.BLOCK_BYTES", 4 * 9 * 7)
    monkeypatch.setattr("devise.heads.base.BLOCK_ROWS", 7)
    np.testing.assert_array_equal(rule.tag(case.x, k=3).ids, whole.ids)
    np.testing.assert_allclose(rule.tag(case.x, k=3).scores, whole.scores, atol=1e-5)
    np.testing.assert_allclose(rule.scores(case.x), matrix, atol=1e-5)


def test_no_block_is_larger_than_allowed(rule, case, monkeypatch):
    monkeypatch.setattr("devise.zeroshot.rules.BLOCK_BYTES", 4 * 9 * 7)
    sizes = [block.shape for block in rule.blocks(case.x)]
    assert sum(rows for rows, _ in sizes) == N
    assert max(rows for rows, _ in sizes) <= 9


def test_no_pictures_get_no_tags(rule, case):
    ids, scores = rule.tag(case.x[:0], k=3)
    assert ids.shape == scores.shape == (0, 3)
    assert rule.scores(case.x[:0]).shape == (0, CANDIDATES)


@pytest.mark.parametrize("k", [0, 8])
def test_k_out_of_range_is_refused(rule, case, k):
    with pytest.raises(ValueError, match=f"k is {k}: expected 1 to 7"):
        rule.tag(case.x, k=k)
    with pytest.raises(ValueError, match=f"k is {k}: expected 1 to 7"):
        rule.tag(case.x[:0], k=k)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(rule, case, bad):
    x = case.x.copy()
    x[2, 0] = bad
    with pytest.raises(ValueError, match=f"{case.x_name} hold NaN or infinity in 1 rows, the first is row 2"):
        rule.tag(x, k=1)


def test_other_columns_are_refused_with_what_was_expected(rule, case):
    columns = case.x.shape[1]
    with pytest.raises(ValueError, match=f"{case.x_name} have {columns - 1} columns, expected {columns}"):
        rule.tag(case.x[:, 1:], k=1)
    with pytest.raises(ValueError, match=f"{case.x_name} have shape"):
        rule.tag(case.x[0], k=1)


def test_candidates_of_another_dim_are_refused(case):
    with pytest.raises(ValueError, match="have (4 columns, expected 5|5 columns, expected 4)"):
        case.make(VECTORS[:, 1:], 0).tag(case.x, k=1)


def test_permuted_candidates_permute_the_ids(rule, case):
    order = np.random.default_rng(0).permutation(CANDIDATES)
    permuted = case.make(VECTORS[order], 0).tag(case.x, k=CANDIDATES)
    plain = rule.tag(case.x, k=CANDIDATES)
    np.testing.assert_array_equal(order[permuted.ids], plain.ids)
    np.testing.assert_allclose(permuted.scores, plain.scores, atol=1e-5)


def test_lengths_of_candidates_mean_nothing(rule, case):
    stretched = VECTORS * np.linspace(0.5, 3, CANDIDATES)[:, None]
    np.testing.assert_allclose(case.make(stretched, 0).scores(case.x), rule.scores(case.x), atol=1e-5)


def test_one_seed_gives_one_rule(rule, case):
    np.testing.assert_array_equal(case.make(VECTORS, 0).scores(case.x), rule.scores(case.x))


def test_nothing_given_is_changed(case):
    before = [part.copy() for part in (VECTORS, FEATURES, EMBEDDINGS, LOGITS, LABELS)]
    case.make(VECTORS, 0).tag(case.x, k=2)
    for part, old in zip((VECTORS, FEATURES, EMBEDDINGS, LOGITS, LABELS), before, strict=True):
        np.testing.assert_array_equal(part, old)
