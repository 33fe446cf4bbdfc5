"""How a threshold varies with the classes that choose it, against the same draws made by a loop."""

import math

import numpy as np
import pytest

from devise.evaluation import choose_threshold, open_set, threshold_interval


def world(seed, n_classes, per_class=8):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), per_class)
    return random.standard_normal((n_classes, 6))[labels] + 0.6 * random.standard_normal((len(labels), 6)), labels


def by_loop(embeddings, labels, rate, seed, n_resamples):
    """Thresholds and false-accept rates, by making every resampled set of pictures anew."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    n, random, thresholds, rates = labels.max() + 1, np.random.default_rng([seed, 1]), [], []
    for _ in range(n_resamples):
        drawn = random.integers(n, size=n)
        impostors = []
        for label in drawn:
            others = unit[np.isin(labels, drawn) & (labels != label)]
            impostors += [max(others @ row) for row in unit[labels == label]] if len(others) else []
        if not impostors:
            continue
        accepted = math.floor(rate * len(impostors) + 1e-9)
        thresholds.append(sorted(impostors, reverse=True)[accepted])  # the best that is refused
        strangers = unit[~np.isin(labels, drawn)]
        if len(strangers):
            best = [max(unit[np.isin(labels, drawn)] @ row) for row in strangers]
            rates.append(np.mean([score > thresholds[-1] for score in best]))
    return thresholds, rates


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_against_a_loop(rate):
    embeddings, labels = world(0, 5)
    found = threshold_interval(embeddings, labels, false_accept_rate=rate, seed=3, n_resamples=60)
    thresholds, rates = by_loop(embeddings, labels, rate, 3, 60)
    assert found.classes == 5
    assert (found.low, found.high) == pytest.approx(np.quantile(thresholds, [0.025, 0.975], method="nearest"), abs=1e-5)
    assert (found.accepted_low, found.accepted_high) == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=1e-9)
    assert found.accepted == pytest.approx(np.mean(rates), abs=1e-9)


def test_the_chosen_threshold_lies_within_and_more_classes_narrow_it():
    few, many = ((threshold_interval(*world(1, n), false_accept_rate=0.05, n_resamples=300),
                  choose_threshold(*world(1, n), false_accept_rate=0.05))
                 for n in (6, 60))
    for found, threshold in (few, many):
        assert found.low <= threshold + 0.05 and threshold - 0.05 <= found.high
    assert many[0].accepted_high - many[0].accepted_low < few[0].accepted_high - few[0].accepted_low
    assert many[0].high - many[0].low < few[0].high - few[0].low


def test_rows_without_a_label_and_the_order_of_rows_mean_nothing():
    embeddings, labels = world(2, 4)
    order = np.random.default_rng(0).permutation(len(labels) + 3)
    mixed = np.concatenate([embeddings, 9 * embeddings[:3]])[order], np.append(labels, [-1] * 3)[order]
    expected = threshold_interval(embeddings, labels, n_resamples=40)
    assert threshold_interval(*mixed, n_resamples=40) == pytest.approx(expected)


def test_of_two_classes_nothing_is_known_and_of_many_some_are_drawn(monkeypatch):
    found = threshold_interval(*world(0, 2))
    assert math.isnan(found.low) and math.isnan(found.accepted) and found.classes == 2
    monkeypatch.setattr(open_set, "MOST", 4)
    assert threshold_interval(*world(0, 9), n_resamples=20).classes == 4


def test_where_all_may_be_let_in_the_threshold_has_no_end():
    found = threshold_interval(*world(0, 4), false_accept_rate=1.0, n_resamples=20)
    assert (found.low, found.high, found.accepted) == (-math.inf, -math.inf, 1.0)
