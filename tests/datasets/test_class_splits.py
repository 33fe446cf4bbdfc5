"""Splits whose parts share no class: every row is where its class is, and a seed gives one split."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from devise.datasets import Split, galleries, split_classes

NAMES = tuple("abcdefghij")


@pytest.fixture
def labels():
    """Ten classes of 2 to 6 rows, but for "j", which has one; two rows without a class."""
    counts = [2, 3, 4, 5, 6, 2, 3, 4, 5, 1]
    return np.random.default_rng(0).permutation(np.concatenate([np.repeat(np.arange(10), counts), [-1, -1]]))


@pytest.mark.parametrize("options", [{"validation": 2, "test": 3}, {"validation": 0.25, "test": 0.3},
                                     {"validation": ["a"], "test": ("b", "c")}, {"validation": 0, "test": "d"}])
def test_no_class_is_in_two_parts_and_every_row_is_where_its_class_is(labels, options):
    parts = split_classes(labels, NAMES, **options, seed=3)
    for part in ("train", "validation", "test"):
        rows = getattr(parts, part)
        assert {NAMES[label] for label in labels[rows]} == set(parts.names[part])
        expected = [row for row, label in enumerate(labels) if label >= 0 and NAMES[label] in parts.names[part]]
        assert rows.tolist() == expected
    named = [name for part in parts.names.values() for name in part]
    assert sorted(named) == sorted(NAMES)


def test_counts_shares_and_names_say_how_many(labels):
    parts = split_classes(labels, NAMES, validation=2, test=3)
    assert [len(parts.names[part]) for part in ("validation", "test")] == [2, 3]
    parts = split_classes(labels, NAMES, validation=0.5, test=0.33)  # of 9 with two rows, then of the 6 left
    assert [len(parts.names[part]) for part in ("validation", "test")] == [3, 3]
    parts = split_classes(labels, NAMES, validation="a", test=["h", "c"])
    assert (parts.names["validation"], parts.names["test"]) == (("a",), ("c", "h"))


def test_the_seed_draws_and_named_classes_are_not_drawn_again(labels):
    draws = {split_classes(labels, NAMES, validation=["a"], test=4, seed=seed).names["test"] for seed in range(20)}
    assert len(draws) > 5 and not any("a" in names for names in draws)
    again = split_classes(labels, NAMES, validation=1, test=4, seed=7)
    assert again.names == split_classes(labels, NAMES, validation=1, test=4, seed=7).names


def test_a_class_with_one_picture_trains(labels):
    for seed in range(10):
        parts = split_classes(labels, NAMES, validation=3, test=4, seed=seed)
        assert "j" in parts.names["train"] and parts.disjoint
    with pytest.raises(ValueError, match="'j' has one picture"):
        split_classes(labels, NAMES, validation=0, test=["j"])


def test_what_cannot_be_split_is_refused(labels):
    with pytest.raises(ValueError, match="1 of 10 classes are left to train on"):
        split_classes(labels, NAMES, validation=0, test=9)
    with pytest.raises(ValueError, match="10 of 9 classes"):
        split_classes(labels, NAMES, validation=0, test=10)
    with pytest.raises(ValueError, match="no class 'bb'"):
        split_classes(labels, NAMES, validation=0, test=["bb"])
    with pytest.raises(ValueError, match="in validation and in test"):
        split_classes(labels, NAMES, validation=["a"], test=["a"])
    with pytest.raises(ValueError, match="share from 0 to below 1"):
        split_classes(labels, NAMES, validation=0, test=1.5)
    with pytest.raises(ValueError, match="label 10 names none"):
        split_classes([10], NAMES)


def test_it_comes_back_from_json_for_pictures_in_another_order(labels):
    paths = [f"{number}.jpg" for number in range(len(labels))]
    parts = split_classes(labels, NAMES, validation=2, test=3, seed=1)
    document = json.loads(json.dumps(parts.to_json(paths)))
    order = np.random.default_rng(1).permutation(len(paths))
    again = Split.from_json(document, [paths[row] for row in order])
    assert {paths[order[row]] for row in again.test} == {paths[row] for row in parts.test}
    assert (again.names, again.seed, again.disjoint) == (parts.names, 1, True)
    with pytest.raises(ValueError, match="not among the"):
        Split.from_json(document, paths[:5])


def test_the_classes_drawn_do_not_depend_on_their_order_or_that_of_the_rows(labels):
    order = np.random.default_rng(5).permutation(10)  # NAMES[order[i]] is the new i-th name
    renamed = np.where(labels < 0, -1, np.argsort(order)[labels])[::-1]
    for seed in range(5):
        parts = split_classes(labels, NAMES, validation=2, test=3, seed=seed)
        again = split_classes(renamed, [NAMES[old] for old in order], validation=2, test=3, seed=seed)
        assert {part: set(names) for part, names in again.names.items()} == \
               {part: set(names) for part, names in parts.names.items()}


def test_names_and_labels_that_fit_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="'a' stands twice"):
        split_classes(labels, "aacdefghij")
    with pytest.raises(ValueError, match="labels are float64"):
        split_classes(labels.astype(float), NAMES)
    document = split_classes(labels, NAMES).to_json([f"{number}.jpg" for number in range(len(labels))])
    del document["names"]["test"]
    with pytest.raises(ValueError, match="lacks the names of test: it is damaged"):
        Split.from_json(document, [f"{number}.jpg" for number in range(len(labels))])


def test_a_set_of_twenty_thousand_classes_is_split():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(20_000), 5))
    parts = split_classes(labels, [str(label) for label in range(20_000)], validation=0.1, test=0.5)
    assert [len(parts.names[part]) for part in ("train", "validation", "test")] == [9_000, 1_000, 10_000]
    assert len(galleries(labels, parts.test, parts.test, [20_000])[20_000]) == 20_000


def test_pictures_that_are_left_keep_their_parts(labels):
    parts = split_classes(labels, NAMES, validation=2, test=3, seed=1)
    paths = [f"{row}.jpg" for row in range(len(labels))]
    kept = [paths[row] for row in np.random.default_rng(2).permutation(len(paths))[:20]]
    left = parts.among(paths, kept)
    for part in ("train", "validation", "test"):
        assert {kept[row] for row in getattr(left, part)} == {paths[row] for row in getattr(parts, part)} & set(kept)
    assert left.names == parts.names


@settings(max_examples=100, deadline=None)
@given(labels=st.lists(st.integers(-1, 11), min_size=8, max_size=80), validation=st.integers(0, 3),
       test=st.integers(0, 3), seed=st.integers(0, 2**31))
def test_no_class_is_in_two_parts_and_no_picture_is_lost(labels, validation, test, seed):
    names = [f"class {number}" for number in range(12)]
    counts = np.bincount([label for label in labels if label >= 0], minlength=12)
    assume((counts > 1).sum() >= validation + test + 2)
    parts = split_classes(labels, names, validation=validation, test=test, seed=seed)
    rows = [getattr(parts, part) for part in ("train", "validation", "test")]
    together = np.concatenate(rows)
    assert sorted(together.tolist()) == [row for row, label in enumerate(labels) if label >= 0]
    classes = [set(np.asarray(labels)[part].tolist()) for part in rows]
    assert not classes[0] & classes[1] and not classes[0] & classes[2] and not classes[1] & classes[2]
    assert [len(parts.names["validation"]), len(parts.names["test"])] == [validation, test]
    again = split_classes(labels, names, validation=validation, test=test, seed=seed)
    for part, other in zip(rows, (again.train, again.validation, again.test), strict=True):
        np.testing.assert_array_equal(part, other)
