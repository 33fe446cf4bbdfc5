"""Two spaces learnt from captions, on drawn pictures whose content the captions tell and a nuisance hides."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from devise import backbones, features  # noqa: E402
from devise.datasets import ImageSet, Split  # noqa: E402
from devise.evaluation.captions import graded, text_retrieval  # noqa: E402
from devise.metrics import ndcg_at_r  # noqa: E402
from devise.model import LEARNT, SHARED, Devise, SentenceText, Space, train_captions  # noqa: E402
from devise.model import captions as training  # noqa: E402
from devise.model.caption_data import caption_data, sentences_of, usable  # noqa: E402
from devise.model.captions import captioned  # noqa: E402
from devise.search import Search  # noqa: E402
from devise.training import AugmentedFeatures, Schedule  # noqa: E402
from devise.words import WordVectors  # noqa: E402
from devise.words.sentences import CaptionVectors, Tfidf  # noqa: E402

THINGS = ("dog", "cat", "horse", "boat", "beach", "street", "snow", "ball", "child", "bike")
N, DIM = 150, 24
SPLIT = Split(np.arange(100), np.arange(100, 125), np.arange(125, 150))
FAST = {"visual": {"epochs": 6, "learning_rate": 3e-2, "batch_size": 16},
        "joint": {"epochs": 4, "learning_rate": 3e-2, "batch_size": 16}}


@pytest.fixture(scope="module")
def words():
    tokens = ("the", "a", "with", *THINGS)
    return WordVectors(tokens, np.random.default_rng(7).normal(size=(len(tokens), 8)), name="toy")


def drawn(seed=0):
    """(features, captions): each picture shows three things, each of its two captions tells two of them."""
    random = np.random.default_rng(seed)
    shown = np.array([random.permutation(len(THINGS))[:3] for _ in range(N)])
    rows = np.random.default_rng(1).normal(size=(len(THINGS), DIM))[shown].sum(axis=1)
    rows[:, :5] += 6 * random.normal(size=(N, 5))
    captions = [tuple(f"a {THINGS[one]} with the {THINGS[two]}" for one, two in (mine[:2], mine[1:])) for mine in shown]
    return (rows + 0.2 * random.normal(size=rows.shape)).astype(np.float32), captions


@pytest.fixture
def table(backbone):
    rows, captions = drawn()
    images = ImageSet([f"{number}.jpg" for number in range(N)], np.full(N, -1), (), root=None, captions=captions)
    return features.FeatureTable(rows, images, backbones.describe(backbone))


@pytest.fixture(scope="module")
def fitted(words):
    """A fitted model and its table; tests don't change them."""
    rows, captions = drawn()
    images = ImageSet([f"{number}.jpg" for number in range(N)], np.full(N, -1), (), root=None, captions=captions)
    record = {"name": "drawn", "layer": "top", "dim": DIM, "weights": "none", "trained": True, "fingerprint": "0" * 64}
    made = features.FeatureTable(rows, images, record)
    return train_captions(made, words, backbone="drawn", seed=1, split=SPLIT, **FAST), made


@pytest.fixture(scope="module")
def seeded(fitted, words, untrain, tmp_path_factory):
    """Two models at their start with splits of their own, seeds 3 and 4, on words that lie on the disk; tests don't
    change them."""
    folder = tmp_path_factory.mktemp("words") / "words"
    words.save(folder)
    with pytest.MonkeyPatch.context() as patch:
        untrain(patch)
        return [train_captions(fitted[1], folder, backbone="drawn", seed=seed, **FAST) for seed in (3, 4)]


@pytest.fixture
def data(table, words):
    return caption_data(table, SPLIT, words)[0]


def test_what_was_learnt_orders_new_pictures_better_than_the_features(fitted):
    figures = fitted[0].evaluate().captions
    assert figures.difference("ndcg").low > 0.02 and figures.difference("agreement").low > 0.02
    assert figures.text[SHARED].means()["text → image @5"] > 2 * 5 / 25  # twice chance
    assert (figures.pictures, figures.sentences, figures.left_out) == (25, 50, 0)


