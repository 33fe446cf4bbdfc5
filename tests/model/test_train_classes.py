"""A learnt retrieval model: trained on some classes, judged on others, kept in a folder."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from devise import backbones, features
from devise.datasets import ImageSet, from_folder, split_classes
from devise.evaluation import choose_threshold, evaluate_galleries, retrieve, threshold_interval
from devise.heads import HeadConfig, MlpHead, ProjectionHead, RidgeHead
from devise.model import LEARNT, RAW, Devise, train_classes
from devise.model.classes import POWER
from devise.training import AugmentedFeatures

N_CLASSES, PER_CLASS, DIM = 14, 12, 20
FAST = {"epochs": 4, "classes": 4, "per_class": 3}


@pytest.fixture(scope="module")
def table(make_backbone):
    """Features in which a strong nuisance hides the classes; all classes share it, so it can be learnt away."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(N_CLASSES), PER_CLASS)
    rows = random.standard_normal((N_CLASSES, DIM))[labels] + 0.5 * random.standard_normal((len(labels), DIM))
    rows[:, :4] += 4 * random.standard_normal((len(labels), 4))
    names = tuple(f"class {number:02}" for number in range(N_CLASSES))
    images = ImageSet(tuple(f"{names[label]}/{row}.jpg" for row, label in enumerate(labels)), labels, names, root=None)
    record = backbones.describe(make_backbone()) | {"dim": DIM}
    return features.FeatureTable(rows.astype(np.float32), images, record)


@pytest.fixture(scope="module")
def model(table, make_backbone):
    """Trained once; the tests leave it as it is."""
    return train_classes(table, backbone=make_backbone(), seed=1, **FAST)


def test_the_parts_share_no_class(model, table):
    labels = table.images.labels
    parts = {part: set(labels[getattr(model.split, part)].tolist()) for part in ("train", "validation", "test")}
    assert all(parts.values()) and sum(map(len, parts.values())) == N_CLASSES == len(set.union(*parts.values()))


def test_it_beats_the_raw_features_on_classes_that_it_never_saw(model):
    figures = model.evaluate()
    runs, gain = figures.retrieval, figures.difference()
    assert gain.low > 0.05
    assert gain.difference == pytest.approx(runs["learnt"].means()["map_at_r"] - runs["raw"].means()["map_at_r"])


def test_the_figures_are_those_of_the_test_rows(model, table):
    rows = model.split.test
    runs = model.evaluate().retrieval
    expected = {"raw": table.matrix[rows], "learnt": model.spaces[LEARNT].head.outputs(table.matrix[rows])}
    for name, embeddings in expected.items():
        again = retrieve(embeddings, table.images.labels[rows])
        np.testing.assert_allclose(runs[name].map_at_r, again.map_at_r, atol=1e-6)


def test_the_best_epoch_on_the_validation_classes_is_kept_the_start_included(model, table):
    rows = model.split.validation
    kept = retrieve(model.spaces[LEARNT].embed(table.matrix[rows]), table.images.labels[rows]).means()["map_at_r"]
    history = model.history[LEARNT]
    course = [history.start_score, *history.score]
    assert kept == pytest.approx(max(course), abs=1e-6) == course[history.best_epoch]
    assert set(history.scores) == {"MAP@R", "hit@1", "hit@10", "recall@10"} == set(history.start_scores)
    assert history.start_scores["MAP@R"] == history.start_score


