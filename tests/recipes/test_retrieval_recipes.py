"""What the retrieval recipes run on, and how their figures are put side by side."""

import numpy as np
import pytest
from PIL import Image

from devise import features
from devise.datasets import ImageSet, from_folder
from devise.evaluation import retrieve
from devise.metrics import paired_difference
from devise.recipes.retrieval import (
    changed_copies,
    compare,
    figures_table,
    gains_table,
    has_pictures,
    network_of,
    open_retrieval,
)
from devise.recipes.siamese import neighbour_rows


@pytest.fixture
def source(hidden_classes):
    return open_retrieval(hidden_classes, test=5)


def test_nothing_learns_from_the_test_classes(source):
    assert len(source.split.names["test"]) == 5 and not len(source.split.validation)
    tested = set(source.labels[source.split.test].tolist())
    for seed in range(3):
        parts = source.parts(seed)
        assert parts.names["test"] == source.split.names["test"]
        assert not tested & set(source.labels[[*parts.train, *parts.validation]].tolist())
    assert source.parts(0).names["validation"] != source.parts(1).names["validation"]


def test_folds_share_no_class_and_hold_each_once(source):
    folds, held = source.folds(4), []
    for train, validation in folds:
        assert not set(source.labels[train].tolist()) & set(source.labels[validation].tolist())
        np.testing.assert_array_equal(np.sort([*train, *validation]), source.split.train)
        held += validation.tolist()
    lonely = np.flatnonzero(source.labels == source.names.index("lonely")).tolist()
    assert sorted(held + lonely) == source.split.train.tolist()
    with pytest.raises(ValueError, match="6 folds were asked for and 11 classes have two pictures"):
        source.folds(6)


def test_a_measurement_is_a_retrieval_among_the_test_pictures(source):
    found, rows = source.measure(lambda matrix: 2 * matrix, ks=(1, 5)), source.split.test
    again = retrieve(source.matrix[rows], source.labels[rows], ks=(1, 5))
    np.testing.assert_allclose(found.map_at_r, again.map_at_r)
    assert found.gallery == 40


def test_what_was_left_out_is_said(source):
    assert any("1 classes have one picture" in note for note in source.notes())
    assert any("2 pictures without a class" in note for note in source.notes())
    assert source.facts()["untrained"].startswith("5 classes, 40 pictures, 40 of which ask, each among all others")
    assert source.facts()["classes of one picture"] == "1: lonely"


def test_features_that_are_no_numbers_and_pictures_without_classes_are_refused(hidden_classes):
    broken = hidden_classes.matrix.copy()
    broken[3, 0] = np.nan
    with pytest.raises(ValueError, match="hold NaN or infinity, the first is class00/3.jpg"):
        open_retrieval(features.FeatureTable(broken, hidden_classes.images, hidden_classes.backbone))
    flat = ImageSet(hidden_classes.images.paths, [-1] * len(hidden_classes), (), None)
    with pytest.raises(ValueError, match="no labels"):
        open_retrieval(features.FeatureTable(hidden_classes.matrix, flat, hidden_classes.backbone))
    with pytest.raises(ValueError, match="1 classes are for the figures"):
        open_retrieval(hidden_classes, test=1)
    with pytest.raises(ValueError, match="'lonely' has one picture"):
        open_retrieval(hidden_classes, test=["lonely", "class01"])
    with pytest.raises(ValueError, match="there is no set 'cub': expected cub200"):
        open_retrieval(root="nowhere", name="cub")


def test_a_published_set_keeps_its_own_split_queries_and_gallery(tmp_path, backbone, monkeypatch):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    lines, random = ["24", "image_name item_id evaluation_status"], np.random.default_rng(0)
    for item in range(6):
        for number in range(4):
            path = f"img/id{item}/{number}.png"
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / path)
            part = "train" if item < 4 else "query" if number == 0 else "gallery"
            lines.append(f"{path} id{item} {part}")
    (tmp_path / "img/id5/3.png").write_text("not a picture")
    (tmp_path / "list_eval_partition.txt").write_text("\n".join(lines))
    source = open_retrieval(root=tmp_path, name="in-shop", backbone=backbone)
    asking = [source.table.images.paths[row] for row in source.queries]
    assert asking == ["img/id4/0.png", "img/id5/0.png"] and len(source.gallery) == 5
    found = source.measure(lambda matrix: matrix, ks=(1,))
    again = retrieve(source.matrix, source.labels, queries=source.queries, gallery=source.gallery, ks=(1,))
    np.testing.assert_allclose(found.map_at_r, again.map_at_r)
    assert "img/id5/3.png" in source.notes()[0] and source.name == "in-shop"
    assert "2 of which ask, in a gallery of 5" in source.facts()["untrained"]


