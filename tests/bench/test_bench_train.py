import json

import numpy as np
import pytest

from devise.bench import train
from devise.heads import HeadConfig


@pytest.fixture(scope="module", autouse=True)
def small():
    """The machine's rate by a small product, and Keras' trainings without a graph, which takes seconds to compile."""
    import keras

    compiled = keras.Model.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "SQUARE", 64)
        patch.setattr(keras.Model, "compile", lambda model, **options: compiled(model, run_eagerly=True, **options))
        yield


def small_run(**options):
    return train.run(**{"n": 64, "small": (), "input_dim": 20, "dim": 4, "epochs": 2, "fit_epochs": 1, "pictures": 2,
                        "older_pictures": 1, "rounds": 1,
                        "forward": lambda pictures: np.zeros((len(pictures), 20), np.float32), **options})


@pytest.fixture(scope="module")
def document():
    return small_run(small=(40,), epochs=3)


def test_it_is_ready_for_json_and_says_what_was_measured(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["bench"] == "train"
    assert [(row["what"], row["n"], row["batch_size"]) for row in document["rows"]] == [
        ("devise train", 64, 8), ("Keras fit", 64, 32), ("Keras fit", 64, 8),
        ("devise train", 40, 8), ("Keras fit", 40, 32), ("Keras fit", 40, 8), ("devise train", 64, 128),
        ("frozen efficientnet_lite0 in every epoch, without the head", 64, None),
        ("frozen vgg16 in every epoch, without the head", 64, None), ("the matrix products alone", 64, None)]
    assert all(row["measured"] and row["seconds"] > 0 for row in document["rows"])
    assert "scaled to 3" in document["rows"][1]["measured"] and "scaled to 192" in document["rows"][7]["measured"]


def test_of_one_round_ratios_are_those_of_the_rows(document):
    ours, fit, same, few, few_fit, few_same, large, lite, vgg, arithmetic = (
        row["seconds"] for row in document["rows"])
    assert document["ratios"] == {
        "over_fit": pytest.approx(fit / ours), "over_fit_same_batch": pytest.approx(same / ours),
        "over_frozen_forward": pytest.approx(lite / ours), "over_frozen_vgg16": pytest.approx(vgg / ours),
        "over_arithmetic": pytest.approx(arithmetic / ours), "large_batch_over_fit": pytest.approx(fit / large),
        "large_batch_over_frozen_vgg16": pytest.approx(vgg / large),
        "small": {"40": {"over_fit": pytest.approx(few_fit / few),
                         "over_fit_same_batch": pytest.approx(few_same / few)}}}


def test_over_rounds_a_row_has_the_median_and_a_ratio_is_that_of_the_rounds():
    def results(*seconds):
        return [train._row("", value, "", work=1e9) for value in seconds]

    measured = {(64, "ours"): results(1, 2, 4), (64, "fit"): results(3, 8, 20), (64, "ours_large"): results(1, 1, 1),
                (64, "frozen_forward"): results(10, 10, 10), (64, "arithmetic"): results(1, 1, 1)}
    ratios = train._ratios(measured, 64, ())
    assert ratios["over_fit"] == ratios["over_fit_same_batch"] == 4  # of 3, 4 and 5
    assert ratios["over_frozen_forward"] == 5 and ratios["large_batch_over_fit"] == 8
    row = train._median(64, results(1, 2, 4))
    assert (row["seconds"], row["gflop_per_second"], row["n"]) == (2, 0.5, 64)


def test_measurements_take_turns_and_progress_counts_them(monkeypatch):
    seen, order = [], []
    monkeypatch.setattr(train._Set, "ours", lambda self, **large: order.append("ours") or train._row("", 1.0, ""))
    monkeypatch.setattr(train._Set, "fit", lambda self, *size: order.append("fit") or train._row("", 1.0, ""))
    small_run(rounds=3, batch_size=32, older_pictures=0, progress=lambda *at: seen.append(at))
    assert order == ["ours", "fit", "ours"] * 3  # the last with large batches
    assert seen == [(done, 15) for done in range(1, 16)]


def test_with_keras_own_batch_fit_is_measured_once_and_vgg16_may_be_left_out(monkeypatch):
    monkeypatch.setattr(train._Set, "ours", lambda self, **large: train._row("devise train", 1.0, ""))
    document = small_run(batch_size=32, older_pictures=0)
    assert [(row["what"], row["batch_size"]) for row in document["rows"]] == [
        ("devise train", None), ("Keras fit", 32), ("devise train", None),
        ("frozen efficientnet_lite0 in every epoch, without the head", None), ("the matrix products alone", None)]
    assert document["ratios"]["over_fit"] == document["ratios"]["over_fit_same_batch"]
    assert "over_frozen_vgg16" not in document["ratios"]


def test_the_forward_pass_is_scaled_to_all_pictures_and_epochs(monkeypatch):
    seen = []
    monkeypatch.setattr(train, "timed", lambda work: (0.5, work()))
    measure = train._forward(lambda pictures: seen.append(pictures.shape), "vgg16", 4, 100 * 60, seed=0)
    assert measure()["seconds"] == 0.5 / 4 * 100 * 60
    assert seen == [(4, 224, 224, 3)] * 2


def test_operations_counted_by_hand():
    head = HeadConfig(dim=3, sizes=(5, 4))
    forward = 2 * (7 * 5 + 5 * 4 + 4 * 3)
    weights, inputs = forward, 2 * (5 * 4 + 4 * 3)
    assert train.flops(head, 7) == forward + weights + inputs
    assert train.flops(HeadConfig(dim=3, sizes=()), 7) == 2 * 2 * 7 * 3


def test_the_picture_has_a_bar_for_every_row(document, monkeypatch, tmp_path):
    from PIL import Image

    from devise import plots

    drawn, draw = {}, plots.bar_plot
    monkeypatch.setattr("devise.plots.bar_plot", lambda groups, *rest, **more: drawn.update(groups)
                        or draw(groups, *rest, **more), raising=False)
    assert Image.open(train.plot(document, tmp_path / "train.png")).size
    rows = [(name, seconds) for group in drawn.values() for name, seconds in group.items()]
    assert len(rows) == len(document["rows"])
    assert drawn["40 rows"]["devise train, batch 8"] == document["rows"][3]["seconds"]