def test_figures_are_those_of_the_embeddings_and_the_terms_of_the_training(fitted):
    model, table = fitted
    rows, captions = SPLIT.test, [table.images.captions[row] for row in SPLIT.test]
    told = Tfidf().fit([table.images.captions[row] for row in SPLIT.train]).pictures(captions).toarray()
    figures = model.evaluate().captions
    for space, embeddings in (
        ("raw", table.matrix[rows]),
        ("learnt", model.spaces[LEARNT].head.outputs(table.matrix[rows])),
        ("shared", model.spaces[SHARED].head.outputs(table.matrix[rows])),
    ):
        embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        again = graded(embeddings @ embeddings.T, told @ told.T)
        np.testing.assert_allclose(figures.by_space[space].ndcg, again.ndcg, atol=1e-5)
    sentences = [text for mine in captions for text in mine]
    scores = model.spaces[SHARED].embed(table.matrix[rows]) @ model.embed_text(sentences).T
    assert figures.text[SHARED].means() == pytest.approx(text_retrieval(scores, np.repeat(np.arange(25), 2)).means())
    json.dumps(figures.to_json(), allow_nan=False)


def test_the_epoch_that_serves_the_dev_pictures_best_is_kept(fitted):
    model, table = fitted
    data = caption_data(table, SPLIT, model.words)[0]
    history, text = model.history[LEARNT], model.spaces[SHARED].text
    assert data.score(model.spaces[LEARNT].embed(data.held)) == pytest.approx(
        max(history.start_score, *history.score), abs=1e-6)
    vectors, owners = sentences_of(text.sentences, data.held_captions)
    rows = vectors @ text.kernel
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = text_retrieval(model.spaces[SHARED].embed(data.held) @ rows.T, owners).means()
    history = model.history[SHARED]
    assert np.mean(list(found.values())) == pytest.approx(max(history.start_score, *history.score), abs=1e-6)


def test_held_pictures_are_compared_by_the_terms_of_the_others(data):
    rows = data.terms.pictures(data.held_captions).toarray()
    expected = rows @ rows.T
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(data.truth, expected, atol=1e-6)
    scores = np.random.default_rng(0).normal(size=(25, 4))
    scores /= np.linalg.norm(scores, axis=1, keepdims=True)
    assert data.score(scores) == pytest.approx(ndcg_at_r(scores @ scores.T, expected, 24).mean())
    few = data.vectors  # ten things: as many columns as there are, so that nothing is lost
    np.testing.assert_allclose(few[100:] @ few[100:].T, rows @ rows.T, atol=1e-4)


@pytest.mark.parametrize("loss", ["triplet", "ranking"])
def test_both_losses_learn(data, loss):
    head, history = training.train_visual(data, loss=loss, **FAST["visual"])
    assert max(history.score) > history.start_score + 0.02 and head.dim == DIM


def test_the_gap_is_asked_for_before_each_epoch(data):
    asked = []

    def gap(epoch):
        asked.append(epoch)
        return Schedule(0.5, 0.1, epochs=3)(epoch)

    eased = training.train_visual(data, gap=gap, epochs=3)[1]
    assert asked == [1, 1, 2, 3]
    assert eased.loss != training.train_visual(data, gap=0.5, epochs=3)[1].loss


def test_changed_features_can_be_mixed_in(data):
    changed = AugmentedFeatures([data.features, data.features + 0.1], Schedule(0.0, 1.0, epochs=2))
    assert training.train_visual(data, augmented=changed, epochs=2)[1].epochs == 2


def test_the_closed_form_takes_the_penalty_that_serves_the_held_pictures(data):
    head = training.solve_ridge(data, penalties=(0.01, 1.0, 1e4))
    scores = {penalty: data.score(training.solve_ridge(data, penalties=(penalty,)).embed(data.held))
              for penalty in (0.01, 1.0, 1e4)}
    assert head.penalty == max(scores, key=scores.get) != 1e4


