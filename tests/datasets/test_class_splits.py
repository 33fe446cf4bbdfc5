import json

import numpy as np
import pytest

from devise.datasets import ClassSplit, class_split, galleries

NAMES = tuple("abcdefghij")


@pytest.fixture
def labels():
    """Ten classes of 2 to 6 rows, but for "j", which has one; two rows without a class."""
    counts = [2, 3, 4, 5, 6, 2, 3, 4, 5, 1]
    return np.random.default_rng(0).permutation(np.concatenate([np.repeat(np.arange(10), counts), [-1, -1]]))


@pytest.mark.parametrize("options", [{"validation": 2, "test": 3}, {"validation": 0.25, "test": 0.3},
                                     {"validation": ["a"], "test": ("b", "c")}, {"validation": 0, "test": "d"}])
def test_no_class_is_in_two_parts_and_every_row_is_where_its_class_is(labels, options):
    parts = class_split(labels, NAMES, **options, seed=3)
    for part in ("train", "validation", "test"):
        rows = getattr(parts, part)
        assert {NAMES[label] for label in labels[rows]} == set(parts.names[part])
        expected = [row for row, label in enumerate(labels) if label >= 0 and NAMES[label] in parts.names[part]]
        assert rows.tolist() == expected
    named = [name for part in parts.names.values() for name in part]
    assert sorted(named) == sorted(NAMES)


def test_counts_shares_and_names_say_how_many(labels):
    parts = class_split(labels, NAMES, validation=2, test=3)
    assert [len(parts.names[part]) for part in ("validation", "test")] == [2, 3]
    parts = class_split(labels, NAMES, validation=0.5, test=0.33)  # of 9 with two rows, then of the 6 left
    assert [len(parts.names[part]) for part in ("validation", "test")] == [3, 3]
    parts = class_split(labels, NAMES, validation="a", test=["h", "c"])
    assert (parts.names["validation"], parts.names["test"]) == (("a",), ("c", "h"))


def test_the_seed_draws_and_named_classes_are_not_drawn_again(labels):
    draws = {class_split(labels, NAMES, validation=["a"], test=4, seed=seed).names["test"] for seed in range(20)}
    assert len(draws) > 5 and not any("a" in names for names in draws)
    again = class_split(labels, NAMES, validation=1, test=4, seed=7)
    assert again.names == class_split(labels, NAMES, validation=1, test=4, seed=7).names


def test_a_class_with_one_picture_trains_and_is_listed(labels):
    for seed in range(10):
        parts = class_split(labels, NAMES, validation=3, test=4, seed=seed)
        assert parts.single == ("j",) and "j" in parts.names["train"]
    with pytest.raises(ValueError, match="'j' has one picture"):
        class_split(labels, NAMES, validation=0, test=["j"])


def test_what_cannot_be_split_is_refused(labels):
    with pytest.raises(ValueError, match="1 of 10 classes are left to train on"):
        class_split(labels, NAMES, validation=0, test=9)
    with pytest.raises(ValueError, match="10 of 9 classes"):
        class_split(labels, NAMES, validation=0, test=10)
    with pytest.raises(ValueError, match="no class 'bb'"):
        class_split(labels, NAMES, validation=0, test=["bb"])
    with pytest.raises(ValueError, match="in validation and in test"):
        class_split(labels, NAMES, validation=["a"], test=["a"])
    with pytest.raises(ValueError, match="share from 0 to below 1"):
        class_split(labels, NAMES, validation=0, test=1.5)
    with pytest.raises(ValueError, match="label 10 names none"):
        class_split([10], NAMES)
    with pytest.raises(ValueError, match="in two parts"):
        ClassSplit([0], [0], [1], {"train": ("a",), "validation": ("b",), "test": ("c",)})
    with pytest.raises(ValueError, match="class 'a' is in two parts"):
        ClassSplit([0], [2], [1], {"train": ("a",), "validation": ("b",), "test": ("a",)})


def test_it_comes_back_from_json_for_pictures_in_another_order(labels):
    paths = [f"{number}.jpg" for number in range(len(labels))]
    parts = class_split(labels, NAMES, validation=2, test=3, seed=1)
    document = json.loads(json.dumps(parts.to_json(paths)))
    order = np.random.default_rng(1).permutation(len(paths))
    again = ClassSplit.from_json(document, [paths[row] for row in order])
    assert {paths[order[row]] for row in again.test} == {paths[row] for row in parts.test}
    assert (again.names, again.single, again.seed) == (parts.names, parts.single, 1)
    with pytest.raises(ValueError, match="not among the"):
        ClassSplit.from_json(document, paths[:5])
    with pytest.raises(ValueError, match="lacks single"):
        ClassSplit.from_json({name: value for name, value in document.items() if name != "single"}, paths)


def test_galleries_are_nested_and_hold_an_answer_for_each_query():
    labels = np.repeat(np.arange(20), 10)
    queries, gallery = np.arange(0, 100, 10), np.setdiff1d(np.arange(200), np.arange(0, 200, 10))
    for seed in range(5):
        drawn = galleries(labels, queries, gallery, [180, 10, 60], seed=seed)
        assert {size: len(rows) for size, rows in drawn.items()} == {180: 180, 10: 10, 60: 60}
        assert set(drawn[10]) < set(drawn[60]) < set(drawn[180]) == set(gallery)
        for rows in drawn.values():
            assert (np.diff(rows) > 0).all() and set(labels[queries]) <= set(labels[rows])
    assert galleries(labels, queries, gallery, [60], seed=0)[60].tolist() != drawn[60].tolist()
    for size in (9, 181):
        with pytest.raises(ValueError, match="expected 10, so that each query finds a right answer, to 180"):
            galleries(labels, queries, gallery, [size])