def test_a_training_that_only_harms_leaves_the_start(table, backbone):
    model = train_classes(table, backbone=backbone, seed=1, **FAST, learning_rate=30.0)
    start = ProjectionHead(start="within-class", shrinkage=0.8, power=POWER)
    start.fit(table.matrix[model.split.train], table.images.labels[model.split.train])
    assert model.history[LEARNT].best_epoch == 0
    np.testing.assert_allclose(model.spaces[LEARNT].embed(table.matrix), start.embed(table.matrix), atol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_thresholds_are_chosen_on_the_validation_classes(table, backbone, rate, model, untrained):
    if rate != 0.01:  # the default
        model = train_classes(table, backbone=backbone, seed=1, **FAST, false_accept_rate=rate)
    rows = model.split.validation
    labels = table.images.labels[rows]
    thresholds = {name: space.threshold for name, space in model.spaces.items()}
    assert list(thresholds) == ["learnt", "raw"] and model.spaces[RAW].calibration["asked"] == rate
    assert thresholds["learnt"] == choose_threshold(
        model.spaces[LEARNT].embed(table.matrix[rows]), labels, false_accept_rate=rate
    )
    assert thresholds["raw"] == pytest.approx(choose_threshold(table.matrix[rows], labels, false_accept_rate=rate))


def test_a_threshold_comes_with_how_far_it_can_be_trusted(table, backbone, untrained, tmp_path):
    model = train_classes(table, backbone=backbone, seed=1, **FAST, validation=5)
    rows, labels = model.split.validation, table.images.labels[model.split.validation]
    expected = threshold_interval(
        model.spaces[LEARNT].embed(table.matrix[rows]), labels, false_accept_rate=0.01, seed=1
    )
    assert model.spaces[LEARNT].calibration == {"asked": 0.01, **expected._asdict()}
    assert expected.low <= model.spaces[LEARNT].threshold <= expected.high
    unsure = model.spaces[RAW].calibration | {"low": -math.inf, "high": math.nan}
    model.with_space(RAW, replace(model.spaces[RAW], calibration=unsure)).save(tmp_path / "model")
    again = Devise.load(tmp_path / "model").spaces
    assert again[LEARNT].calibration == model.spaces[LEARNT].calibration
    assert again[RAW].calibration["low"] == -math.inf and math.isnan(again[RAW].calibration["high"])


def test_galleries_are_drawn_from_the_test_classes(model, table):
    found = model.evaluate(galleries=[10, 10_000]).galleries
    rows = model.split.test
    again = evaluate_galleries({"raw": table.matrix[rows]}, table.images.labels[rows], [10, 10_000], seed=1)
    assert found.left_out == (10_000,) == again.left_out and list(found.runs) == ["learnt", "raw"]
    np.testing.assert_allclose(found.runs["raw"][10].map_at_r, again.runs["raw"][10].map_at_r, atol=1e-6)


def test_open_set_on_test_classes(model, table):
    figures = model.evaluate().open_set
    n = len(model.split.test)
    assert figures["raw"].n_known + figures["raw"].n_unknown + figures["raw"].gallery == n
    assert figures["learnt"].threshold == model.spaces[LEARNT].threshold
    assert figures["learnt"].equal_error_rate < figures["raw"].equal_error_rate
    assert model.evaluate().open_set["learnt"].to_json() == figures["learnt"].to_json()


@pytest.mark.parametrize(("loss", "miner"), [("contrastive", None), ("margin", None), ("normalised-softmax", None),
                                             ("triplet", "hard"), ("multi-similarity", None)])
def test_other_losses_and_miners(table, backbone, loss, miner, untrain, monkeypatch):
    """One with something of its own for each class is trained; the others are in tests/losses."""
    if loss != "normalised-softmax":
        untrain(monkeypatch)
    model = train_classes(table, backbone=backbone, loss=loss, miner=miner, epochs=1, classes=4, per_class=3)
    assert model.record["loss"]["name"] == loss
    assert model.record["loss"]["miner"] == (miner or {"margin": "distance-weighted"}.get(loss))
    assert bool(model.history[LEARNT].validation_loss) == (loss != "normalised-softmax")
    json.dumps(model.record, allow_nan=False)


def test_an_mlp_head_serves_too(table, backbone, untrained):
    model = train_classes(table, backbone=backbone, head=MlpHead(HeadConfig(dim=6, sizes=(8,), dropout=0.0)), **FAST)
    assert model.spaces[LEARNT].embed(table.matrix).shape == (len(table), 6)


def test_the_same_seed_gives_the_same_model(model, table, backbone):
    again = train_classes(table, backbone=backbone, seed=1, **FAST)
    np.testing.assert_array_equal(model.spaces[LEARNT].embed(table.matrix), again.spaces[LEARNT].embed(table.matrix))
    assert model.split.names == again.split.names


def test_another_seed_divides_the_classes_anew(model, table, backbone, untrained):
    assert train_classes(table, backbone=backbone, seed=4, **FAST).split.names != model.split.names


def test_saved_and_opened_in_a_new_process_it_is_the_same(model, table, tmp_path):
    model.save(tmp_path / "model")
    np.save(tmp_path / "rows.npy", table.matrix[:5])
    code = ("import sys, json, numpy as np; from devise.model import Devise;"
            "m = Devise.load(sys.argv[1]); rows = m.spaces['learnt'].embed(np.load(sys.argv[2]));"
            "print(json.dumps([rows.tolist(), m.spaces['learnt'].threshold, m.record, 'keras' in sys.modules]))")
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "model", tmp_path / "rows.npy"],
                         capture_output=True, text=True, check=True)
    rows, threshold, record, framework = json.loads(run.stdout.splitlines()[-1])
    np.testing.assert_allclose(rows, model.spaces[LEARNT].embed(table.matrix[:5]), atol=1e-6)
    assert (threshold, record, framework) == (model.spaces[LEARNT].threshold, model.record, False)
    again = Devise.load(tmp_path / "model")
    assert again.history == model.history and again.split.names == model.split.names
    for name, run in again.evaluate(table).retrieval.items():
        np.testing.assert_allclose(run.map_at_r, model.evaluate().retrieval[name].map_at_r, atol=1e-6)


def test_a_threshold_that_lets_all_in_is_kept_too(model, tmp_path):
    model.calibrate(model.table, false_accept_rate=1.0).save(tmp_path / "model")
    again = Devise.load(tmp_path / "model").spaces
    assert again[LEARNT].threshold == -math.inf and again[RAW].threshold == model.spaces[RAW].threshold


