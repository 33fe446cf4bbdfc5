"""The recipe of captions on drawn pictures: what it writes, against the same figures computed anew."""

import json

import numpy as np
import pytest
from PIL import Image

from devise import storage  # noqa: E402
from devise.datasets.captions import caption_set  # noqa: E402
from devise.evaluation.captions import graded  # noqa: E402
from devise.heads import RidgeHead  # noqa: E402
from devise.recipes import caption_tables  # noqa: E402
from devise.recipes import captioning as who  # noqa: E402
from devise.recipes import captions as recipe  # noqa: E402
from devise.words import WordVectors  # noqa: E402

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220), "yellow": (230, 220, 40),
           "white": (250, 250, 250), "black": (10, 10, 10)}
PARTS = {"train": 36, "dev": 10, "test": 14}


@pytest.fixture(scope="module")
def words():
    tokens = ("the", "a", "over", "field", "on", "top", "below", *COLOURS)
    return WordVectors(tokens, np.random.default_rng(3).normal(size=(len(tokens), 6)), name="toy")


def draw(root, seed=0):
    """Pictures of one colour above another, in Flickr8k's layout; the sentences say which. Some are judged."""
    random = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    names, lines = list(COLOURS), []
    shown = [tuple(random.permutation(len(names))[:2]) for _ in range(sum(PARTS.values()))]
    for number, (above, below) in enumerate(shown):
        pixels = np.zeros((24, 24, 3))
        pixels[:12], pixels[12:] = COLOURS[names[above]], COLOURS[names[below]]
        pixels += random.normal(scale=30, size=pixels.shape)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / "images" / f"{number}.png")
        over = names[above], names[below]
        for place, text in enumerate(("{0} over {1}", "a {0} field over {1}", "on top {0}, {1} below",
                                      "the {1} below", "{0} on top")):
            lines.append(f"{number}.png#{place}\t{text.format(*over)}\n")
    (root / "captions.token.txt").write_text("".join(lines))
    order = random.permutation(len(shown))
    for part, rows in zip(PARTS, np.split(order, np.cumsum(list(PARTS.values()))[:-1]), strict=True):
        (root / f"{part}.txt").write_text("".join(f"{row}.png\n" for row in rows))
    expert, crowd = [], []
    for one in order[-PARTS["test"]:]:
        for two in order[-PARTS["test"]:][:5]:
            alike = len(set(shown[one]) & set(shown[two])) + (one == two)
            scores = [min(4, 1 + alike + int(random.random() < 0.2)) for _ in range(3)]
            expert.append(f"{one}.png\t{two}.png#{2}\t" + "\t".join(map(str, scores)) + "\n")
            crowd.append(f"{one}.png\t{two}.png#{1}\t{alike / 3:.3f}\t{alike}\t{3 - alike}\n")
    (root / "ExpertAnnotations.txt").write_text("".join(expert))
    (root / "CrowdFlowerAnnotations.txt").write_text("".join(crowd) + "elsewhere.png\t1.png#0\t0\t0\t3\n")
    return root


def drawn_visual(data, *, seed, loss="triplet", gap=None, augmented=None):
    """In place of a training: a map that differs by seed, loss and curriculum."""
    random = np.random.default_rng([seed, len(loss), gap is None, augmented is not None])
    features, vectors = random.normal(size=(40, 24)), random.normal(size=(8, 12))
    return RidgeHead(penalty=1.0).fit(features, np.arange(40) % 8, vectors), None


def drawn_joint(data, start, *, seed):
    """In place of a training: the start, moved a little by the seed."""
    moved = 0.1 * np.random.default_rng(seed).normal(size=start.kernel.shape).astype(np.float32)
    return start.head, start.kernel + moved, None


@pytest.fixture(scope="module")
def ran(words, make_backbone, tmp_path_factory):
    """(folder that the recipe wrote, report.json, root, what it told of its progress, pictures that went through)."""
    home, steps = tmp_path_factory.mktemp("captions"), []
    root, network = draw(home / "flickr"), make_backbone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVISE_HOME", str(home / "home"))
        patch.setattr(who, "train_visual", drawn_visual)
        patch.setattr(who, "train_joint", drawn_joint)
        for name in ("QUERIES", "PAIRS", "DEEP"):  # of a sheet
            patch.setattr(recipe, name, 2)
        recipe.run(home / "out", root=root, backbone=network, words=words, seeds=2,
                   progress=lambda *step: steps.append(step))
        calls = network.calls
        recipe.run(home / "again", root=root, backbone=network, words=words, seeds=1, strengths=())
    assert network.calls == calls, "features are computed once, ever"
    return home / "out", storage.read_json(home / "out" / "report.json"), root, steps, calls


