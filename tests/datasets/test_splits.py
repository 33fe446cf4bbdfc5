"""Splits against their promises, for drawn sizes, shares and seeds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devise.datasets import PARTS, Split, split, split_rows

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
    one = split(few, names, seed=4).to_json(paths_of(few, names))["paths"]
    other = split(more, more_names, seed=4, unseen=["otter"]).to_json(paths_of(more, more_names))["paths"]
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
    assert document["names"] == {"train": ["ant", "bee"], "validation": ["ant", "bee"], "test": ["ant", "bee"],
                                 "unseen": ["cat"]}
    assert {part: len(told) for part, told in document["paths"].items()} == {
        part: len(drawn.rows(part)) for part in PARTS}
    shuffled = np.random.default_rng(0).permutation(paths).tolist() + ["new/1.jpg"]
    back = Split.from_json(document, shuffled)
    assert (back.names, back.seed) == (drawn.names, 8)
    for part in PARTS:
        assert {shuffled[row] for row in back.rows(part)} == {paths[row] for row in drawn.rows(part)}
        assert (np.diff(back.rows(part)) > 0).all()


def test_json_that_does_not_fit():
    document = split([0] * 5, ("cat",)).to_json([f"{row}.jpg" for row in range(5)])
    with pytest.raises(ValueError, match="2 pictures of the split are not among the 3 here, the"):
        Split.from_json(document, ["2.jpg", "3.jpg", "4.jpg"])
    twice = [*map("{}.jpg".format, range(5)), "0.jpg"]
    with pytest.raises(ValueError, match="1 paths stand twice"):
        Split.from_json(document, twice)
    with pytest.raises(ValueError, match="1 paths stand twice"):
        split([0] * 6, ("cat",)).to_json(twice)
    with pytest.raises(ValueError, match="the split lacks seed, the paths of test: it is damaged"):
        Split.from_json({"names": document["names"], "paths": {part: [] for part in PARTS if part != "test"}}, [])


def test_parts_must_not_overlap():
    with pytest.raises(ValueError, match="row 1 is in two parts"):
        Split([0, 1], test=[1])
    with pytest.raises(ValueError, match="both seen and unseen: cat"):
        Split([0], unseen_rows=[1], names={"train": ("cat",), "unseen": ("cat",)})
    with pytest.raises(ValueError, match="read-only"):
        split([0] * 5, ("cat",)).train[0] = 3


@pytest.mark.parametrize("n, validation, test", [(50, 0.1, 0.1), (9, 0.1, 0.1), (200, 0.25, 0), (40, 0, 0.5)])
def test_rows_without_classes_are_drawn_once_each(n, validation, test):
    draws = [split_rows(n, validation=validation, test=test, seed=seed) for seed in range(5)]
    for drawn in draws:
        rows = [drawn.rows(part) for part in ("train", "validation", "test")]
        assert sorted(np.concatenate(rows).tolist()) == list(range(n)) and not len(drawn.unseen_rows)
        for found, share in zip(rows[1:], (validation, test), strict=True):
            assert len(found) == (max(3, round(share * n)) if share else 0) and (np.diff(found) > 0).all()
        assert not any(drawn.names.values()) and not drawn.disjoint
    assert len({tuple(drawn.train) for drawn in draws}) == 5
    assert draws[1].train.tolist() == split_rows(n, validation=validation, test=test, seed=1).train.tolist()


def test_too_few_rows_and_shares_out_of_range_are_refused():
    with pytest.raises(ValueError, match="of 8 pictures 3 are for validation and 3 for the test, which leaves 2 to"):
        split_rows(8)
    with pytest.raises(ValueError, match="validation is 1.0: expected a share from 0 to below 1"):
        split_rows(50, validation=1.0)


def test_a_part_is_had_by_name_and_classes_tell_whether_it_is_disjoint():
    parts = Split([4, 0], [1], [2], [3], {"train": ["a", "b"], "validation": ["a"], "test": ["b"], "unseen": ["c"]})
    assert {part: parts.rows(part).tolist() for part in PARTS} == {
        "train": [0, 4], "validation": [1], "test": [2], "unseen": [3]}
    assert (parts.seen, parts.unseen, parts.disjoint) == (("a", "b"), ("c",), False)
    assert Split([0], test=[1], names={"train": ("a",), "test": ("b",)}).disjoint
    assert not Split([0], [1], [2], names={"train": "ab", "validation": "a", "test": "c"}).disjoint
    assert not Split([0], names={"train": ("a",)}).disjoint and Split().names == dict.fromkeys(PARTS, ())
    with pytest.raises(ValueError, match="no part 'dev': expected train, validation, test, unseen"):
        parts.rows("dev")
