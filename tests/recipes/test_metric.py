"""The metric recipe: choices by cross-validation, its figures by hand, and published rows only where they belong."""

import json

import numpy as np
import pytest
from PIL import Image

from devise import cli, storage
from devise.datasets import ImageSet, Split
from devise.evaluation import retrieve
from devise.features import FeatureTable
from devise.losses.pairs import MINED, NAMES
from devise.model.classes import own_numbers
from devise.recipes import metric
from devise.recipes.metric import OPTIONS, VARIANTS, Trial, Variant, choices, choose, fit, folds_of, joined
from devise.recipes.retrieval import RetrievalSource, open_retrieval, start
from devise.training import History

FEW = (Variant("contrastive"), Variant("triplet", "semi-hard"), Variant("n-pair", memory=True),
       Variant("contrastive", shuffled=True))
SMALL = {"seeds": 2, "epochs": 2, "trials": 2, "folds": 3, "dim": 8, "variants": FEW}


def moved(head, x, labels, _loss, *, validation, validate, seed, **_options):
    """In place of a training: the start, moved a little by what the seed draws."""
    if head.input_dim is None:
        head.fit(x, labels)
    kernel = head.weights()["kernel"]
    kernel += 0.1 * np.random.default_rng([seed, len(x)]).normal(size=kernel.shape) * np.abs(kernel).max()
    return History(loss=(1.0,), score=(validate(head.embed(validation[0]))["MAP@R"],), start_score=0.0, best_epoch=1)


@pytest.fixture(scope="module")
def source(hidden_classes):
    return open_retrieval(hidden_classes, test=5)


