"""The recipe of Flickr8k on drawn features: its forms by another way, its tables, the coverage of its intervals."""

import numpy as np
import pytest
from scipy import linalg
from sklearn.cross_decomposition import CCA

from devise import storage
from devise.datasets import ImageSet
from devise.features import FeatureTable
from devise.recipes import flickr8k as recipe
from devise.words import WordVectors

DIM, COUNTS = 12, {"train": 60, "validation": 20, "test": 20}
BACKBONE = {"name": "drawn", "layer": "top", "dim": DIM, "weights": "none", "trained": True, "fingerprint": "0" * 64}
THINGS = ("dog", "cat", "ball", "beach", "snow", "bike", "boat", "child", "man", "tree")


def told(random, kinds):
    """Five sentences about a picture with these things, and its features."""
    return [" ".join(random.permutation([THINGS[kind] for kind in kinds][:2 + place % 2])) for place in range(5)]


@pytest.fixture(scope="module")
def drawn():
    """(features, captions) of all pictures: three things in each, each thing a direction of the features."""
    random = np.random.default_rng(0)
    kinds = [random.permutation(len(THINGS))[:3] for _ in range(sum(COUNTS.values()))]
    directions = random.random((len(THINGS), DIM))
    rows = np.stack([directions[one].sum(axis=0) for one in kinds]) + 0.05 * random.random((len(kinds), DIM))
    return rows.astype(np.float32), [told(random, one) for one in kinds]


@pytest.fixture(scope="module")
def words():
    return WordVectors(THINGS, np.random.default_rng(1).normal(size=(len(THINGS), 8)).astype(np.float32), name="toy")


@pytest.fixture(scope="module")
def parts(drawn):
    """Parts whose sentences are random vectors with a part that the features share."""
    random, found = np.random.default_rng(2), {}
    mixing = random.normal(size=(DIM, 6))
    for name, rows in zip(COUNTS, np.split(drawn[0], np.cumsum(list(COUNTS.values()))[:-1]), strict=True):
        owners = np.repeat(np.arange(len(rows)), 2)
        vectors = (rows - drawn[0].mean(axis=0))[owners] @ mixing + 0.1 * random.normal(size=(len(owners), 6))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        found[name] = recipe.Part(rows, owners, {recipe.MEAN: vectors, recipe.TOLD: vectors}, tuple(map(str, owners)))
    return found


@pytest.mark.parametrize("penalty", [1e-4, 0.3])
def test_the_canonical_correlations_solve_their_eigenproblem(parts, penalty):
    """The pencil of Hardoon et al. 2004, equation 6: its eigenvalues are the correlations, its vectors both sides."""
    train, test = parts["train"], parts["test"]
    x, y = train.roots[train.owners].astype(float), train.vectors[recipe.MEAN].astype(float)
    middles = x.mean(axis=0), y.mean(axis=0)
    x, y = x - middles[0], y - middles[1]
    own = [side.T @ side + penalty * np.trace(side.T @ side) / side.shape[1] * np.eye(side.shape[1]) for side in (x, y)]
    zero = [np.zeros_like(gram) for gram in own]
    values, vectors = linalg.eigh(np.block([[zero[0], x.T @ y], [y.T @ x, zero[1]]]), linalg.block_diag(*own))
    values, vectors = values[-6:], vectors[:, -6:]
    assert 0.5 < values[-1] < 1
    sides = [(rows - middle) @ directions * values for rows, middle, directions in (
        (test.roots, middles[0], vectors[:DIM]), (test.vectors[recipe.MEAN], middles[1], vectors[DIM:]))]
    pictures, sentences = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in sides)
    space = recipe.correlations(parts, recipe.MEAN, penalties=(penalty,))
    np.testing.assert_allclose(space.pictures["test"] @ space.sentences["test"].T, pictures @ sentences.T, atol=2e-4)


