import numpy as np
import pytest

from devise.index import load, make
from devise.index.comparing import SPARE


@pytest.mark.parametrize("n_equal", [1, 5, 5 + SPARE, 6 + SPARE, 200])
def test_ties_of_any_length(n_equal):
    random = np.random.default_rng(n_equal)
    rows = random.standard_normal((400, 120))
    rows[200:200 + n_equal] = rows[200]
    ids = random.permutation(400)
    queries = rows[200] + 0.1 * random.standard_normal((70, 120))
    hits = make("exact").build(rows, ids).search(queries, k=5)
    equal = np.sort(ids[200:200 + n_equal])[:5]
    assert (hits.ids[:, :len(equal)] == equal).all()


def test_opened_by_mapping(tmp_path):
    make("exact").build(np.eye(5)).save(tmp_path)
    index = load(tmp_path)
    assert isinstance(index._segments[0].rows, np.memmap)
    index.add([[1, 1, 0, 0, 0]], [7])
    assert index.search([[1, 1, 0, 0, 0]], 1).ids.tolist() == [[7]]


def test_recall_is_one_by_definition():
    assert make("exact").build(np.eye(3)).recall() == 1.0
