"""Draws of unseen classes: their parts, their independence, and that no class is favoured."""

import numpy as np
import pytest

from devise.datasets import PARTS, draw_unseen

SIZES = (12, 7, 30, 1, 2, 25, 11, 9)
NAMES = "abcdefgh"
LABELS = np.random.default_rng(3).permutation(np.repeat(np.arange(len(SIZES)), SIZES))


def parts(draw):
    """Rows of train, test and unseen; a draw has nothing else."""
    assert not len(draw.validation)
    return [draw.rows(part) for part in PARTS if part != "validation"]


def test_parts_hold_what_they_should():
    for draw in draw_unseen(LABELS, NAMES, 8, unseen=3, pictures=10, seed=1):
        unseen, kept = set(map(NAMES.index, draw.unseen)), np.concatenate(parts(draw))
        assert len(unseen) == 3 and len(set(kept.tolist())) == len(kept), "a row is in two parts"
        assert set(LABELS[draw.unseen_rows].tolist()) == unseen
        assert not unseen & set(LABELS[draw.train].tolist())
        for label, size in enumerate(SIZES):
            n_train, n_test, n_unseen = (int((LABELS[rows] == label).sum()) for rows in parts(draw))
            if label in unseen:
                assert (n_train, n_test, n_unseen) == (0, 0, min(10, size))
            else:
                assert n_unseen == 0 and n_train + n_test == size
                assert n_test == {1: 0, 2: 1}.get(size, round(0.2 * size))
        for rows in parts(draw):
            assert rows.dtype == np.int64 and (np.diff(rows) > 0).all()


def test_a_draw_depends_on_its_number_and_the_seed_alone():
    few, many, other = (draw_unseen(LABELS, NAMES, n, seed=seed) for n, seed in ((2, 0), (5, 0), (2, 1)))
    for one, same in zip(few, many, strict=False):
        assert one.names == same.names
        for rows, again in zip(parts(one), parts(same), strict=True):
            assert np.array_equal(rows, again)
    assert few[0].unseen != few[1].unseen
    assert not np.array_equal(few[0].train, other[0].train)


def test_every_class_and_every_picture_is_as_likely():
    labels = np.repeat(np.arange(6), 20)
    draws = draw_unseen(labels, "abcdef", 3000, unseen=2, pictures=5)
    classes = np.bincount(np.concatenate([[*map("abcdef".index, draw.unseen)] for draw in draws]), minlength=6)
    pictures = np.bincount(np.concatenate([draw.unseen_rows for draw in draws]), minlength=120)
    assert classes == pytest.approx(1000, abs=5 * np.sqrt(1000 * 2 / 3))
    assert pictures == pytest.approx(250, abs=5 * np.sqrt(250))


def test_rows_without_a_class_are_in_no_part():
    labels = np.where(np.arange(len(LABELS)) % 3 == 0, -1, LABELS)
    for draw in draw_unseen(labels, NAMES, 4, unseen=2):
        assert (labels[np.concatenate(parts(draw))] >= 0).all()


def test_no_test_part_where_none_is_asked_for():
    draw, = draw_unseen(LABELS, NAMES, 1, test=0)
    assert draw.test.size == 0 and draw.test.dtype == np.int64


@pytest.mark.parametrize("options, message", [
    ({"unseen": 7}, "expected at most 6"), ({"unseen": 0}, "unseen is 0"), ({"pictures": 0}, "pictures is 0"),
    ({"test": 1.0}, "test is 1.0"), ({"n": 0}, "n is 0")])
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_unseen(LABELS, NAMES, **{"n": 1, **options})


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(ValueError, match="float64"):
        draw_unseen(np.array([0.0, 1.0, 2.0]), "abc", 1)
