"""The siamese recipe on drawn classes and on small pictures: its figures, its pictures, what it says."""

import json

import numpy as np
import pytest
from PIL import Image

from devise import cli, storage
from devise.datasets import ImageSet
from devise.evaluation import retrieve
from devise.features import FeatureTable
from devise.heads import ProjectionHead
from devise.metrics import paired_difference
from devise.model import Devise
from devise.recipes import siamese
from devise.recipes.retrieval import open_retrieval

TEST = ("class01", "class04", "class07", "class10", "class13")


@pytest.fixture(scope="module")
def models(hidden_classes):
    """Two models by triplets from the closed form, a seed each; they stand for those of every row."""
    source = open_retrieval(hidden_classes, test=TEST)
    with pytest.warns(UserWarning, match="classes of one row"):
        return [siamese.train(source, siamese.trainings(False)[siamese.LEARNT], None, seed=seed, epochs=2,
                              far=siamese.FAR) for seed in range(2)]


@pytest.fixture(scope="module")
def ran(hidden_classes, models, tmp_path_factory):
    """The folder that two seeds wrote, its report.json, and the steps of its progress."""
    folder, steps = tmp_path_factory.mktemp("siamese"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siamese, "train", lambda source, training, copies, *, seed, epochs, far: models[seed])
        patch.setattr(siamese.neighbour_rows, "__kwdefaults__", {"queries": 2, "depth": 2})
        siamese.run(folder, images=hidden_classes, test=TEST, seeds=2, epochs=2, gallery=(5, 20, 10_000),
                    progress=lambda *step: steps.append(step))
    return folder, storage.read_json(folder / "report.json"), steps


def rows(report, number):
    return {row["name"]: row["values"] for row in report["tables"][number - 1]["rows"]}


def test_it_writes_a_report_a_model_and_pictures(ran):
    folder, report, steps = ran
    assert steps == [(done, 8) for done in range(1, 9)]
    for picture in report["pictures"]:
        assert Image.open(folder / picture["file"]).format == "PNG"
    assert [picture["file"] for picture in report["pictures"]] == [
        "map_at_r.png", "progress.png", "curriculum.png", "roc.png", "neighbours.png"]
    assert Devise.load(folder / "model").split.names["test"] == TEST
    assert (folder / "report.md").read_text(encoding="utf-8").count("**Table") == 5
    json.dumps(report, allow_nan=False)


def test_the_figures_before_are_those_of_the_features(ran, hidden_classes):
    mask = np.isin(hidden_classes.images.labels, [int(name[-2:]) for name in TEST])
    found, labels = rows(ran[1], 1), hidden_classes.images.labels[mask]
    for name, features in ((siamese.RAW, hidden_classes.matrix),
                           (siamese.ROOTS, np.sign(hidden_classes.matrix) * abs(hidden_classes.matrix) ** 0.5)):
        means = retrieve(features[mask], labels).means()
        assert found[name]["MAP@R"]["mean"] == pytest.approx(means["map_at_r"])
        assert found[name]["Recall@1"]["mean"] == pytest.approx(means["hit_at_k"][1])
        assert found[name]["recall@10"]["mean"] == pytest.approx(means["recall_at_k"][10])


def test_the_gain_of_the_closed_form_has_an_interval_over_classes(ran, hidden_classes):
    labels = hidden_classes.images.labels
    mask = np.isin(labels, [int(name[-2:]) for name in TEST])
    learn = ~mask & (labels >= 0)
    head = ProjectionHead(start="within-class", shrinkage=0.8, power=0.5).fit(hidden_classes.matrix[learn],
                                                                             labels[learn])
    raw, learnt = (retrieve(found[mask], labels[mask], ks=(1,)).map_at_r
                   for found in (hidden_classes.matrix, head.embed(hidden_classes.matrix)))
    expected = paired_difference(raw, learnt, labels[mask])
    found = rows(ran[1], 2)[siamese.WHOLE]["MAP@R"]
    assert found["difference"] == pytest.approx(expected.difference, abs=1e-6)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_learnt_row_is_the_models_own(ran, models):
    found = rows(ran[1], 1)[siamese.LEARNT]["MAP@R"]
    means = [model.evaluate().retrieval["learnt"].means()["map_at_r"] for model in models]
    assert (found["mean"], found["n"]) == (pytest.approx(np.mean(means), abs=1e-5), 2)


def test_galleries_that_fit_are_there_and_others_are_named(ran):
    columns = ran[1]["tables"][3]["columns"]
    assert columns[::2] == ["hit@1, gallery 5", "hit@1, gallery 20", "hit@1, gallery 35"]
    assert any("galleries of 10,000" in note for note in ran[1]["notes"])


def test_the_threshold_is_printed_with_how_far_it_can_be_trusted(ran):
    assert any(note.startswith("Seed 0: ") and "validation classes chose the threshold" in note
               for note in ran[1]["notes"])
    assert set(rows(ran[1], 5)) == {"raw", "learnt"}
    assert rows(ran[1], 5)["raw"]["TAR@FAR 0.1"]["n"] == 2


