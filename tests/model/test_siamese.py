"""A learnt retrieval model: trained on some classes, judged on others, kept in a folder."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from devise import features
from devise.datasets import ImageSet, from_folder, split_classes
from devise.evaluation import choose_threshold, evaluate_galleries, retrieve, threshold_interval
from devise.heads import HeadConfig, MlpHead, ProjectionHead, RidgeHead
from devise.model.siamese import POWER, Siamese, difference
from devise.training import FeatureBank

N_CLASSES, PER_CLASS, DIM = 14, 12, 20
FAST = {"epochs": 4, "classes": 4, "per_class": 3}


@pytest.fixture
def table(backbone):
    """Features in which a strong nuisance hides the classes; all classes share it, so it can be learnt away."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(N_CLASSES), PER_CLASS)
    rows = random.standard_normal((N_CLASSES, DIM))[labels] + 0.5 * random.standard_normal((len(labels), DIM))
    rows[:, :4] += 4 * random.standard_normal((len(labels), 4))
    names = tuple(f"class {number:02}" for number in range(N_CLASSES))
    images = ImageSet(tuple(f"{names[label]}/{row}.jpg" for row, label in enumerate(labels)), labels, names, root=None)
    record = features.describe(backbone) | {"dim": DIM}
    return features.FeatureTable(rows.astype(np.float32), images, record)


@pytest.fixture
def model(table, backbone):
    return Siamese(backbone, seed=1).fit(table, **FAST)


def test_the_parts_share_no_class(model, table):
    labels = table.images.labels
    parts = {part: set(labels[getattr(model.split, part)].tolist()) for part in ("train", "validation", "test")}
    assert all(parts.values()) and sum(map(len, parts.values())) == N_CLASSES == len(set.union(*parts.values()))


def test_it_beats_the_raw_features_on_classes_that_it_never_saw(model):
    runs = model.evaluate()
    gain = difference(runs)
    assert gain.low > 0.05
    assert gain.difference == pytest.approx(runs["learnt"].means()["map_at_r"] - runs["raw"].means()["map_at_r"])


def test_the_figures_are_those_of_the_test_rows(model, table):
    rows = model.split.test
    runs = model.evaluate()
    expected = {"raw": table.matrix[rows], "learnt": model.head.outputs(table.matrix[rows])}
    for name, embeddings in expected.items():
        again = retrieve(embeddings, table.images.labels[rows])
        np.testing.assert_allclose(runs[name].map_at_r, again.map_at_r, atol=1e-6)


def test_the_best_epoch_on_the_validation_classes_is_kept_the_start_included(model, table):
    rows = model.split.validation
    kept = retrieve(model.embed_features(table.matrix[rows]), table.images.labels[rows]).means()["map_at_r"]
    course = [model.history.start_score, *model.history.score]
    assert kept == pytest.approx(max(course), abs=1e-6) == course[model.history.best_epoch]
    assert set(model.history.scores) == {"MAP@R", "hit@1", "hit@10", "recall@10"} == set(model.history.start_scores)
    assert model.history.start_scores["MAP@R"] == model.history.start_score


def test_a_training_that_only_harms_leaves_the_start(table, backbone):
    model = Siamese(backbone, seed=1).fit(table, **FAST, learning_rate=30.0)
    start = ProjectionHead(start="within-class", shrinkage=0.8, power=POWER)
    start.fit(table.matrix[model.split.train], table.images.labels[model.split.train])
    assert model.history.best_epoch == 0
    np.testing.assert_allclose(model.embed_features(table.matrix), start.embed(table.matrix), atol=1e-5)


@pytest.mark.parametrize("far", [0.0, 0.1])
def test_thresholds_are_chosen_on_the_validation_classes(table, backbone, far):
    model = Siamese(backbone, seed=1).fit(table, **FAST, far=far)
    rows = model.split.validation
    labels = table.images.labels[rows]
    assert model.far == far and set(model.thresholds) == {"raw", "learnt"}
    assert model.thresholds["learnt"] == choose_threshold(model.embed_features(table.matrix[rows]), labels,
                                                             false_accept_rate=far)
    assert model.thresholds["raw"] == pytest.approx(choose_threshold(table.matrix[rows], labels,
                                                                          false_accept_rate=far))


def test_a_threshold_comes_with_how_far_it_can_be_trusted(table, backbone, tmp_path):
    model = Siamese(backbone, seed=1).fit(table, **FAST, validation=5)
    rows, labels = model.split.validation, table.images.labels[model.split.validation]
    expected = threshold_interval(model.embed_features(table.matrix[rows]), labels, false_accept_rate=0.01, seed=1)
    assert set(model.trust) == {"raw", "learnt"} and model.trust["learnt"] == expected
    assert expected.low <= model.thresholds["learnt"] <= expected.high
    model.trust["raw"] = model.trust["raw"]._replace(low=-math.inf, accepted=math.nan)
    model.save(tmp_path / "model")
    again = Siamese.load(tmp_path / "model").trust
    assert again["learnt"] == expected and again["raw"].low == -math.inf and math.isnan(again["raw"].accepted)


