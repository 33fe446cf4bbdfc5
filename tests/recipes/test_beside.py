"""Classes beside the shipped model: the recipe's figures, recomputed picture by picture, and its report."""

import json

import numpy as np
import pytest

from devise import features
from devise.datasets import split
from devise.model import pretrained, train_labels
from devise.recipes import beside
from devise.recipes.pretrained.measuring import usual_names

CLASSES = ("anchor", "crab", "llama", "pizza", "elephant", "saxophone")


@pytest.fixture(scope="module")
def table():
    whole = features.load("caltech37")
    rows = [row for name in CLASSES for row in np.flatnonzero(
        [whole.images.label_of(row) == name for row in range(len(whole))])[:10]]
    some = whole.subset(rows)
    return features.FeatureTable(some.matrix, some.images.with_classes(CLASSES), some.backbone)


@pytest.fixture(scope="module")
def report(table, tmp_path_factory):
    folder, steps = tmp_path_factory.mktemp("beside") / "results", []
    beside.run(folder, images=table, draws=1, unseen=2, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 1)] and (folder / "beside.png").is_file() and (folder / "report.md").is_file()
    return json.loads((folder / "report.json").read_text())


def cells(report, row):
    return {column: value["mean"] for found in report["tables"] for each in found["rows"] if each["name"] == row
            for column, value in each["values"].items()}


def test_each_figure_is_that_of_a_loop_over_the_pictures(table, report):
    drawn = split(table.images.labels, CLASSES, unseen=2, seed=0)
    models = {beside.ALONE: pretrained(), beside.BESIDE: train_labels(table, split=drawn)}
    for name, model in models.items():
        rows, found = [*drawn.test, *drawn.unseen_rows], cells(report, name)
        texts = dict(zip(CLASSES, model.embed_text(CLASSES), strict=True))
        limits = dict(zip(CLASSES, model.spaces["shared"].text.thresholds(np.stack([*texts.values()])), strict=True))
        seen, unseen, right, wrong, tagged, of_class = [], [], [], [], [], {label: [] for label in CLASSES}
        for row in rows:
            image, own = table.subset([row]), table.images.label_of(row)
            cosines = {label: float(model.embed_images(image, "shared")[0] @ texts[label]) for label in CLASSES}
            of_class[own].append(max(cosines, key=cosines.get) == own)
            among = drawn.seen if own in drawn.seen else drawn.unseen
            (seen if own in drawn.seen else unseen).append(max(among, key=cosines.get) == own)
            for label in drawn.seen:
                (right if label == own else wrong).append(cosines[label] >= limits[label])
            if own in drawn.unseen:
                tagged.append(bool({tag.name for tag in model.tag(image, k=10)[0]} & usual_names(own)))
        assert found["seen"] == pytest.approx(np.mean(seen)) and found["unseen"] == pytest.approx(np.mean(unseen))
        assert found["s"] == pytest.approx(np.mean([np.mean(of_class[label]) for label in drawn.seen]))
        assert found["u"] == pytest.approx(np.mean([np.mean(of_class[label]) for label in drawn.unseen]))
        assert found["H"] == pytest.approx(2 * found["s"] * found["u"] / (found["s"] + found["u"]))
        assert found["accepted, right"] == pytest.approx(np.mean(right))
        assert found["accepted, wrong"] == pytest.approx(np.mean(wrong))
        assert found["tag, unseen"] == pytest.approx(np.mean(tagged))


def test_unseen_classes_are_found_as_by_the_model_alone(report):
    alone, extended, nothing = (cells(report, name) for name in (beside.ALONE, beside.BESIDE, beside.NOTHING))
    assert alone["unseen"] == extended["unseen"] and alone["tag, unseen"] == extended["tag, unseen"]
    assert extended["seen"] >= alone["seen"] and extended["names P@10"] >= alone["names P@10"]
    assert not {"accepted, right", "everyday P@10"} & set(nothing)
    assert "eight draws" in report["notes"][0]