def test_sentences_start_where_ridge_regression_puts_them(data, words):
    texts = CaptionVectors(words).fit(data.captions)
    head, start, (rows, owners), _ = training.start_joint(data, texts)
    pictures = head.embed(data.features)[owners]
    penalty = np.trace(rows.T @ rows) / rows.shape[1]

    def cost(kernel):
        return ((rows @ kernel - pictures) ** 2).sum() + penalty * (kernel**2).sum()

    scale = (start * np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ pictures)).sum()
    kernel = start * scale / (start**2).sum()
    for seed in range(5):
        assert cost(kernel) < cost(kernel + 1e-2 * np.random.default_rng(seed).normal(size=kernel.shape))
    assert np.mean(((rows @ start) ** 2).sum(axis=1)) == pytest.approx(1, rel=1e-4)


def test_the_same_seed_gives_the_same_model(fitted, words):
    first, table = fitted
    second = train_captions(table, words, backbone="drawn", seed=1, split=SPLIT, **FAST)
    for space in ("learnt", "shared"):
        np.testing.assert_array_equal(*(model.spaces[space].embed(table.matrix) for model in (first, second)))


def test_the_seed_decides_the_split(seeded, table, words, backbone, untrained):
    (first, other), second = seeded, train_captions(table, words, backbone=backbone, seed=3, **FAST)
    assert first.split.test.tolist() == second.split.test.tolist() != other.split.test.tolist()
    assert [len(first.split.rows(part)) for part in ("train", "validation", "test")] == [120, 15, 15]


def test_saved_and_opened_in_a_new_process_it_is_the_same(fitted, words, tmp_path):
    model, table = fitted
    model.save(tmp_path / "model")
    words.save(tmp_path / "words")
    np.save(tmp_path / "rows.npy", table.matrix[:5])
    code = ("import sys, json, numpy as np; from devise.model import Devise;"
            "m = Devise.load(sys.argv[1], words=sys.argv[2]); rows = np.load(sys.argv[3]);"
            "print(json.dumps([m.spaces[s].embed(rows).tolist() for s in ('learnt', 'shared', 'raw')]"
            " + [m.embed_text(['a dog on snow']).tolist(), m.split.validation.tolist(), 'keras' in sys.modules]))")
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "model", tmp_path / "words", tmp_path / "rows.npy"],
                         capture_output=True, text=True, check=True)
    *rows, texts, held, framework = json.loads(run.stdout.splitlines()[-1])
    for space, found in zip(("learnt", "shared", "raw"), rows, strict=True):
        np.testing.assert_allclose(found, model.spaces[space].embed(table.matrix[:5]), atol=1e-5)
    np.testing.assert_allclose(texts, model.embed_text(["a dog on snow"]), atol=1e-5)
    assert len(held) == len(model.split.validation) and not framework
    again = Devise.load(tmp_path / "model", words=words)
    assert again.history == model.history and again.record == model.record
    np.testing.assert_allclose(again.evaluate(table).captions.by_space["learnt"].ndcg,
                               model.evaluate().captions.by_space["learnt"].ndcg,
                               atol=1e-5)


def test_words_on_disk_are_opened_again(seeded, tmp_path):
    seeded[0].save(tmp_path / "model")
    assert Devise.load(tmp_path / "model").embed_text(["a dog"]).shape == (1, DIM)


def test_what_a_picture_lacks_is_listed(table, words, backbone, untrained):
    matrix, captions = table.matrix.copy(), list(table.images.captions)
    matrix[3, 2], matrix[4] = np.nan, 0
    captions[5], captions[6], captions[101] = ("unutterable",), ("the a",), ("with the",)
    images = ImageSet(table.images.paths, table.images.labels, (), root=None, captions=captions)
    broken = features.FeatureTable(matrix, images, table.backbone)
    _, kept, skipped = caption_data(broken, SPLIT, words)
    assert {item.path: item.reason for item in skipped} == {
        "3.jpg": "its features hold NaN or infinity", "4.jpg": "its features are all zero",
        "5.jpg": "no word of its captions is among toy",
        **{f"{row}.jpg": "its captions hold function words alone, or terms that the training's don't"
           for row in (6, 101)}}
    assert kept.train.tolist() == [row for row in range(100) if row not in (3, 4, 5, 6)]
    model = train_captions(broken, words, backbone=backbone, split=SPLIT, **FAST)
    assert len(model.record["skipped"]) == 5 and len(model.split.train) == 96 and len(model.split.validation) == 24
    assert usable(broken, [3, 7], words)[0].tolist() == [7]