def test_without_a_penalty_they_are_those_of_scikit_learn(parts):
    """Its correlations of the two sides, one column at a time."""
    train = parts["train"]
    x, y = train.roots[train.owners].astype(float), train.vectors[recipe.MEAN].astype(float)
    theirs = CCA(n_components=3, scale=False, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = [np.corrcoef(left, right)[0, 1] for left, right in zip(*(side.T for side in theirs), strict=True)]
    found = recipe.canonical(*recipe.centred(train, recipe.MEAN)[:2])(1e-9)[1]
    np.testing.assert_allclose(found[:3], expected, atol=1e-4)


@pytest.mark.parametrize("form", [recipe.ridge_map, recipe.hinge_rank, recipe.correlations])
def test_each_form_finds_the_sentences_of_pictures_it_never_saw(form, parts):
    space = form(parts, recipe.MEAN)
    for rows in (*space.pictures.values(), *space.sentences.values()):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    measured = recipe.Measured.of(space, parts)
    assert measured.hits["image → text @10"].mean() > 0.7 > 3 * 10 / 20 / 3
    assert space.chosen


def test_hubs_are_corrected_by_the_training_alone(parts):
    space = recipe.ridge_map(parts, recipe.MEAN)
    pictures, sentences = space.pictures["test"], space.sentences["test"]
    assert len(space.sentences["train"]) == COUNTS["train"] and len(sentences) == 2 * COUNTS["test"]
    expected = np.empty((len(pictures), len(sentences)))
    for i, picture in enumerate(pictures):
        near = np.sort(space.sentences["train"] @ picture)[-10:].mean()
        for j, sentence in enumerate(sentences):
            expected[i, j] = 2 * picture @ sentence - near - np.sort(space.pictures["train"] @ sentence)[-10:].mean()
    np.testing.assert_allclose(recipe.scores_of(space, parts, "test", hubs=True), expected, atol=1e-5)


def test_a_figure_of_a_picture_is_the_mean_over_its_sentences(parts):
    space = recipe.ridge_map(parts, recipe.MEAN)
    cosines = space.pictures["test"] @ space.sentences["test"].T
    found = recipe.Measured.of(space, parts).hits
    for owner in range(COUNTS["test"]):
        right = [np.argmax(cosines[:, place]) == owner for place in (2 * owner, 2 * owner + 1)]
        assert found["text → image @1"][owner] == np.mean(right)
        assert found["image → text @1"][owner] == (np.argmax(cosines[owner]) // 2 == owner)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.3, 0.75])
@pytest.mark.parametrize("sentences", [1, 5])
def test_the_interval_over_pictures_covers_what_it_promises(share, sentences):
    """1,000 pictures whose sentences are found or not together, half as much alike as copies; 1,000 drawings."""
    random = np.random.default_rng(3)
    common = random.random((1000, 1000, 1)) < 0.5
    alike, alone = (random.random((1000, 1000, size)) < share for size in (1, sentences))
    values = np.where(common, alike, alone).mean(axis=2)
    means, errors = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    from devise.metrics import spread

    one = recipe.interval([recipe.Measured({"image → text @1": values[0]}, {}, 0.0)], "image → text @1")
    assert one == spread(values[0])
    reach = (one.high - one.mean) / errors[0]
    covered = (np.abs(means - share) <= reach * errors).mean()
    assert 0.93 <= covered <= 0.97


def test_the_report_has_every_row_and_says_which_was_chosen(drawn, words, tmp_path, monkeypatch):
    features, captions = drawn
    paths = [f"{row}.jpg" for row in range(len(features))]
    root = tmp_path / "flickr"
    root.mkdir()
    (root / "captions.token.txt").write_text("".join(
        f"{path}#{place}\t{text}\n" for path, texts in zip(paths, captions, strict=True)
        for place, text in enumerate(texts)))
    ends = np.cumsum([0, *COUNTS.values()])
    for name, first, last in zip(("train", "dev", "test"), ends, ends[1:], strict=False):
        (root / f"{name}.txt").write_text("\n".join(paths[first:last]))
    (root / "ExpertAnnotations.txt").write_text("".join(
        f"{paths[row]}\t{paths[row + shift]}#0\t{4 - 3 * (shift > 0)}\t{4 - 2 * (shift > 0)}\t4\n"
        for row in range(80, 95) for shift in (0, 1)))
    table = FeatureTable(features, ImageSet(paths, [-1] * len(paths), (), root=None), BACKBONE)
    monkeypatch.setattr(recipe, "open_flickr", lambda *_: _opened(root, table))
    steps = []
    report = recipe.run(tmp_path / "out", root=root, words=words, seeds=1, progress=lambda *step: steps.append(step))
    rows = {row[0] for row in report.tables[0].rows}
    assert {"ridge, mean word vectors", "CCA, caption vectors, CSLS", "joint head", "joint head, CSLS",
            "control, shuffled captions", "control, random word vectors"} <= rows
    assert report.facts["best on validation pictures"] in rows and steps[-1] == (11, 11)
    plain = {row: report.tables[0].row(row)["validation"] for row in rows if "control" not in row and "CSLS" not in row}
    assert plain[report.facts["best without CSLS"]] == max(plain.values())
    shuffled, learnt = (report.tables[0].row(name)["image → text @10"] for name in
                        ("control, shuffled captions", "CCA, mean word vectors"))
    assert learnt.mean > shuffled.mean
    assert report.tables[0].published == (), "20 pictures are not the protocol"
    assert "three experts" in report.tables[1].caption
    assert storage.read_json(tmp_path / "out" / "report.json")["title"] == report.title


def _opened(root, table):
    from devise.datasets.captions import caption_set
    from devise.model.captions import captioned

    data = caption_set(root, images=table.images)
    return data, captioned(table, data.images), data.split
