"""The attribute benchmarks on drawn sets, wholly drawn or around the published splits."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from devise import storage
from devise.datasets.xlsa import read_set
from devise.heads import RidgeHead
from devise.recipes import xian2018
from devise.zeroshot import onto

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "xlsa17"
TRAIN, VALIDATION, UNSEEN = 6, 3, 3
CLASSES = TRAIN + VALIDATION + UNSEEN


def draw_set(folder, *, noise=0.2, dim=12, per_class=10, seed=0):
    """Write a set whose features are a linear map of its attributes, with noise."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    attributes = random.normal(size=(CLASSES, 8))
    attributes /= np.linalg.norm(attributes, axis=1, keepdims=True)
    seen, rows = labels < TRAIN + VALIDATION, np.arange(len(labels))
    tested = seen & (rows % per_class < 2)
    parts = {"train_loc": labels < TRAIN, "val_loc": seen & (labels >= TRAIN), "trainval_loc": seen & ~tested,
             "test_seen_loc": tested, "test_unseen_loc": ~seen}
    locations = {name: random.permutation(rows[part])[:, None] + 1 for name, part in parts.items()}
    write(folder, attributes, labels, locations, noise, dim, random)


def write(folder, attributes, labels, locations, noise, dim, random):
    features = attributes[labels] @ random.normal(size=(attributes.shape[1], dim))
    features += noise * random.normal(size=features.shape)
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "res101.mat", {"features": features.T, "labels": labels[:, None] + 1.0})
    names = np.array([[f"class+{label}"] for label in range(len(attributes))], object)
    savemat(folder / "att_splits.mat", {"att": attributes.T, "allclasses_names": names, **locations})


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The report of two drawn sets, and the folder it was written to."""
    root = tmp_path_factory.mktemp("xlsa")
    draw_set(root / "AWA2")
    draw_set(root / "SUN", seed=1)
    (root / "notes").mkdir()
    steps, learn, learnt = [], xian2018.softmax, {}

    def softmax(x, labels, n_labels, *rest, **options):  # the first of each size stands for the others
        if n_labels not in learnt:
            learnt[n_labels] = learn(x, labels, n_labels, *rest, **options)
        return learnt[n_labels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xian2018, "EPOCHS", 3)
        patch.setattr(xian2018, "softmax", softmax)
        report = xian2018.run(root / "out", root=root, seeds=2, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    return root, report


def test_every_rule_has_a_row_with_every_figure(ran):
    root, report = ran
    document = storage.read_json(root / "out" / "report.json")
    assert [shown["caption"].split(":")[0] for shown in document["tables"]] == ["SUN", "AWA2"]
    for shown in document["tables"]:
        assert {row["name"] for row in shown["rows"]} == {*xian2018.METHODS, "ConSE"}
        for row in shown["rows"]:
            assert set(row["values"]) == {"top-1", "u", "s", "H", "AUSUC"}
            assert all(0 <= value["mean"] <= 1 and value["n"] == 2 for value in row["values"].values())
        assert shown["published"] == [], "three unseen classes are not the published set's"
    for picture in document["pictures"]:
        assert min(Image.open(root / "out" / picture["file"]).size) > 100
    assert "30 pictures over 3 unseen classes" in document["tables"][0]["caption"]
    assert "chosen with seed 0" in document["notes"][-1]


def test_what_attributes_explain_is_learned(ran):
    for shown in ran[1].tables:
        assert shown.row("DeViSE (ridge, cosine)")["top-1"].mean > 0.8
        assert shown.row("ESZSL")["top-1"].mean > 0.8
        assert shown.row("DeViSE (hinge rank, linear)")["top-1"].mean > 0.5


def test_the_figures_are_those_of_a_loop(ran, tmp_path):
    data = read_set(ran[0] / "SUN")
    options, _accuracy = xian2018.choose(RidgeHead, {"penalty": xian2018.PENALTIES}, data)
    head = RidgeHead(**options).fit(data.features[data.trainval], data.labels[data.trainval], data.attributes)
    scores = onto(head, data.attributes).scores(data.features)
    unseen = [label for label in range(CLASSES) if label >= TRAIN + VALIDATION]

    def per_class(rows, candidates):
        right = {}
        for row in rows:
            best = max(candidates, key=lambda label: scores[row, label])
            right.setdefault(data.labels[row], []).append(best == data.labels[row])
        return np.mean([np.mean(found) for found in right.values()])

    u, s = per_class(data.test_unseen, range(CLASSES)), per_class(data.test_seen, range(CLASSES))
    expected = {"top-1": per_class(data.test_unseen, unseen), "u": u, "s": s, "H": 2 * u * s / (u + s) if u + s else 0}
    found = ran[1].tables[0].row("DeViSE (ridge, cosine)")
    assert {name: found[name].mean for name in expected} == pytest.approx(expected)


def test_choices_look_at_no_test_picture(tmp_path):
    draw_set(tmp_path / "SUN")
    data = read_set(tmp_path / "SUN")
    before = xian2018.choose(RidgeHead, {"penalty": xian2018.PENALTIES}, data)
    data.features[np.concatenate([data.test_seen, data.test_unseen])] = np.nan
    assert xian2018.choose(RidgeHead, {"penalty": xian2018.PENALTIES}, data) == before


def test_published_rows_stand_beside_sets_of_the_published_size(tmp_path, monkeypatch):
    draw_set(tmp_path / "SUN")
    data = read_set(tmp_path / "SUN")
    counts = {"count": CLASSES, "unseen": UNSEEN}
    monkeypatch.setattr(xian2018, "count_of", lambda name, kind="count": counts[kind])
    rows = xian2018._beside(data, UNSEEN, True)
    assert {row.name: row.certain for row in rows}["ConSE"] is False and len(rows) == 5
    assert rows[0].values == {"top-1": 0.565, "u": 0.169, "s": 0.274, "H": 0.209}


def test_nan_and_missing_files_end_the_run(tmp_path):
    draw_set(tmp_path / "CUB")
    (tmp_path / "CUB" / "att_splits.mat").unlink()
    with pytest.raises(FileNotFoundError, match="att_splits.mat does not exist"):
        xian2018.run(tmp_path / "out", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="none of the folders"):
        xian2018.run(tmp_path / "out", root=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the published splits in ../shared/data/xlsa17")
def test_drawn_features_around_the_published_splits(tmp_path, monkeypatch):
    found = loadmat(REAL / "AWA2" / "att_splits.mat")
    rows = {name: found[name].ravel().astype(int) - 1 for name in found if name.endswith("_loc")}
    random, labels = np.random.default_rng(0), np.zeros(37322, int)
    classes = random.permutation(50)
    for part, mine in (("train_loc", classes[:27]), ("val_loc", classes[27:40]), ("test_unseen_loc", classes[40:])):
        labels[rows[part]] = np.resize(mine, len(rows[part]))
    features = found["att"].T[labels] @ random.normal(size=(85, 10)) + 0.05 * random.normal(size=(37322, 10))
    (tmp_path / "AWA2").mkdir()
    savemat(tmp_path / "AWA2" / "res101.mat", {"features": features.T, "labels": labels[:, None] + 1})
    shutil.copyfile(REAL / "AWA2" / "att_splits.mat", tmp_path / "AWA2" / "att_splits.mat")
    monkeypatch.setattr(xian2018, "METHODS", {name: xian2018.METHODS[name] for name in ("ESZSL", "SAE")})
    monkeypatch.setattr(xian2018, "_conse", lambda data, x, seed: ({"T": 1}, x @ np.ones((10, 50), np.float32)))
    report = xian2018.run(tmp_path / "out", root=tmp_path, recalled=True)
    assert report.facts["AWA2"] == "37,322 pictures, 10-d, 85 attributes, 40 seen and 10 unseen classes"
    shown, = report.tables
    assert [row.name for row in shown.published] == ["DeViSE", "ALE", "SJE", "ESZSL", "ConSE"]
    assert "7,913 pictures over 10 unseen classes" in shown.caption and "5,882" in shown.caption
    assert shown.row("ESZSL")["top-1"].mean > 0.2, "chance is 0.1"
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "58.6" in page and "44.5 †" in page and "59.7 †" not in page