def test_galleries_are_drawn_from_the_test_classes(model, table):
    found = model.evaluate_galleries([10, 10_000])
    rows = model.split.test
    again = evaluate_galleries({"raw": table.matrix[rows]}, table.images.labels[rows], [10, 10_000], seed=1)
    assert found.left_out == (10_000,) == again.left_out and list(found.runs) == ["raw", "learnt"]
    np.testing.assert_allclose(found.runs["raw"][10].map_at_r, again.runs["raw"][10].map_at_r, atol=1e-6)


def test_open_set_on_test_classes(model, table):
    figures = model.evaluate_open_set()
    n = len(model.split.test)
    assert figures["raw"].n_known + figures["raw"].n_unknown + figures["raw"].gallery == n
    assert figures["learnt"].threshold == model.thresholds["learnt"]
    assert figures["learnt"].equal_error_rate < figures["raw"].equal_error_rate
    assert model.evaluate_open_set()["learnt"].to_json() == figures["learnt"].to_json()


@pytest.mark.parametrize(("loss", "miner"), [("contrastive", None), ("margin", None), ("normalised-softmax", None),
                                             ("triplet", "hard"), ("multi-similarity", None)])
def test_other_losses_and_miners(table, backbone, loss, miner):
    model = Siamese(backbone).fit(table, loss=loss, miner=miner, epochs=1, classes=4, per_class=3)
    assert model.loss["name"] == loss
    assert model.loss["miner"] == (miner or {"margin": "distance-weighted"}.get(loss))
    assert bool(model.history.validation_loss) == (loss != "normalised-softmax")
    json.dumps(model.loss, allow_nan=False)


def test_an_mlp_head_serves_too(table, backbone):
    model = Siamese(backbone).fit(table, head=MlpHead(HeadConfig(dim=6, sizes=(8,), dropout=0.0)), **FAST)
    assert model.embed_features(table.matrix).shape == (len(table), 6)


def test_the_same_seed_gives_the_same_model(table, backbone):
    first, second = (Siamese(backbone, seed=3).fit(table, **FAST) for _ in range(2))
    np.testing.assert_array_equal(first.embed_features(table.matrix), second.embed_features(table.matrix))
    assert first.split.names == second.split.names != Siamese(backbone, seed=4).fit(table, **FAST).split.names


def test_saved_and_opened_in_a_new_process_it_is_the_same(model, table, tmp_path):
    model.save(tmp_path / "model")
    np.save(tmp_path / "rows.npy", table.matrix[:5])
    code = ("import sys, json, numpy as np; from devise.model.spaces import open_model;"
            "m = open_model(sys.argv[1]); rows = m.embed_features(np.load(sys.argv[2]));"
            "print(json.dumps([rows.tolist(), m.thresholds, m.far, m.loss, 'keras' in sys.modules]))")
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "model", tmp_path / "rows.npy"],
                         capture_output=True, text=True, check=True)
    rows, thresholds, far, loss, framework = json.loads(run.stdout.splitlines()[-1])
    np.testing.assert_allclose(rows, model.embed_features(table.matrix[:5]), atol=1e-6)
    assert (thresholds, far, loss, framework) == (model.thresholds, 0.01, model.loss, False)
    again = Siamese.load(tmp_path / "model")
    assert again.history == model.history and again.split.names == model.split.names
    for name, run in again.evaluate(table).items():
        np.testing.assert_allclose(run.map_at_r, model.evaluate()[name].map_at_r, atol=1e-6)


def test_a_threshold_that_lets_all_in_is_kept_too(model, tmp_path):
    model.choose_threshold(far=1.0)
    model.save(tmp_path / "model")
    assert Siamese.load(tmp_path / "model").thresholds == {"raw": -math.inf, "learnt": -math.inf}


def test_from_pictures_with_the_backbone_of_auto(picture_folder, make_backbone, monkeypatch, tmp_path):
    from devise import backbones

    monkeypatch.setattr(backbones, "choose", lambda: ("thumbnail", "it is at hand"))
    monkeypatch.setattr(backbones, "load", lambda name, **options: make_backbone())
    for number in range(4):  # four more classes
        (picture_folder / f"class{number}").mkdir()
        for picture in sorted((picture_folder / "cat").iterdir())[2 * number:2 * number + 2]:
            picture.rename(picture_folder / f"class{number}" / picture.name)
    (picture_folder / "car" / "0.png").write_bytes((picture_folder / "car" / "0.png").read_bytes()[:60])
    model = Siamese().fit(from_folder(picture_folder), folder=tmp_path / "features", validation=2, test=2, epochs=2)
    assert model.backbone_record["name"] == "thumbnail" and "car/0.png" not in model.paths
    assert model.embed_pictures(picture_folder / "dog/1.png").shape == (1, 24)
    with pytest.raises(ValueError, match="can't be read .*0.png"):
        model.embed_pictures([picture_folder / "dog/1.png", picture_folder / "car/0.png"])


