"""Relevance in blocks, against all pairs at once; sparse and dense rows must say the same."""

import numpy as np
import pytest
from scipy import sparse

from devise.words.relevance import ENTRY_BYTES, Relevance

N = 40


def drawn(seed=0, columns=12):
    random = np.random.default_rng(seed)
    rows = random.random((N, columns)) * (random.random((N, columns)) < 0.3)
    rows[np.arange(N), random.integers(columns, size=N)] += 0.5
    rows[7] = rows[3]  # twins tie
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


KINDS = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}


@pytest.fixture(params=KINDS)
def relevance(request):
    return Relevance(KINDS[request.param](drawn()))


def test_blocks_and_pairs_are_parts_of_all_cosines(relevance):
    whole = drawn() @ drawn().T
    assert len(relevance) == N
    assert relevance.block([3, 0]) == pytest.approx(whole[[3, 0]], abs=1e-6)
    assert relevance.block([3, 0], [5, 5, 1]) == pytest.approx(whole[np.ix_([3, 0], [5, 5, 1])], abs=1e-6)
    rows, columns = np.random.default_rng(1).integers(N, size=(2, 300))
    assert relevance.pairs(rows, columns) == pytest.approx(whole[rows, columns], abs=1e-6)
    assert relevance.pairs([], []).shape == (0,)


@pytest.mark.parametrize("step", [1, 7, N, 1000])
def test_neighbours_are_the_most_alike_others_whatever_the_blocks(relevance, step):
    seen = []
    found = relevance.neighbours(5, block_bytes=step * ENTRY_BYTES * N, progress=lambda *at: seen.append(at))
    for row, cosines in enumerate(relevance.block(np.arange(N))):
        others = sorted((other for other in range(N) if other != row), key=lambda other: (-cosines[other], other))
        assert found.scores[row] == pytest.approx(cosines[others[:5]], abs=1e-6)
        assert found.ids[row].tolist() == others[:5]
    assert found.ids[3, 0] == 7 and found.ids[7, 0] == 3
    assert seen[-1] == (N, N) and len(seen) == -(-N // step)


def test_blocks_hold_no_more_than_they_may(relevance):
    sizes = [len(block) for _, block in relevance.blocks(block_bytes=3 * ENTRY_BYTES * N + 1)]
    assert max(sizes) == 3 and sum(sizes) == N


def test_a_subset_keeps_its_own_pairs_in_the_order_given(relevance):
    whole = relevance.block(np.arange(N))
    assert relevance.subset([9, 2]).block([0, 1]) == pytest.approx(whole[np.ix_([9, 2], [9, 2])], abs=1e-6)


def test_zero_rows_are_listed_and_alike_to_nothing():
    rows = drawn()
    rows[4] = 0
    for kind in KINDS.values():
        relevance = Relevance(kind(rows))
        assert relevance.empty.tolist() == [4] and not relevance.block([4]).any()


def test_what_cannot_be_is_said(relevance):
    for m in (0, N):
        with pytest.raises(ValueError, match=f"m is {m}: expected 1 to {N - 1}"):
            relevance.neighbours(m)
    with pytest.raises(ValueError, match="2 rows don't have length 1, the first is row 1 with 2"):
        Relevance([[1, 0], [2, 0], [np.nan, 0]])
    with pytest.raises(ValueError, match="expected pairs"):
        relevance.pairs([1, 2], [1])
    with pytest.raises(ValueError, match="expected \\(n, d\\)"):
        Relevance(np.ones(3))