def test_differences_are_of_means_over_seeds_and_intervals_over_classes(source):
    random = np.random.default_rng(1)
    noisy = [source.measure(lambda matrix: matrix + random.standard_normal(matrix.shape)) for _ in range(3)]
    raw = [source.measure(lambda matrix: matrix)]
    found = compare(noisy, raw)
    means = np.mean([run.r_precision for run in noisy], axis=0)
    assert found["R-precision"] == paired_difference(means, raw[0].r_precision, raw[0].labels)
    table = gains_table("What is gained", {"raw − noisy": (noisy, raw)})
    gains = [100 * (raw[0].map_at_r.mean() - run.map_at_r.mean()) for run in noisy]
    row = table.row("raw − noisy")
    assert row["MAP@R by seed"] == f"{min(gains):+.2f} to {max(gains):+.2f}" and row["MAP@R"] == found["MAP@R"]
    assert row["verdict"] == ("better" if found["MAP@R"].low > 0 else "no difference shown")
    assert gains_table("x", {"worse": (raw, noisy)}).row("worse")["verdict"] in ("worse", "no difference shown")
    document = table.to_json()["rows"][0]["values"]["MAP@R"]
    assert document["difference"] == pytest.approx(found["MAP@R"].difference) and document["low"] == found["MAP@R"].low
    assert f"{100 * found['MAP@R'].difference:+.2f} (" in table.markdown()


def test_a_difference_is_three_columns_of_a_data_frame(source):
    pytest.importorskip("pandas")
    raw, half = ([source.measure(lambda matrix, n=n: matrix[:, :n])] for n in (20, 10))
    table = gains_table("What is gained", {"half": (raw, half)})
    found, expected = table.to_frame(), compare(raw, half)["R-precision"]
    assert found.loc["half", "R-precision"] == expected.difference
    ends = found.loc["half", "R-precision low"], found.loc["half", "R-precision high"]
    assert ends == (expected.low, expected.high)


def test_figures_are_spreads_over_the_seeds(source):
    runs = [source.measure(lambda matrix, seed=seed: matrix[:, seed:]) for seed in range(3)]
    table = figures_table("Figures", {"cut": runs, "raw": runs[:1]}, depth=10, extra={"raw": {"NMI": 0.5}})
    assert table.columns == ("embedding", "Recall@1", "R-precision", "MAP@R", "hit@10", "recall@10", "precision@10",
                             "its ceiling, 10", "NMI")
    found = table.row("cut")["MAP@R"]
    assert found.n == 3 and found.mean == pytest.approx(np.mean([run.map_at_r.mean() for run in runs]))
    assert "40 pictures ask, a gallery of 40" in table.caption


def test_neighbours_are_of_the_hardest_classes_and_never_the_query(source):
    def embed(matrix):
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    baseline = source.measure(embed)
    rows = neighbour_rows(source, {"before": embed, "after": embed}, baseline, queries=3, depth=4)
    means = {label: baseline.map_at_r[baseline.labels == label].mean() for label in np.unique(baseline.labels)}
    hardest = sorted(means, key=means.get)[:3]
    assert [row.query.label for row in rows[::2]] == [source.names[label] for label in hardest]
    assert [row.query.name for row in rows] == ["before", "after"] * 3
    assert all(len(row.hits) == 4 for row in rows) and rows[0].hits == rows[1].hits
    scores = [card.score for card in rows[0].hits]
    assert scores == sorted(scores, reverse=True) and scores[0] < 1 - 1e-6
    assert all(card.right == (card.label == row.query.label) for row in rows for card in row.hits)


def test_changed_copies_are_made_once_and_are_those_of_the_pictures(picture_folder, backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    table = features.extract(from_folder(picture_folder), backbone)
    rows, calls = np.arange(5, 12), backbone.calls
    assert has_pictures(table) and network_of(table, backbone) is backbone
    first = changed_copies(table, rows, backbone, strengths=(0.0, 1.0), seed=3)
    assert backbone.calls == calls + 14
    np.testing.assert_allclose(first[0], table.matrix[rows], atol=1e-5)  # strength 0 is the picture itself
    assert np.abs(first[1] - table.matrix[rows]).max() > 0.01
    again = changed_copies(table, rows, backbone, strengths=(0.0, 1.0), seed=3)
    assert backbone.calls == calls + 14 and np.array_equal(first[1], again[1])
    other = changed_copies(table, rows, backbone, strengths=(0.0, 1.0), seed=4)
    assert not np.array_equal(other[1], first[1])
    table.images.file(8).unlink()
    with pytest.raises(ValueError, match="1 pictures can't be read any more, such as"):
        changed_copies(table, rows, backbone, strengths=(1.0,))


def test_another_network_than_the_features_is_refused(hidden_classes, backbone):
    assert not has_pictures(hidden_classes)
    with pytest.raises(ValueError, match="extract the features again"):
        network_of(hidden_classes, backbone)
