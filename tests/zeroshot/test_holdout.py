import numpy as np
import pytest

from devise.datasets import PARTS
from devise.heads import ESZSL, RidgeHead
from devise.zeroshot import choose_options, class_folds, onto

LABELS = np.array([4, 4, 4, 4, 7, 7, 7, 9, 9, 2, 2, 2, 2, 2, -1, 5, 5, 5])
RANDOM = np.random.default_rng(23)


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_every_class_is_held_out_once_and_parts_share_no_row(n_folds):
    folds = class_folds(LABELS, n_folds, images=0.5)
    assert len(folds) == n_folds
    held = [set(LABELS[fold.unseen_rows].tolist()) for fold in folds]
    assert sorted(label for labels in held for label in labels) == [2, 4, 5, 7, 9]
    for fold, unseen in zip(folds, held, strict=True):
        rows = np.concatenate([fold.rows(part) for part in PARTS]).tolist()
        assert sorted(rows) == [row for row in range(len(LABELS)) if LABELS[row] >= 0]
        assert set(LABELS[fold.train].tolist()) == {2, 4, 5, 7, 9} - unseen
        assert not unseen & set(LABELS[fold.test].tolist())
        assert all(fold.rows(part).dtype == np.int64 for part in PARTS)


def test_a_share_of_each_class_is_kept_to_validate_on():
    for fold in class_folds(LABELS, 5, images=0.5):
        for label in set(LABELS[fold.train].tolist()):
            assert (LABELS[fold.test] == label).sum() == (LABELS == label).sum() // 2


def test_without_that_share_all_pictures_are_learned_from():
    assert all(fold.test.size == 0 for fold in class_folds(LABELS, 2, images=0))


def test_a_seed_decides_classes_and_pictures():
    def folds(seed):
        return [fold.rows(part).tolist() for fold in class_folds(LABELS, 2, images=0.5, seed=seed) for part in PARTS]

    assert folds(1) == folds(1)
    assert len({str(folds(seed)) for seed in range(5)}) > 1


def test_numbers_out_of_range_are_refused():
    for n_folds in (1, 6):
        with pytest.raises(ValueError, match=f"n_folds is {n_folds}: expected 2 to 5"):
            class_folds(LABELS, n_folds)
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"images is {share}"):
            class_folds(LABELS, 2, images=share)


def test_the_chosen_options_are_the_best_of_all():
    vectors = RANDOM.normal(size=(8, 3))
    labels = np.arange(80) % 8
    x = vectors[labels] @ RANDOM.normal(size=(3, 10)) + 1.5 * RANDOM.normal(size=(80, 10))
    grid = {"gamma": [0.01, 1.0], "lam": [0.01, 1.0, 100.0]}
    choice = choose_options(ESZSL, grid, x, labels, vectors, n_folds=4, seed=3)

    def accuracy(gamma, lam):
        hits = []
        for fold in class_folds(labels, 4, images=0, seed=3):
            held = sorted(set(labels[fold.unseen_rows].tolist()))
            rule = onto(ESZSL(gamma, lam).fit(x[fold.train], labels[fold.train], vectors), vectors[held])
            found = [held[rule.tag(x[[row]], k=1).ids[0, 0]] == labels[row] for row in fold.unseen_rows]
            hits.append(np.mean(found))  # classes are of one size
        return np.mean(hits)

    all_of_them = {(gamma, lam): accuracy(gamma, lam) for gamma in grid["gamma"] for lam in grid["lam"]}
    assert choice.accuracy == pytest.approx(max(all_of_them.values()))
    assert all_of_them[tuple(choice.options.values())] == pytest.approx(choice.accuracy)
    assert len(set(all_of_them.values())) > 1


def test_of_equal_options_the_first_is_chosen():
    labels = np.arange(20) % 4
    assert choose_options(RidgeHead, {"penalty": [3.0, 3.0, 3.0]}, np.eye(4)[labels] + 1, labels, np.eye(4),
                          n_folds=2).options == {"penalty": 3.0}
