import json

import numpy as np
import pytest

from devise.bench import train
from devise.training import HeadConfig


@pytest.fixture
def document():
    return train.run(n=64, input_dim=20, dim=4, epochs=3, fit_epochs=1, pictures=2,
                     forward=lambda pictures: np.zeros((len(pictures), 20), np.float32))


def test_it_is_ready_for_json_and_says_what_was_measured(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["bench"] == "train"
    assert [row["what"] for row in document["rows"]] == [
        "devise train", "devise train", "Keras fit", "Keras fit",
        "the frozen network in every epoch, without the head", "the matrix products alone"]
    assert [row["batch_size"] for row in document["rows"]] == [8, 128, 32, 8, None, None]
    assert all(row["measured"] and row["seconds"] > 0 for row in document["rows"])
    assert "scaled to 3" in document["rows"][2]["measured"]


def test_ratios_are_of_the_rows(document):
    ours, large, *others = (row["seconds"] for row in document["rows"])
    names = ["over_fit", "over_fit_same_batch", "over_frozen_forward", "over_arithmetic"]
    expected = {name: other / ours for name, other in zip(names, others, strict=True)}
    assert document["ratios"] == pytest.approx({**expected, "large_batch_over_fit": others[0] / large})


def test_with_keras_own_batch_fit_is_measured_once():
    document = train.run(n=64, input_dim=20, dim=4, epochs=2, fit_epochs=1, pictures=1, batch_size=32,
                         forward=lambda pictures: pictures)
    assert [row["batch_size"] for row in document["rows"]] == [32, 128, 32, None, None]
    assert document["ratios"]["over_fit"] == document["ratios"]["over_fit_same_batch"]


def test_the_forward_pass_is_scaled_to_all_pictures_and_epochs(monkeypatch):
    seen = []
    monkeypatch.setattr(train, "_timed", lambda work: (0.5, work()))
    row = train._forward(lambda pictures: seen.append(pictures.shape), "", 4, n=100, epochs=60, seed=0)
    assert seen == [(4, 224, 224, 3)] * 2
    assert row["seconds"] == 0.5 / 4 * 100 * 60


def test_operations_counted_by_hand():
    head = HeadConfig(dim=3, sizes=(5, 4))
    forward = 2 * (7 * 5 + 5 * 4 + 4 * 3)
    weights, inputs = forward, 2 * (5 * 4 + 4 * 3)
    assert train.flops(head, 7) == forward + weights + inputs
    assert train.flops(HeadConfig(dim=3, sizes=()), 7) == 2 * 2 * 7 * 3


def test_progress_counts_the_rows():
    seen = []
    train.run(n=64, input_dim=20, dim=4, epochs=1, fit_epochs=1, pictures=1,
              forward=lambda pictures: pictures, progress=lambda *at: seen.append(at))
    assert seen == [(done, 6) for done in range(1, 7)]