def table_of(report, text):
    return next(shown for shown in report["tables"] if text in shown["caption"])


def values(shown, name):
    return next(row["values"] for row in shown["rows"] if row["name"] == name)


def test_what_it_promises_is_in_the_folder(ran):
    folder, report, _, steps, calls = ran
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert {picture["file"] for picture in report["pictures"]} == {
        "captions.png", "neighbours.png", "sentences.png", "changes.png", "curriculum.png"}
    for picture in report["pictures"]:
        assert min(Image.open(folder / picture["file"]).size) > 100 and f"({picture['file']})" in page
    assert steps[-1] == (16, 16) and calls == 60 + 2 * 36
    assert report["facts"]["pictures"] == "36 train, 10 validation, 14 test" and "NaN" not in page


def test_raw_features_are_measured_against_the_terms_of_the_training(ran, words, backbone):
    folder, report, root, _, _ = ran
    data = caption_set(root)
    rows = data.split.test
    matrix = backbone.features(np.stack([backbone.prepare(np.asarray(Image.open(data.images.file(row)).convert("RGB")))
                                         for row in rows]))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    terms = who.CaptionWorld.of(_table(data, backbone), data.split, words).data.terms
    told = terms.pictures([data.images.captions[row] for row in rows]).toarray()
    found = values(table_of(report, "of all their captions"), who.RAW)
    expected = graded(matrix @ matrix.T, told @ told.T)
    assert found["triplets"]["mean"] == pytest.approx(expected.agreement.mean(), abs=1e-6)
    assert found["NDCG@32"]["mean"] == pytest.approx(expected.ndcg.mean(), abs=1e-6)
    last = terms.pictures([data.images.captions[row][3:] for row in rows]).toarray()
    first = terms.pictures([data.images.captions[row][:3] for row in rows]).toarray()
    oracle = values(table_of(report, "all captions but the first 3"), who.TFIDF)
    expected = graded(first @ first.T, last @ last.T)
    assert oracle["triplets"]["mean"] == pytest.approx(expected.agreement.mean(), abs=1e-6)


def _table(data, backbone):
    from devise import features

    return features.compute(data.images, backbone)


def test_differences_are_those_of_the_means(ran):
    shown, gains = (table_of(ran[1], text) for text in ("of all their captions", "less the raw features"))
    for name in (who.RIDGE, who.TRIPLETS, who.RANKING, who.JOINT):
        gain = values(gains, name)["NDCG@32"]
        assert gain["difference"] == pytest.approx(values(shown, name)["NDCG@32"]["mean"]
                                                   - values(shown, who.RAW)["NDCG@32"]["mean"])
        assert gain["low"] <= gain["difference"] <= gain["high"] and gain["n"] == 14
    assert values(shown, who.TRIPLETS)["triplets"]["n"] == 2 and values(shown, who.RAW)["triplets"]["n"] == 1


def test_sentences_pictures_and_their_sizes_are_stated(ran):
    shown = table_of(ran[1], "Recall@k")
    assert "14 test pictures and their 70 sentences" in shown["caption"] and "not comparable" in shown["caption"]
    assert values(shown, "chance") == pytest.approx(caption_tables.chance(np.full(14, 5)))
    assert values(shown, who.JOINT)["text → image @10"]["n"] == 2


def test_people_are_asked_and_their_own_agreement_is_the_ceiling(ran):
    experts, crowd = table_of(ran[1], "three experts"), table_of(ran[1], "a crowd")
    assert experts["rows"][0]["name"] == "one of them against the mean of the others"
    assert "70 judgements of a test picture with a test sentence, 14 pictures" in experts["caption"]
    assert values(crowd, who.TFIDF)["Spearman"]["mean"] > 0.5 and len(crowd["rows"]) == 5 == len(experts["rows"]) - 1
    assert any("1 judgements are about pictures" in note for note in ran[1]["notes"])