def test_sentences_without_a_known_word_are_counted(table, words, backbone, untrained):
    captions = [(*mine, "unutterable") for mine in table.images.captions]
    images = ImageSet(table.images.paths, table.images.labels, (), root=None, captions=captions)
    few = Split(*(rows[:20] for rows in (SPLIT.train, SPLIT.validation, SPLIT.test)))
    told = train_captions(features.FeatureTable(table.matrix, images, table.backbone), words, backbone=backbone,
                          split=few, **FAST)
    text = told.spaces[SHARED].text
    sentences = CaptionVectors(words, terms=5).fit(table.images.captions)
    less = SentenceText(text.words, sentences, text.kernel[:sentences.dim])
    figures = told.with_space(SHARED, Space(told.spaces[SHARED].head, less)).evaluate().captions
    assert (figures.sentences, figures.left_out) == (40, 20)


def untold(table):
    return features.FeatureTable(table.matrix, ImageSet(table.images.paths, table.images.labels, (), root=None),
                                 table.backbone)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, w: train_captions(untold(t), w), "the pictures have no captions"),
        (lambda t, w: train_captions(t, w, split=Split(np.arange(9))), "too few pictures .*0 of 0 for validation"),
        (
            lambda t, w: train_captions(t, w, split=SPLIT, loss="tripled"),
            "there is no loss 'tripled': did you mean triplet",
        ),
        (lambda t, w: train_captions(t, w, validation=0.6, test=0.4), "leaves 0 to train on"),
        (lambda t, w: train_captions(t, w, split=Split(np.arange(2), np.arange(2, 9))),
         "2 of 2 for train.*expected 3 or more"),
        ],
)
def test_what_can_not_be_is_said(call, message, table, words):
    with pytest.raises(ValueError, match=message):
        call(table, words)


def test_what_does_not_fit_a_fitted_model_is_said(fitted, words, tmp_path):
    model, table = fitted
    with pytest.raises(KeyError, match="unutterable"):
        model.embed_text("unutterable")
    with pytest.raises(ValueError, match="there is no space 'hidden': expected learnt, raw, shared"):
        model.space("hidden")
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="trained on word vectors in memory"):
        _ = Devise.load(tmp_path / "model").words
    with pytest.raises(ValueError, match="bring the words of the training"):
        Devise.load(tmp_path / "model", words=WordVectors(["dog"], np.ones((1, 8)), name="other"))
    with pytest.raises(FileNotFoundError, match="holds no model"):
        Devise.load(tmp_path)
    next((tmp_path / "model").glob("shared-text-*.npz")).write_bytes(b"no array")
    with pytest.raises(ValueError, match="is damaged"):
        Devise.load(tmp_path / "model", words=words)


def test_an_index_refuses_another_model_in_the_place_of_its_own(seeded, fitted, tmp_path):
    (mine, other), table = seeded, fitted[1]
    Search.build(mine, table, engine="exact").save(tmp_path / "index")
    assert len(Search.load(tmp_path / "index")) == len(table)
    other.save(tmp_path / "other")
    [place] = (tmp_path / "index").glob("*/model")
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "other", place)
    with pytest.raises(ValueError, match="model is not the one that the index"):
        Search.load(tmp_path / "index")


def test_a_table_is_cut_to_its_pictures_with_captions(table):
    images = table.images.subset([5, 2])
    cut = captioned(table, images)
    np.testing.assert_array_equal(cut.matrix, table.matrix[[5, 2]])
    assert cut.images.captions == images.captions
