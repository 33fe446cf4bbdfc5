from collections import Counter

import numpy as np
import pytest

from devise.training.batches import ClassRows, EveryRow, edges, make, usual_size


@pytest.mark.parametrize("n", [2, 7, 31, 32, 33, 100, 1233])
@pytest.mark.parametrize("batch_size", [2, 5, 32, 5000])
def test_batches_cover_every_row_once_and_evenly(n, batch_size):
    ends = edges(n, batch_size)
    sizes = np.diff(ends)
    assert (ends[0], ends[-1]) == (0, n)
    assert sizes.max() <= batch_size and sizes.max() - sizes.min() <= 1
    assert len(sizes) == int(np.ceil(n / batch_size))


def test_a_small_set_gets_small_batches():
    assert [usual_size(n) for n in (2, 160, 200, 640, 10 ** 6)] == [8, 8, 10, 32, 32]


def batches_of(draw, seed=0):
    order, ends = draw.draw(np.random.default_rng(seed))
    assert order.dtype == ends.dtype == np.int32 and (ends[0], ends[-1]) == (0, len(order))
    return [order[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]


def test_every_row_is_drawn_once():
    assert sorted(np.concatenate(batches_of(EveryRow(23, 4))).tolist()) == list(range(23))


LABELS = np.repeat([3, 5, 6, 7, 11, 12, 40], [1, 2, 3, 4, 9, 30, 1])


@pytest.mark.parametrize(("classes", "per_class"), [(2, 2), (3, 4), (4, 3), (5, 4), (5, 40)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_batch_has_so_many_classes_with_so_many_rows_and_no_row_twice(classes, per_class, seed):
    sizes = Counter(LABELS.tolist())
    for rows in batches_of(ClassRows(LABELS, classes, per_class), seed):
        assert len(set(rows.tolist())) == len(rows)
        drawn = Counter(LABELS[rows].tolist())
        assert len(drawn) == classes
        assert all(count == min(per_class, sizes[label]) for label, count in drawn.items())


def test_classes_of_one_row_are_left_out_and_listed():
    draw = ClassRows(LABELS, 2, 2)
    assert draw.left_out == (3, 40)
    drawn = {label for seed in range(5) for rows in batches_of(draw, seed) for label in LABELS[rows].tolist()}
    assert drawn == {5, 6, 7, 11, 12}


@pytest.mark.parametrize(("n", "classes", "per_class", "batches"), [
    (96, 4, 4, 6), (96, 3, 2, 16), (96, 6, 16, 1), (100, 6, 4, 4), (12, 6, 2, 1)])
def test_an_epoch_has_as_many_batches_as_hold_the_rows_once(n, classes, per_class, batches):
    assert len(batches_of(ClassRows(np.arange(n) % 6, classes, per_class))) == batches


def test_an_epoch_counts_what_short_classes_give():
    labels = np.repeat(np.arange(30), 2)  # 4 a class are asked for, 2 given: 10 rows a batch
    assert [len(rows) for rows in batches_of(ClassRows(labels, 5, 4))] == [10] * 6


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_classes_come_equally_often_and_so_do_the_rows_of_each(classes):
    labels = np.repeat(np.arange(5), [2, 3, 20, 60, 100])
    rows = np.concatenate(batches_of(ClassRows(labels, classes, 2)))
    turns = Counter(labels[rows].tolist())
    assert len(turns) == 5 and max(turns.values()) - min(turns.values()) <= 2  # one batch's per_class
    for label in range(5):
        counts = [int((rows == row).sum()) for row in np.flatnonzero(labels == label)]
        assert max(counts) - min(counts) <= 1


def test_a_generator_decides_the_draw():
    draw = ClassRows(np.arange(96) % 6, 3, 4)
    one, same, other = (np.concatenate(batches_of(draw, seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(("labels", "options", "message"), [
    ([0, 0, 1, 1], {"classes": 1}, "classes is 1: a batch needs two"),
    ([0, 0, 1, 1], {"classes": 2, "per_class": 1}, "per_class is 1: a batch needs two"),
    ([0, 0, 1, 1, 2], {"classes": 3}, "classes is 3, but of 3 classes 2 have two or more rows"),
    ([0, 1, 2, 3], {"classes": 2}, "of 4 classes 0 have two or more rows"),
    ([0, 0, 1, 1], {"classes": 2, "batch_size": 4}, "batch_size is 4 and classes is 2: give one of them"),
    ([0, 0, 1, 1], {"batch_size": 0}, "batch_size is 0"),
    ([0, 0, 1, 1], {"batch_size": 1}, "batch_size is 1"),
    ([0, 0, 1], {"batch_size": 2}, "gives batches of one row out of 3"),
])
def test_options_that_make_no_batch_are_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        make(np.array(labels), **{"batch_size": None, "classes": None, "per_class": 4, **options})


def test_without_options_the_batches_are_the_usual_ones():
    draw = make(np.arange(400) % 7, batch_size=None, classes=None, per_class=4)
    assert (draw.most, draw.left_out) == (20, ())
