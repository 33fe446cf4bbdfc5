"""Splits against their promises, for drawn sizes, shares and seeds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devise.datasets import Split, query_gallery, split

NAMES = tuple(f"class {letter}" for letter in "abcdefgh")

sizes = st.lists(st.integers(0, 30), min_size=2, max_size=8).filter(lambda sizes: np.count_nonzero(sizes) > 1)
shares = st.floats(0.05, 0.9)


def rows_of(counts, unlabelled=0, order=0):
    labels = np.concatenate([np.full(unlabelled, -1), np.repeat(np.arange(len(counts)), counts)])
    return np.random.default_rng(order).permutation(labels)


def parts(drawn):
    return {"train": drawn.train, "validation": drawn.validation, "test": drawn.test,
            "unseen": drawn.unseen_rows}


@settings(max_examples=150, deadline=None)
@given(counts=sizes, unlabelled=st.integers(0, 3), test=shares, validation=shares, seed=st.integers(0, 2**40),
       data=st.data())
def test_promises(counts, unlabelled, test, validation, seed, data):
    labels, names = rows_of(counts, unlabelled), NAMES[:len(counts)]
    n_unseen = data.draw(st.integers(0, sum(map(bool, counts)) - 1))
    drawn = split(labels, names, unseen=n_unseen, test=test, validation=validation, seed=seed)
    again = split(labels, names, unseen=n_unseen, test=test, validation=validation, seed=seed)

    everything = np.concatenate(list(parts(drawn).values()))
    assert sorted(everything.tolist()) == np.flatnonzero(labels >= 0).tolist()  # complete and disjoint
    assert len(drawn.unseen) == n_unseen
    assert sorted(drawn.seen + drawn.unseen) == [names[row] for row, count in enumerate(counts) if count]
    assert {names[label] for label in labels[drawn.unseen_rows]} == set(drawn.unseen)
    for part, rows in parts(drawn).items():
        assert rows.dtype == np.int64 and (np.diff(rows) > 0).all()
        np.testing.assert_array_equal(rows, parts(again)[part])
    for name in drawn.seen:
        count = counts[names.index(name)]
        own = labels == names.index(name)
        of = {part: own[rows].sum() for part, rows in parts(drawn).items()}
        assert of["train"] >= 1 and of["unseen"] == 0
        assert of["test"] >= (count >= 2)
        if 1 <= round(test * count) < count:
            assert abs(of["test"] - test * count) <= 0.5 + 1e-9
        left = count - of["test"]
        assert of["validation"] == left - 1 or abs(of["validation"] - validation * left) <= 0.5 + 1e-9


@pytest.mark.parametrize("count, expected", [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (2, 0, 1)), (5, (4, 0, 1)),
                                             (10, (7, 1, 2)), (13, (9, 1, 3)), (50, (36, 4, 10))])
def test_sizes_by_hand(count, expected):
    drawn = split([0] * count, ("cat",))
    assert (len(drawn.train), len(drawn.validation), len(drawn.test)) == expected


def test_shares_of_nothing():
    drawn = split([0] * 10, ("cat",), test=0, validation=0)
    assert len(drawn.train) == 10 and len(drawn.test) == len(drawn.validation) == len(drawn.unseen_rows) == 0


def paths_of(labels, names):
    seen = dict.fromkeys(range(-1, len(names)), 0)
    paths = []
    for label in labels:
        paths.append(f"{names[label] if label >= 0 else 'none'}/{seen[label]}.jpg")
        seen[label] += 1
    return paths


def test_a_class_does_not_depend_on_the_others():
    few, names = rows_of([20, 15]), ("okapi", "zebra")
    more, more_names = rows_of([7, 20, 9, 15], order=3), ("ant", "okapi", "otter", "zebra")
    one = split(few, names, seed=4).to_json(paths_of(few, names))
    other = split(more, more_names, seed=4, unseen=["otter"]).to_json(paths_of(more, more_names))
    for part in ("train", "validation", "test"):
        shared = {path for path in other[part] if path.split("/")[0] in names}
        assert set(one[part]) == shared


def test_classes_of_one_size_are_drawn_apart():
    drawn = split(np.repeat([0, 1], 40), ("cat", "dog"), seed=0).test
    assert drawn[drawn < 40].tolist() != (drawn[drawn >= 40] - 40).tolist()


def test_adding_a_class_moves_at_most_one_unseen_class():
    before = split(rows_of([9] * 7), NAMES[:7], unseen=3, seed=1).unseen
    after = split(rows_of([9] * 8), NAMES, unseen=3, seed=1).unseen
    assert len(set(before) & set(after)) >= 2


def test_seeds_differ():
    labels = rows_of([40] * 8)
    drawn = [split(labels, NAMES, unseen=3, seed=seed) for seed in range(12)]
    assert len({d.unseen for d in drawn}) > 6
    assert len({tuple(d.test) for d in drawn}) == 12


def test_the_hash_seed_of_python_does_not_matter():
    program = ("from devise.datasets import split\n"
               "drawn = split([0, 1, 2] * 9, ('a', 'b', 'c'), unseen=1, seed=3)\n"
               "print(drawn.to_json([str(row) for row in range(27)]))")
    outputs = {subprocess.run([sys.executable, "-c", program], text=True, check=True, capture_output=True,
                              env={**os.environ, "PYTHONHASHSEED": hash_seed}).stdout for hash_seed in "01"}
    assert len(outputs) == 1


def test_unseen_by_name():
    labels = rows_of([5, 5, 5], unlabelled=2)
    drawn = split(labels, ("cat", "dog", "emu"), unseen=["emu", "cat", "emu"])
    assert drawn.unseen == ("cat", "emu") and drawn.seen == ("dog",)
    assert set(labels[drawn.unseen_rows]) == {0, 2} and len(drawn.unseen_rows) == 10
    assert split(labels, ("cat", "dog", "emu"), unseen="emu").unseen == ("emu",)


@pytest.mark.parametrize("options, message", [
    ({"unseen": ["elefant"]}, "no class 'elefant': did you mean elephant"),
    ({"unseen": ["qqq"]}, "no class 'qqq': expected elephant, emu, ghost"),
    ({"unseen": ["ghost"]}, "the unseen class 'ghost' has no picture"),
    ({"unseen": ["elephant", "emu"]}, "no seen class is left: all 2"),
    ({"unseen": 2}, "unseen is 2: expected 0 to 1"), ({"unseen": -1}, "unseen is -1"),
    ({"test": 1}, "test is 1"), ({"validation": -0.1}, "validation is -0.1"),
    ({"labels": [0, 3]}, "label 3 names none of the 3 classes"),
])
def test_what_can_not_be_split(options, message):
    with pytest.raises(ValueError, match=message):
        split(**({"labels": [0, 0, 1], "label_names": ("elephant", "emu", "ghost")} | options))


def test_json_round_trip_in_another_order():
    labels, names = rows_of([6, 9, 4], unlabelled=1), ("ant", "bee", "cat")
    paths = paths_of(labels, names)
    drawn = split(labels, names, unseen=["cat"], seed=8)
    document = json.loads(json.dumps(drawn.to_json(paths)))
    assert sorted(document) == ["seed", "seen", "test", "train", "unseen", "unseen_rows", "validation"]
    shuffled = np.random.default_rng(0).permutation(paths).tolist() + ["new/1.jpg"]
    back = Split.from_json(document, shuffled)
    assert back.to_json(shuffled) == document
    for part in ("train", "validation", "test", "unseen_rows"):
        assert [shuffled[row] for row in getattr(back, part)] == [paths[row] for row in getattr(drawn, part)]


def test_json_that_does_not_fit():
    document = split([0] * 5, ("cat",)).to_json([f"{row}.jpg" for row in range(5)])
    with pytest.raises(ValueError, match="2 pictures of the split are not among the 3 here, the"):
        Split.from_json(document, ["2.jpg", "3.jpg", "4.jpg"])
    twice = [*map("{}.jpg".format, range(5)), "0.jpg"]
    with pytest.raises(ValueError, match="1 paths stand twice"):
        Split.from_json(document, twice)
    with pytest.raises(ValueError, match="1 paths stand twice"):
        split([0] * 6, ("cat",)).to_json(twice)
    with pytest.raises(ValueError, match="the split lacks test: it is damaged"):
        Split.from_json({key: document[key] for key in document if key != "test"}, [])


def test_parts_must_not_overlap():
    with pytest.raises(ValueError, match="row 1 is in two parts"):
        Split(("cat",), (), train=[0, 1], validation=[], test=[1], unseen_rows=[], seed=0)
    with pytest.raises(ValueError, match="both seen and unseen: cat"):
        Split(("cat",), ("cat",), train=[0], validation=[], test=[1], unseen_rows=[], seed=0)
    with pytest.raises(ValueError, match="read-only"):
        split([0] * 5, ("cat",)).train[0] = 3


@settings(max_examples=60, deadline=None)
@given(counts=sizes, unlabelled=st.integers(0, 3), queries=st.integers(1, 5), seed=st.integers(0, 9))
def test_query_gallery(counts, unlabelled, queries, seed):
    labels = rows_of(counts, unlabelled)
    query, gallery = query_gallery(labels, seed=seed, queries=queries)
    assert sorted([*query, *gallery]) == np.flatnonzero(labels >= 0).tolist()
    for label, count in enumerate(counts):
        assert (labels[query] == label).sum() == min(queries, max(count - 1, 0))
    np.testing.assert_array_equal(query, query_gallery(labels, seed=seed, queries=queries)[0])


def test_query_gallery_needs_a_query():
    with pytest.raises(ValueError, match="queries is 0: expected 1 or more"):
        query_gallery([0, 0], queries=0)