@pytest.fixture(scope="module")
def ran(hidden_classes, tmp_path_factory):
    folder, steps = tmp_path_factory.mktemp("metric"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("devise.training.train", moved)
        metric.run(folder, images=hidden_classes, test=5, progress=lambda *step: steps.append(step), **SMALL)
    return folder, storage.read_json(folder / "report.json"), steps


def rows(report, number):
    return {row["name"]: row["values"] for row in report["tables"][number - 1]["rows"]}


def test_every_loss_is_there_and_each_that_can_be_is_mined_and_remembered():
    assert {variant.loss for variant in VARIANTS} == set(NAMES) == set(OPTIONS)
    assert {variant.loss for variant in VARIANTS if variant.miner} == set(MINED)
    remembered = {variant.loss for variant in VARIANTS if variant.memory}
    assert remembered == {"contrastive", "triplet", "margin", "n-pair", "multi-similarity"}
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_choices_are_different_as_many_for_each_and_start_with_the_defaults(variant):
    found = choices(variant, 4)
    assert len(found) == 4 and found[0] == Trial(metric.FIRST_RATE, {})
    assert all(one not in found[:place] for place, one in enumerate(found))
    assert found == choices(variant, 4)
    for trial in found:  # the loss takes what is drawn for it
        metric._loss(variant, trial, n_labels=3, dim=4, rows=40)


def test_it_writes_a_report_and_a_picture(ran):
    folder, report, steps = ran
    total = len(FEW) * 3 * (2 + 1)
    assert steps == [(done, total) for done in range(1, total + 1)]
    assert Image.open(folder / report["pictures"][0]["file"]).format == "PNG"
    assert list(rows(report, 1)) == [metric.RAW, "random head, 8-d", "closed form of all classes to learn from, 20-d",
                                     metric.START, *(variant.name for variant in FEW)]
    assert report["tables"][0]["columns"] == ["Recall@1", "R-precision", "MAP@R", "validation MAP@R"]
    assert list(rows(report, 4)) == [variant.name for variant in FEW] == list(rows(report, 5))
    json.dumps(report, allow_nan=False)
    assert "No published row is printed" in (folder / "report.md").read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_heads_side_by_side(ran, source, monkeypatch):
    monkeypatch.setattr("devise.training.train", moved)
    folds, found = folds_of(source, 3, 8), rows(ran[1], 1)["contrastive"]
    tests = source.split.test
    chosen = choose(FEW[0], source, folds, dim=8, epochs=2, n=2)
    again = [fit(FEW[0], source, fold, chosen.trial, seed=1, dim=8, epochs=2)[0] for fold in folds]
    figures = []
    for heads in (chosen.heads, again):
        rows_ = np.concatenate([head.outputs(source.matrix[tests])
                                / np.linalg.norm(head.outputs(source.matrix[tests]), axis=1, keepdims=True)
                                for head in heads], axis=1)
        figures.append(retrieve(rows_, source.labels[tests]).means()["map_at_r"])
    assert found["MAP@R"]["mean"] == pytest.approx(np.mean(figures), abs=1e-5) and found["MAP@R"]["n"] == 2
    assert found["validation MAP@R"] == pytest.approx(chosen.score)
    single = [retrieve(head.embed(source.matrix[tests]), source.labels[tests]).means()["r_precision"]
              for head in (*chosen.heads, *again)]
    assert rows(ran[1], 4)["contrastive"]["R-precision"]["mean"] == pytest.approx(np.mean(single), abs=1e-5)


def test_the_best_choice_on_the_folds_is_taken_and_no_test_class_is_looked_at(source, monkeypatch):
    seen = []

    def made_up(variant, source, fold, trial, *, seed, dim, epochs, step):
        seen.append(fold)
        history = type("H", (), {"start_score": 0.1, "score": (trial.rate * 100,), "best_epoch": 1})
        return trial, history

    monkeypatch.setattr(metric, "fit", made_up)
    folds = folds_of(source, 3, 8)
    chosen = choose(Variant("n-pair"), source, folds, n=4)
    best = max(choices(Variant("n-pair"), 4), key=lambda trial: max(trial.rate * 100, 0.1))
    assert chosen.trial == best and chosen.heads == [best] * 3 and len(seen) == 12
    tested = set(source.split.test.tolist())
    assert not any(tested & {*fold.train.tolist(), *fold.held.tolist()} for fold in seen)


def test_shuffled_labels_teach_nothing_and_their_classes_are_as_large(source, monkeypatch):
    given = []
    monkeypatch.setattr("devise.training.train", lambda head, x, labels, *rest, **options: given.append(labels))
    fold = folds_of(source, 3, 8)[0]
    fit(FEW[3], source, fold, Trial(1e-4, {}), seed=0, dim=8)
    true = own_numbers(source.labels[fold.train])
    assert np.array_equal(np.bincount(given[0]), np.bincount(true)) and not np.array_equal(given[0], true)


def test_every_training_starts_from_the_map_of_its_fold_and_leaves_it_as_it_was(source, monkeypatch):
    for fold, (train, held) in zip(folds_of(source, 3, 8), source.folds(3), strict=True):
        expected = start(8).fit(source.matrix[train], source.labels[train]).weights()
        head, history = fit(FEW[0], source, fold, Trial(1e-2, {}), seed=0, dim=8, epochs=1)
        assert np.array_equal(fold.train, train) and np.array_equal(fold.held, held)
        assert all(np.array_equal(weight, expected[name]) for name, weight in fold.start.weights().items())
        monkeypatch.setattr("devise.training.train", moved)  # one real training is enough to see
        assert history.best_epoch == 0 or not np.array_equal(head.weights()["kernel"], expected["kernel"])


def test_heads_side_by_side_weigh_the_same(source):
    heads = [fold.start for fold in folds_of(source, 3, 8)]
    rows_ = joined(heads)(source.matrix[:5])
    cosines = np.mean([head.embed(source.matrix[:5]) @ head.embed(source.matrix[:5]).T for head in heads], axis=0)
    np.testing.assert_allclose(rows_ @ rows_.T, cosines, atol=1e-5)


def published_source(name, n_classes, n_pictures):
    """A source with so many test classes and pictures, and two classes to learn from."""
    labels = np.append(np.arange(n_pictures) % n_classes, [n_classes] * 2 + [n_classes + 1] * 2)
    names = tuple(map(str, range(n_classes + 2)))
    images = ImageSet(list(map(str, range(len(labels)))), labels, names, None)
    split = Split(np.arange(n_pictures, n_pictures + 4), test=np.arange(n_pictures),
                  names={"train": names[-2:], "test": names[:-2]})
    return RetrievalSource(FeatureTable(np.ones((len(labels), 2)), images, {}), split, name=name)


@pytest.mark.parametrize(("name", "classes", "pictures"), [("cub200", 100, 5924), ("cars196", 98, 8131)])
def test_published_rows_stand_beside_whole_published_sets_only(name, classes, pictures):
    found = {row.name: row for row in metric._beside(published_source(name, classes, pictures), True)}
    assert len(found) == 10 and not any(row.certain for row in found.values())
    expected = {"cub200": (0.6813, 0.2653), "cars196": (0.8178, 0.2489)}[name]
    assert (found["contrastive"].values["Recall@1"], found["contrastive"].values["MAP@R"]) == expected
    for other in (published_source(name, classes, pictures - 1), published_source(None, classes, pictures),
                  published_source("in-shop", classes, pictures)):
        assert metric._beside(other, True) == ()


def test_a_published_set_from_the_command_line(tmp_path, monkeypatch, make_backbone, capsys):
    from devise import backbones

    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    network, random = make_backbone(), np.random.default_rng(0)
    monkeypatch.setattr(backbones, "load", lambda name="vgg16", **options: network)
    small = {"variants": FEW[:1], "folds": 2, "dim": 4}
    monkeypatch.setattr(metric.run, "__kwdefaults__", metric.run.__kwdefaults__ | small)
    images, labels, number = [], [], 0
    for label in (1, 2, 3, 4, 101, 102):
        for _ in range(4):
            number += 1
            path = f"{label:03}.bird/{number}.png"
            (tmp_path / "cub" / "images" / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "cub/images" / path)
            images.append(f"{number} {path}")
            labels.append(f"{number} {label}")
    (tmp_path / "cub/images.txt").write_text("\n".join(images))
    (tmp_path / "cub/image_class_labels.txt").write_text("\n".join(labels))
    (tmp_path / "cub/classes.txt").write_text("\n".join(f"{n} {n:03}.bird" for n in (1, 2, 3, 4, 101, 102)))
    code = cli.main(["recipe", "metric", "--root", str(tmp_path / "cub"), "--set", "cub200", "--backbone", "vgg16",
                     "--seeds", "1", "--epochs", "1", "--trials", "1", "-o", str(tmp_path / "out"), "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    found = json.loads(printed.out)
    assert found["facts"]["untrained classes"] == ["101.bird", "102.bird"]
    assert any("cub200 is not whole here" in note for note in found["notes"])
    assert found["tables"][0]["published"] == []


def test_too_few_classes_for_the_folds_are_refused(hidden_classes, tmp_path):
    with pytest.raises(ValueError, match="4 folds were asked for and 6 classes have two pictures"):
        metric.run(tmp_path / "out", images=hidden_classes, test=10)
    assert not (tmp_path / "out").exists()