def test_the_curriculum_is_compared_on_and_off(ran):
    shown = table_of(ran[1], "The curriculum")
    assert [row["name"] for row in shown["rows"]] == [
        f"{how}{also}" for also in ("", ", changed pictures from the start", ", ever more changed pictures")
        for how in (who.ALL, who.HARDER)]
    assert values(shown, who.HARDER) == values(table_of(ran[1], "of all their captions"), who.TRIPLETS)
    assert len(table_of(ran[1], f"“{who.ALL}”")["rows"]) == 5


def test_what_others_say_is_quoted_apart(ran):
    quoted = table_of(ran[1], "Quoted")
    assert quoted["rows"] == [] and [row["values"]["triplets"] for row in quoted["published"]] == [0.763, "about 89–90"]


def test_without_augmentation_half_of_the_curriculum_is_there(ran):
    report = storage.read_json(ran[0].parent / "again" / "report.json")
    assert [row["name"] for row in table_of(report, "The curriculum")["rows"]] == [who.ALL, who.HARDER]
    assert report["facts"]["augmentation"] == "none"


def test_chance_is_that_of_random_orders():
    random, counts = np.random.default_rng(0), np.array([1, 2, 4])
    owners = np.repeat(np.arange(3), counts)
    from devise.evaluation.captions import text_retrieval

    found = [text_retrieval(random.random((3, 7)), owners).means() for _ in range(3000)]
    expected = caption_tables.chance(counts)
    for column in ("image → text @1", "image → text @5", "text → image @1"):
        assert np.mean([one[column] for one in found]) == pytest.approx(expected[column], abs=0.02)


def test_changes_are_words_that_one_has_and_the_other_lacks(ran, words, backbone):
    data = caption_set(ran[2])
    world = who.CaptionWorld.of(_table(data, backbone), data.split, words)
    asked = caption_tables.changes(world)
    assert asked
    for query, target, plus, minus in asked:
        ours, theirs = (" ".join(world.captions[place]).split() for place in (query, target))
        assert all(theirs.count(word) >= 3 and word not in ours for word in plus) and 1 <= len(plus) <= 2
        assert all(word not in theirs for word in minus)
    joint = world.started
    rows = joint.embed(world.features)
    query, target, plus, _ = asked[0]
    scores = rows @ (rows[query] + joint.embed_text(list(plus)).sum(axis=0))
    scores[query] = -np.inf
    found = caption_tables.scores_of(world, joint, asked[0]._replace(minus=()))
    assert np.argsort(-found, kind="stable").tolist() == np.argsort(-scores, kind="stable").tolist()
    one = caption_tables.change_table(world, [joint], asked[:1]).row("picture + words")["recall@5"].mean
    assert one == float((scores > scores[target]).sum() < 5)
    assert caption_tables.change_table(world, [joint], []) is None


def test_a_folder_without_lists_or_pictures_of_a_part_is_told(tmp_path, words, backbone):
    root = draw(tmp_path / "flickr")
    (root / "dev.txt").unlink()
    with pytest.raises(ValueError, match="no list of validation pictures .*: expected validation.txt or dev.txt"):
        recipe.run(tmp_path / "out", root=root, backbone=backbone, words=words)
    (root / "dev.txt").write_text("0.png\n")
    with pytest.raises(ValueError, match="(too few pictures|in .* already)"):
        recipe.run(tmp_path / "out", root=root, backbone=backbone, words=words)
    with pytest.raises(FileNotFoundError, match="has none of captions.token.txt"):
        recipe.run(tmp_path / "out", root=tmp_path, backbone=backbone, words=words)


def test_the_real_slice_is_ordered_better_than_by_raw_features(tmp_path, monkeypatch):
    """Features of Lite0 for a part of Flickr8k: minutes to compute, so that they must lie in the home already."""
    import os
    from pathlib import Path

    root = Path(__file__).parents[2].parent / "shared" / "data" / "flickr8k-2000"
    place = os.environ.get("DEVISE_FLICKR_FEATURES")
    if not root.is_dir() or not place:
        pytest.skip("needs flickr8k-2000 among the shared data and its features in DEVISE_FLICKR_FEATURES")
    from devise import features
    from devise.model.captions import captioned, train_captions

    data = caption_set(root)
    model = train_captions(captioned(features.load(place), data.images), "glove-6b-50d", split=data.split)
    figures = model.evaluate()
    assert figures.difference("ndcg").low > 0.03 and figures.difference("agreement").low > 0.02
    assert figures.text.means()["text → image @10"] > 0.6
    json.dumps(figures.to_json(), allow_nan=False)
