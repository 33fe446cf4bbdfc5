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


def test_a_query_is_no_answer_to_itself():
    labels = np.repeat(np.arange(12), 6)
    rows = np.arange(72)
    for seed in range(10):  # every row asks all others
        drawn = galleries(labels, rows, rows, [24, 30, 72], seed=seed)
        for ids in drawn.values():
            for row in rows:
                assert (labels[ids[ids != row]] == labels[row]).any()
    with pytest.raises(ValueError, match="expected 24, so that"):
        galleries(labels, rows, rows, [23])


def test_the_least_gallery_is_one_row_a_class_where_some_do_not_ask_and_two_where_all_do():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 3, -1, -1])
    queries, gallery = [0, 3, 4, 5, 7, 8], [1, 3, 4, 5, 6, 7, 9]
    for seed in range(10):
        # of class 0 row 1, of class 1 both, of class 2 row 6; nothing answers row 7 nor a row without a class
        least = galleries(labels, queries, gallery, [5], seed=seed)[5].tolist()
        assert least == [1, 3, 4, 6, 7]
    assert galleries(labels, [8], gallery, [1])[1].size == 1
    with pytest.raises(ValueError, match="expected 5, so that each query finds a right answer, to 7"):
        galleries(labels, queries, gallery, [4])


def test_galleries_of_rows_that_are_not_there_or_twice_are_refused():
    labels = np.array([0, 0, 1, 1])
    for queries, gallery, said in (([0], [1, 4], "gallery run from 1 to 4"), ([-1], [1, 2], "queries run from -1"),
                                   ([0], [1, 1, 3], "1 rows twice"), ([0.5], [1], "queries are float64"),
                                   (np.array([True]), [1], "queries are bool")):
        with pytest.raises(ValueError, match=said):
            galleries(labels, queries, gallery, [1])
    with pytest.raises(ValueError, match="a gallery of 0 was asked for"):
        galleries(labels, [], [0, 1], [0])
    with pytest.raises(ValueError, match=r"labels are float64 \(2,\)"):
        galleries([0.0, 1.0], [0], [1], [1])


def test_the_classes_drawn_do_not_depend_on_their_order_or_that_of_the_rows(labels):
    order = np.random.default_rng(5).permutation(10)  # NAMES[order[i]] is the new i-th name
    renamed = np.where(labels < 0, -1, np.argsort(order)[labels])[::-1]
    for seed in range(5):
        parts = class_split(labels, NAMES, validation=2, test=3, seed=seed)
        again = class_split(renamed, [NAMES[old] for old in order], validation=2, test=3, seed=seed)
        assert {part: set(names) for part, names in again.names.items()} == \
               {part: set(names) for part, names in parts.names.items()}


def test_names_and_labels_that_fit_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="'a' stands twice"):
        class_split(labels, "aacdefghij")
    with pytest.raises(ValueError, match="labels are float64"):
        class_split(labels.astype(float), NAMES)
    document = class_split(labels, NAMES).to_json([f"{number}.jpg" for number in range(len(labels))])
    del document["names"]["test"]
    with pytest.raises(ValueError, match="lacks the names of test"):
        ClassSplit.from_json(document, [f"{number}.jpg" for number in range(len(labels))])


def test_a_set_of_twenty_thousand_classes_is_split():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(20_000), 5))
    parts = class_split(labels, [str(label) for label in range(20_000)], validation=0.1, test=0.5)
    assert [len(parts.names[part]) for part in ("train", "validation", "test")] == [9_000, 1_000, 10_000]
    assert len(galleries(labels, parts.test, parts.test, [20_000])[20_000]) == 20_000


def test_pictures_that_are_left_keep_their_parts(labels):
    parts = class_split(labels, NAMES, validation=2, test=3, seed=1)
    paths = [f"{row}.jpg" for row in range(len(labels))]
    kept = [paths[row] for row in np.random.default_rng(2).permutation(len(paths))[:20]]
    left = parts.among(paths, kept)
    for part in ("train", "validation", "test"):
        assert {kept[row] for row in getattr(left, part)} == {paths[row] for row in getattr(parts, part)} & set(kept)
    assert left.names == parts.names and left.single == parts.single