def test_what_can_not_train_is_refused_before_the_long_part(picture_folder, backbone, table):
    images = from_folder(picture_folder)
    for options, message in [({}, "1 classes are for validation: expected two"),
                             ({"loss": "tripled"}, "there is no loss 'tripled'"),
                             ({"loss": "n-pair", "miner": "hard"}, "leave the miner"),
                             ({"validation": 2, "classes": 3}, "2 classes with two pictures or more"),
                             ({"validation": 2, "test": 2}, "0 of 4 classes are left to train on")]:
        with pytest.raises(ValueError, match=message):
            Siamese(backbone).fit(images, **{"validation": 2 if "loss" in options else 1, "test": 0, **options})
    with pytest.raises(ValueError, match="no labels"):
        Siamese(backbone).fit(from_folder(picture_folder / "cat"))
    assert backbone.calls == 0


def test_features_that_are_no_numbers_are_refused_by_the_name_of_the_picture(table, backbone):
    matrix = table.matrix.copy()
    matrix[[30, 77]] = np.nan
    with pytest.raises(ValueError, match="features of 2 pictures hold NaN or infinity, the first is class 02/30.jpg"):
        Siamese(backbone).fit(features.FeatureTable(matrix, table.images, table.backbone), **FAST)
    with pytest.raises(ValueError, match="167 rows of features and 168 pictures"):
        Siamese(backbone).fit(features.FeatureTable(table.matrix[1:], table.images, table.backbone), **FAST)


def test_pictures_whose_features_are_all_zero_are_left_out_and_listed(table, backbone):
    matrix = table.matrix.copy()
    matrix[[30, 77]] = 0
    blank = features.FeatureTable(matrix, table.images, table.backbone)
    parts = split_classes(table.images.labels, table.images.label_names, seed=1)
    for options in ({}, {"parts": parts}):
        model = Siamese(backbone, seed=1).fit(blank, **FAST, **options)
        assert [tuple(item) for item in model.table.images.skipped] == [
            (table.images.paths[row], "its features are all zero") for row in (30, 77)]
        used = [model.paths[row] for part in ("train", "validation", "test") for row in getattr(model.split, part)]
        assert sorted(used) == sorted(set(table.images.paths) - {table.images.paths[30], table.images.paths[77]})


def test_changed_copies_train_along(table, backbone):
    parts = split_classes(table.images.labels, table.images.label_names, seed=1)
    asked = []

    def bank(rows):
        asked.append(rows)
        return FeatureBank([table.matrix[rows], table.matrix[rows] + 5], lambda epoch: 1.0)

    model = Siamese(backbone, seed=1).fit(table, **FAST, parts=parts, bank=bank)
    np.testing.assert_array_equal(asked, [parts.train])
    plain = Siamese(backbone, seed=1).fit(table, **FAST, parts=parts)
    assert model.history.loss != plain.history.loss and model.history.start_score == plain.history.start_score


def test_what_does_not_fit_is_refused_by_name(model, table, backbone, make_backbone, tmp_path):
    other = features.FeatureTable(table.matrix, table.images, features.describe(make_backbone(1)))
    with pytest.raises(ValueError, match="extract them with its backbone"):
        model.evaluate(other)
    with pytest.raises(ValueError, match="the model was asked for vgg16"):
        Siamese("vgg16").fit(table, **FAST)
    with pytest.raises(ValueError, match="call fit first"):
        Siamese(backbone).save(tmp_path / "model")
    with pytest.raises(ValueError, match="no class was kept for test"):
        Siamese(backbone).fit(table, test=0, **FAST).evaluate()
    with pytest.raises(FileNotFoundError, match="holds no siamese"):
        Siamese.load(tmp_path)
    with pytest.raises((ValueError, TypeError)):
        Siamese(backbone).fit(table, head=RidgeHead(), **FAST)


def test_a_given_split_is_used(table, backbone):
    parts = split_classes(table.images.labels, table.images.label_names, validation=["class 03", "class 04"], test=0)
    model = Siamese(backbone).fit(table, parts=parts, **FAST)
    assert model.split.names["validation"] == ("class 03", "class 04") and not len(model.split.test)
