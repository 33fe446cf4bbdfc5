"""The head with columns for classes of one's own, recomputed row by row; its contract is in test_head_contract."""

import numpy as np
import pytest

from devise.arrays import pack
from devise.heads import ExtendedHead, JointHead, RawHead, RidgeHead

KERNEL = np.array([[1.0, 0.2], [0.0, 0.9], [-1.0, 0.0]])
BIAS = np.array([0.1, -0.1])


@pytest.fixture(scope="module")
def joint():
    random = np.random.default_rng(0)
    kernel, learnt = pack(random.normal(size=(6, 24))), pack(random.normal(size=(30, 5)))
    return JointHead({"kernel": kernel.rows, "kernel_scale": kernel.scale, "bias": np.zeros(6),
                      "feature_mean": np.zeros(24), "class_mean": np.zeros(6), "map": learnt.rows,
                      "map_scale": learnt.scale})


def test_each_row_is_the_others_embedding_and_how_sure_each_class_is():
    rows = np.random.default_rng(1).normal(size=(40, 3))
    found = ExtendedHead(RawHead(3), KERNEL, BIAS).embed(rows) * np.sqrt(2)
    for row, embedded in zip(rows, found, strict=True):
        unit = row / np.sqrt(np.sum(row**2))
        sure = [min(max((sum(unit * KERNEL[:, c]) + BIAS[c] - 0.2) / 0.6, 0), 1) for c in range(2)]
        length = sum(value**2 for value in sure) ** 0.5
        sure = [value / max(length, 1) for value in sure]
        np.testing.assert_allclose(embedded[:3], unit, atol=1e-6)
        np.testing.assert_allclose(embedded[3:5], sure, atol=1e-6)
        assert embedded[5] == pytest.approx(max(0, 1 - sum(value**2 for value in sure)) ** 0.5, abs=1e-3)
    assert (found[:, 3:5].max(axis=1) > 0.9).any() and (found[:, 5] > 0.99).any()  # both ends are there


def test_a_row_without_a_class_column_ranks_images_as_the_other_head_does():
    rows = np.random.default_rng(1).normal(size=(40, 3))
    asked = np.array([0.6, 0.0, 0.8])
    extended = ExtendedHead(RawHead(3), KERNEL, BIAS).embed(rows) @ np.append(asked, np.zeros(3))
    np.testing.assert_allclose(extended, RawHead(3).embed(rows) @ asked / np.sqrt(2), atol=1e-6)


def test_the_columns_are_a_ridge_in_which_other_images_are_a_class_of_their_own(joint, train_set):
    others = joint.embed(np.random.default_rng(4).normal(size=(30, 24)))
    features, labels = train_set.features, train_set.labels
    head = ExtendedHead.learnt(joint, features, labels, others)
    weight = np.repeat([1, 2], [6, 5])  # captions count twice
    rows = np.concatenate([joint.embed(features), others]) * weight
    targets = np.append(labels, [6] * 30)
    best = None
    for penalty in (0.1, 0.3, 1.0, 3.0):  # each row is named by a ridge that was fitted without it
        found = np.concatenate([RidgeHead(penalty).fit(np.delete(rows, row, 0), np.delete(targets, row), np.eye(7))
                                .embed(rows[[row]]) for row in range(len(rows))])
        quality = np.mean(found.argmax(axis=1) == targets), found[np.arange(len(rows)), targets].mean()
        if best is None or quality > best[0]:
            best = quality, RidgeHead(penalty).fit(rows, targets, np.eye(7))
    np.testing.assert_allclose(head.bias, best[1].weights()["bias"][:6], atol=1e-5)
    np.testing.assert_allclose(head.kernel, best[1].weights()["kernel"][:, :6] * weight[:, None], atol=1e-5)
    sure = head.embed(features)[:, 11:17]
    assert (sure.argmax(axis=1) == labels).mean() > 0.8 and head.classes == 6 and head.dim == 11 + 7
    strangers = head.embed(np.random.default_rng(5).normal(size=(30, 24)))[:, 11:17]
    assert sure.max(axis=1).mean() > 1.5 * strangers.max(axis=1).mean()


def test_validation_images_choose_the_penalty(joint, train_set):
    others = joint.embed(np.random.default_rng(4).normal(size=(30, 24)))
    held = train_set.features[:30], train_set.labels[:30]
    head = ExtendedHead.learnt(joint, train_set.features[30:], train_set.labels[30:], others, validation=held)
    weight = np.repeat([1, 2], [6, 5])
    rows, targets = np.concatenate([joint.embed(train_set.features[30:]), others]) * weight, train_set.labels[30:]
    best = None
    for penalty in (0.1, 0.3, 1.0, 3.0):
        ridge = RidgeHead(penalty).fit(rows, np.append(targets, [6] * 30), np.eye(7))
        found = ridge.embed(joint.embed(held[0]) * weight)
        quality = np.mean(found[:, :6].argmax(axis=1) == held[1]), found[np.arange(30), held[1]].mean()
        if best is None or quality > best[0]:
            best = quality, ridge
    np.testing.assert_allclose(head.bias, best[1].weights()["bias"][:6], atol=1e-6)