def test_what_was_left_out_is_said(ran):
    assert any("1 classes have one picture" in note for note in ran[1]["notes"])
    assert any("--images FOLDER has both" in note for note in ran[1]["notes"])


def test_a_curriculum_grows_what_it_says(hidden_classes, monkeypatch):
    from devise.losses import mining
    from devise.training import AugmentedFeatures

    source, seen, strengths = open_retrieval(hidden_classes, test=TEST), [], []
    made = mining.make("semi-hard")
    monkeypatch.setattr(mining, "make", lambda name, seed: made)
    monkeypatch.setattr(AugmentedFeatures, "draw", lambda self, n, epoch, rng: (
        seen.append(float(made.difficulty.value)), strengths.append(self._schedule(epoch)), np.zeros(n, np.int64))[2])
    copies = [source.matrix[source.split.train] for _ in range(2)]
    training = siamese.trainings(True)[siamese.GROWING.format(siamese.LEARNT)]
    with pytest.warns(UserWarning):
        siamese.train(source, training, copies, seed=0, epochs=4, far=0.05)
    expected = siamese.schedules(4, True)
    assert [schedule.values()[0] for schedule in expected.values()] == [siamese.EASY, 0.0]
    assert seen == pytest.approx([schedule(epoch) for schedule in list(expected.values())[:1] for epoch in range(1, 5)])
    assert strengths == [list(expected.values())[1](epoch) for epoch in range(1, 5)] and strengths[-1] == 1


def test_from_pictures_changed_copies_train_too(stub, tmp_path, capsys, monkeypatch):
    train, given, made = siamese.train, [], []

    def once(source, training, copies, **options):
        given.append((training.changed, training.grows))
        made.extend([] if made else [train(source, training._replace(changed=True, grows=True), copies, **options)])
        return made[0]

    monkeypatch.setattr(siamese, "train", once)
    monkeypatch.setattr(siamese.neighbour_rows, "__kwdefaults__", {"queries": 2, "depth": 2})
    random = np.random.default_rng(0)
    for number in range(9):
        (tmp_path / "tiles" / f"tile{number}").mkdir(parents=True)
        for picture in range(4):
            pixels = np.array([250 - 25 * number, 40, 25 * number]) * random.uniform(0.4, 1)
            pixels = pixels + random.normal(scale=12, size=(24, 24, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                tmp_path / "tiles" / f"tile{number}" / f"{picture}.png")
    (tmp_path / "tiles" / "tile1" / "notes.png").write_text("not a picture")
    code = cli.main(["recipe", "siamese", "--images", str(tmp_path / "tiles"), "--test", "3", "--seeds", "1",
                     "--epochs", "2", "-o", str(tmp_path / "out"), "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    found = json.loads(printed.out)
    names = [row["name"] for row in found["tables"][0]["rows"]]
    assert names[4:] == ["triplets from the closed form", "triplets from the closed form, all changes at once",
                         "triplets from the closed form, curriculum", "triplets from raw",
                         "triplets from raw, all changes at once", "triplets from raw, curriculum"]
    assert given == [(False, False), (True, False), (True, True)] * 2
    assert any("notes.png" in note for note in found["notes"])
    assert stub.calls == 36 + 3 * 24  # each picture once, and those that may be learned from at three strengths
    assert "triplets from raw: curriculum − all changes at once" in [row["name"] for row in found["tables"][2]["rows"]]


@pytest.fixture
def stub(monkeypatch, make_backbone, tmp_path):
    from devise import backbones

    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    network = make_backbone()
    monkeypatch.setattr(backbones, "load", lambda name="vgg16", **options: network)
    return network


@pytest.mark.parametrize(("argv", "said"), [
    (["--root", "x"], "--root and --set go together"), (["--draws", "3"], "there is no option '--draws'"),
    (["--labels", "x.csv"], "they go with --images"), (["--set", "sop"], "there is no option '--set'")])
def test_wrong_usage(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a.jpg,cat", encoding="utf-8")
    name = "metric" if "go together" in said else "siamese"
    assert cli.main(["recipe", name, *argv, "-o", str(tmp_path / "new")]) == 2
    assert said in capsys.readouterr().err


def test_too_few_classes_and_features_that_are_no_numbers_end_the_run(hidden_classes, tmp_path):
    few = hidden_classes.subset(np.flatnonzero(hidden_classes.images.labels < 4))
    with pytest.raises(ValueError, match="expected two or more"):
        siamese.run(tmp_path / "out", images=few, test=2, seeds=1, epochs=1)
    broken = FeatureTable(np.full((4, 3), np.nan), ImageSet(["a/1", "a/2", "b/1", "b/2"], [0, 0, 1, 1], "ab", None),
                          hidden_classes.backbone)
    with pytest.raises(ValueError, match="features of 4 pictures hold NaN or infinity, the first is a/1"):
        siamese.run(tmp_path / "out", images=broken)
    assert not (tmp_path / "out").exists()
