import numpy as np
import pytest

from devise.index import load, make
from devise.index.sharded import Sharded


def vectors(n, seed=0, dim=12):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def test_rows_are_cut_into_parts_and_the_smallest_grows():
    index = make("sharded", parts=3).build(vectors(11))
    assert [len(part) for part in index._parts] == [3, 4, 4]
    index.remove([10, 9, 8])
    assert [len(part) for part in index._parts] == [3, 4, 1]
    index.add(vectors(1, seed=1), [50])
    assert [len(part) for part in index._parts] == [3, 4, 2]
    assert len(make("sharded", parts=9).build(vectors(2))._parts) == 2


def test_the_parts_have_the_engine_and_the_options_asked_for():
    index = make("sharded", parts=2, of="exact").build(vectors(4))
    assert [part.index.engine for part in index._parts] == ["exact"] * 2
    pytest.importorskip("annoy")
    index = make("sharded", parts=2, options={"n_trees": 3}).build(vectors(4))
    assert [(part.index.engine, part.index.n_trees) for part in index._parts] == [("annoy", 3)] * 2


@pytest.mark.parametrize("options, error, message", [
    ({"parts": 0}, ValueError, "parts is 0"), ({"of": "sharded"}, ValueError, "can't be sharded itself"),
    ({"of": "exakt"}, ValueError, "did you mean exact"),
    ({"of": "exact", "options": {"x": 1}}, TypeError, "no option x")])
def test_parts_that_can_not_be(options, error, message):
    with pytest.raises(error, match=message):
        make("sharded", **options)


def test_indexes_that_are_there_are_joined_under_ids_of_their_own(tmp_path):
    rows = vectors(40)
    left = make("exact").build(rows[:10], np.arange(10) * 3)
    right = make("exact").build(rows[10:])
    whole = Sharded.join([left, right])
    members = {int(member): row for member, row in zip([*range(0, 30, 3), *range(28, 58)], rows, strict=True)}
    assert whole.ids.tolist() == list(members)
    query = vectors(1, seed=2)
    unit = {member: row / np.linalg.norm(row) for member, row in members.items()}
    expected = sorted(members, key=lambda member: -(unit[member] @ query[0]))
    assert whole.search(query, 12).ids[0].tolist() == expected[:12]
    assert whole.search(query, 3, exclude=[expected[0]]).ids[0].tolist() == expected[1:4]
    np.testing.assert_allclose(whole.vectors([28, 3]), [unit[28], unit[3]], atol=1e-6)

    whole.save(tmp_path)  # one folder that holds them both
    whole = load(tmp_path)
    whole.remove([28, 0])
    whole.add(rows[:1], [90])
    assert whole.search(rows[:1], 1).ids.tolist() == [[90]] and 28 not in whole
    assert 0 in right and whole.search(query, 60).ids.max() == 90


def test_engines_can_be_mixed(tmp_path):
    pytest.importorskip("annoy")
    rows = vectors(60)
    parts = [make("annoy", search_k=10**6).build(rows[:30]), make("exact").build(rows[30:])]
    whole = Sharded.join(parts)
    exact = make("exact").build(rows)
    for either in (whole, (whole.save(tmp_path), load(tmp_path))[1]):
        np.testing.assert_array_equal(either.search(vectors(5, seed=3), 7).ids, exact.search(vectors(5, seed=3), 7).ids)


@pytest.mark.parametrize("indexes", [[], [np.eye(3), np.eye(4)]])
def test_only_indexes_of_one_dim_are_joined(indexes):
    with pytest.raises(ValueError, match="expected built ones of one dim"):
        Sharded.join([make("exact").build(rows) for rows in indexes])


def test_ids_that_would_overlap_are_refused():
    parts = [make("exact").build(vectors(4)), make("exact").build(vectors(4))]
    assert Sharded.join(parts, firsts=[0, 10]).ids.tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    with pytest.raises(ValueError, match="overlap when 0, 3 are added"):
        Sharded.join(parts, firsts=[0, 3])