def test_from_pictures_with_the_backbone_of_auto(picture_folder, make_backbone, monkeypatch, untrained, tmp_path):
    monkeypatch.setattr(backbones, "choose", lambda: ("thumbnail", "it is at hand"))
    monkeypatch.setattr(backbones, "load", lambda name, **options: make_backbone())
    for number in range(4):  # four more classes
        (picture_folder / f"class{number}").mkdir()
        for picture in sorted((picture_folder / "cat").iterdir())[2 * number:2 * number + 2]:
            picture.rename(picture_folder / f"class{number}" / picture.name)
    (picture_folder / "car" / "0.png").write_bytes((picture_folder / "car" / "0.png").read_bytes()[:60])
    model = train_classes(from_folder(picture_folder), folder=tmp_path / "features", validation=2, test=2, epochs=2)
    assert model.network.name == "thumbnail" and "car/0.png" not in model.paths
    assert model.embed_images(picture_folder / "dog/1.png").shape == (1, 24)
    with pytest.raises(ValueError, match="can't be read .*0.png"):
        model.embed_images([picture_folder / "dog/1.png", picture_folder / "car/0.png"])


def test_what_can_not_train_is_refused_before_the_long_part(picture_folder, backbone, table):
    images = from_folder(picture_folder)
    for options, message in [({}, "1 classes are for validation: expected two"),
                             ({"loss": "tripled"}, "there is no loss 'tripled'"),
                             ({"loss": "n-pair", "miner": "hard"}, "leave the miner"),
                             ({"validation": 2, "classes": 3}, "2 classes with two pictures or more"),
                             ({"validation": 2, "test": 2}, "0 of 4 classes are left to train on")]:
        with pytest.raises(ValueError, match=message):
            train_classes(
                images, backbone=backbone, **{"validation": 2 if "loss" in options else 1, "test": 0, **options}
            )
    with pytest.raises(ValueError, match="no labels"):
        train_classes(from_folder(picture_folder / "cat"), backbone=backbone)
    assert backbone.calls == 0


def test_features_that_are_no_numbers_are_refused_by_the_name_of_the_picture(table, backbone):
    matrix = table.matrix.copy()
    matrix[[30, 77]] = np.nan
    with pytest.raises(ValueError, match="features of 2 pictures hold NaN or infinity, the first is class 02/30.jpg"):
        train_classes(features.FeatureTable(matrix, table.images, table.backbone), backbone=backbone, **FAST)
    with pytest.raises(ValueError, match="167 rows of features and 168 pictures"):
        train_classes(features.FeatureTable(table.matrix[1:], table.images, table.backbone), backbone=backbone, **FAST)


def test_pictures_whose_features_are_all_zero_are_left_out_and_listed(table, backbone, untrained):
    matrix = table.matrix.copy()
    matrix[[30, 77]] = 0
    blank = features.FeatureTable(matrix, table.images, table.backbone)
    parts = split_classes(table.images.labels, table.images.label_names, seed=1)
    for options in ({}, {"split": parts}):
        model = train_classes(blank, backbone=backbone, seed=1, **FAST | {"epochs": 1}, **options)
        assert [tuple(item) for item in model.table.images.skipped] == [
            (table.images.paths[row], "its features are all zero") for row in (30, 77)]
        used = [model.paths[row] for part in ("train", "validation", "test") for row in getattr(model.split, part)]
        assert sorted(used) == sorted(set(table.images.paths) - {table.images.paths[30], table.images.paths[77]})


def test_changed_copies_train_along(table, backbone, model):
    parts = split_classes(table.images.labels, table.images.label_names, seed=1)
    asked = []

    def augmented(rows):
        asked.append(rows)
        return AugmentedFeatures([table.matrix[rows], table.matrix[rows] + 5], lambda epoch: 1.0)

    changed = train_classes(table, backbone=backbone, seed=1, **FAST, split=parts, augmented=augmented)
    np.testing.assert_array_equal(asked, [parts.train])
    np.testing.assert_array_equal(model.split.train, parts.train)  # trained on the same rows, by the same seed
    assert changed.history[LEARNT].loss != model.history[LEARNT].loss
    assert changed.history[LEARNT].start_score == model.history[LEARNT].start_score


def test_what_does_not_fit_is_refused_by_name(model, table, backbone, make_backbone, tmp_path):
    other = features.FeatureTable(table.matrix, table.images, backbones.describe(make_backbone(1)))
    with pytest.raises(ValueError, match="extract them with its backbone"):
        model.evaluate(other)
    with pytest.raises(ValueError, match="the model was asked for vgg16"):
        train_classes(table, backbone="vgg16", **FAST)
    with pytest.raises(FileNotFoundError, match="holds no model"):
        Devise.load(tmp_path)
    with pytest.raises((ValueError, TypeError)):
        train_classes(table, backbone=backbone, head=RidgeHead(), **FAST)


def test_a_given_split_is_used(table, backbone, untrained):
    parts = split_classes(table.images.labels, table.images.label_names, validation=["class 03", "class 04"], test=0)
    model = train_classes(table, backbone=backbone, split=parts, **FAST)
    assert model.split.names["validation"] == ("class 03", "class 04") and not len(model.split.test)
    with pytest.raises(ValueError, match="no class was kept for test"):
        model.evaluate()
