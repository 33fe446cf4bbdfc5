"""Two spaces learnt from captions, on drawn pictures whose content the captions tell and a nuisance hides."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="tf-idf needs scikit-learn")

from devise import features  # noqa: E402
from devise.datasets import ImageSet, Split  # noqa: E402
from devise.evaluation.captions import graded, text_retrieval  # noqa: E402
from devise.metrics import ndcg_at_r  # noqa: E402
from devise.model import caption_training as training  # noqa: E402
from devise.model.caption_lessons import Lesson, lesson_of, usable  # noqa: E402
from devise.model.captions import CaptionModel, captioned  # noqa: E402
from devise.model.spaces import open_model  # noqa: E402
from devise.search import Search  # noqa: E402
from devise.training import FeatureBank, Schedule  # noqa: E402
from devise.words import WordVectors  # noqa: E402
from devise.words.sentences import CaptionVectors  # noqa: E402

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
    return features.FeatureTable(rows, images, features.describe(backbone))


@pytest.fixture(scope="module")
def fitted(words):
    """A fitted model and its table; tests don't change them."""
    rows, captions = drawn()
    images = ImageSet([f"{number}.jpg" for number in range(N)], np.full(N, -1), (), root=None, captions=captions)
    record = {"name": "drawn", "layer": "top", "dim": DIM, "weights": "none", "trained": True, "fingerprint": "0" * 64}
    made = features.FeatureTable(rows, images, record)
    return CaptionModel(words, "drawn", seed=1).fit(made, split=SPLIT, **FAST), made


@pytest.fixture
def lesson(table, words):
    return lesson_of(table, SPLIT, words)[0]


def test_what_was_learnt_orders_new_pictures_better_than_the_features(fitted):
    figures = fitted[0].evaluate()
    assert figures.difference("ndcg").low > 0.02 and figures.difference("agreement").low > 0.02
    assert figures.text.means()["text → image @5"] > 2 * 5 / 25  # twice chance
    assert (figures.pictures, figures.sentences, figures.left_out) == (25, 50, 0)


def test_figures_are_those_of_the_embeddings_and_the_terms_of_the_training(fitted):
    model, table = fitted
    rows, captions = SPLIT.test, [table.images.captions[row] for row in SPLIT.test]
    told = model.terms.pictures(captions).toarray()
    figures = model.evaluate(part="test")
    for space, embeddings in (("raw", table.matrix[rows]), ("learnt", model.visual.outputs(table.matrix[rows])),
                              ("shared", model.joint.head.outputs(table.matrix[rows]))):
        embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        again = graded(embeddings @ embeddings.T, told @ told.T)
        np.testing.assert_allclose(figures.by_space[space].ndcg, again.ndcg, atol=1e-5)
    sentences = [text for mine in captions for text in mine]
    scores = model.embed_features(table.matrix[rows]) @ model.embed_words(sentences).T
    assert figures.text.means() == pytest.approx(text_retrieval(scores, np.repeat(np.arange(25), 2)).means())
    json.dumps(figures.to_json(), allow_nan=False)


def test_the_epoch_that_serves_the_validation_pictures_best_is_kept(fitted):
    model, table = fitted
    lesson = lesson_of(table, SPLIT, model.words)[0]
    history = model.history["visual"]
    assert lesson.score(model.embed_features(lesson.held, space="learnt")) == pytest.approx(
        max(history.start_score, *history.score), abs=1e-6)
    vectors, owners = training.sentences_of(model.texts, lesson.held_captions)
    found = text_retrieval(model.embed_features(lesson.held) @ model.joint.embed_text(vectors).T, owners).means()
    history = model.history["joint"]
    assert np.mean(list(found.values())) == pytest.approx(max(history.start_score, *history.score), abs=1e-6)


def test_a_lesson_compares_held_pictures_by_the_terms_of_the_others(lesson):
    rows = lesson.terms.pictures(lesson.held_captions).toarray()
    expected = rows @ rows.T
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(lesson.truth, expected, atol=1e-6)
    scores = np.random.default_rng(0).normal(size=(25, 4))
    scores /= np.linalg.norm(scores, axis=1, keepdims=True)
    assert lesson.score(scores) == pytest.approx(ndcg_at_r(scores @ scores.T, expected, 24).mean())
    few = lesson.vectors  # ten things: as many columns as there are, so that nothing is lost
    np.testing.assert_allclose(few[100:] @ few[100:].T, rows @ rows.T, atol=1e-4)


@pytest.mark.parametrize("loss", ["triplet", "ranking"])
def test_both_losses_learn(lesson, loss):
    head, history = training.train_visual(lesson, loss=loss, **FAST["visual"])
    assert max(history.score) > history.start_score + 0.02 and head.dim == DIM


def test_the_gap_is_asked_for_before_each_epoch(lesson):
    asked = []

    def gap(epoch):
        asked.append(epoch)
        return Schedule(0.5, 0.1, epochs=3)(epoch)

    eased = training.train_visual(lesson, gap=gap, epochs=3)[1]
    assert asked == [1, 1, 2, 3]
    assert eased.loss != training.train_visual(lesson, gap=0.5, epochs=3)[1].loss


def test_changed_features_can_be_mixed_in(lesson):
    bank = FeatureBank([lesson.features, lesson.features + 0.1], Schedule(0.0, 1.0, epochs=2))
    assert training.train_visual(lesson, bank=bank, epochs=2)[1].epochs == 2


def test_the_closed_form_takes_the_penalty_that_serves_the_held_pictures(lesson):
    head = training.solve_ridge(lesson, penalties=(0.01, 1.0, 1e4))
    scores = {penalty: lesson.score(training.solve_ridge(lesson, penalties=(penalty,)).embed(lesson.held))
              for penalty in (0.01, 1.0, 1e4)}
    assert head.penalty == max(scores, key=scores.get) != 1e4


def test_sentences_start_where_ridge_regression_puts_them(lesson, words):
    texts = CaptionVectors(words).fit(lesson.captions)
    joint = training.start_joint(lesson, texts)
    rows, owners = training.sentences_of(texts, lesson.captions)
    pictures = joint.head.embed(lesson.features)[owners]
    penalty = np.trace(rows.T @ rows) / rows.shape[1]

    def cost(kernel):
        return ((rows @ kernel - pictures) ** 2).sum() + penalty * (kernel**2).sum()

    scale = (joint.kernel * np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ pictures)).sum()
    kernel = joint.kernel * scale / (joint.kernel**2).sum()
    for seed in range(5):
        assert cost(kernel) < cost(kernel + 1e-2 * np.random.default_rng(seed).normal(size=kernel.shape))
    assert np.mean(((rows @ joint.kernel) ** 2).sum(axis=1)) == pytest.approx(1, rel=1e-4)


def test_the_same_seed_gives_the_same_model(table, words, backbone, fitted):
    first, second, other = (CaptionModel(words, backbone, seed=seed).fit(table, **FAST) for seed in (3, 3, 4))
    for space in ("learnt", "shared"):
        np.testing.assert_array_equal(*(model.embed_features(table.matrix, space=space) for model in (first, second)))
    assert first.parts == second.parts != other.parts
    assert [len(first.parts[part]) for part in ("train", "validation", "test")] == [120, 15, 15]


def test_saved_and_opened_in_a_new_process_it_is_the_same(fitted, words, tmp_path):
    model, table = fitted
    model.save(tmp_path / "model")
    words.save(tmp_path / "words")
    np.save(tmp_path / "rows.npy", table.matrix[:5])
    code = ("import sys, json, numpy as np; from devise.model.captions import CaptionModel;"
            "m = CaptionModel.load(sys.argv[1], words=sys.argv[2]); rows = np.load(sys.argv[3]);"
            "print(json.dumps([m.embed_features(rows, space=s).tolist() for s in ('learnt', 'shared', 'raw')]"
            " + [m.embed_words(['a dog on snow']).tolist(), m.parts['validation'], 'keras' in sys.modules]))")
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "model", tmp_path / "words", tmp_path / "rows.npy"],
                         capture_output=True, text=True, check=True)
    *rows, texts, dev, framework = json.loads(run.stdout.splitlines()[-1])
    for space, found in zip(("learnt", "shared", "raw"), rows, strict=True):
        np.testing.assert_allclose(found, model.embed_features(table.matrix[:5], space=space), atol=1e-5)
    np.testing.assert_allclose(texts, model.embed_words(["a dog on snow"]), atol=1e-5)
    assert tuple(dev) == model.parts["validation"] and not framework
    again = CaptionModel.load(tmp_path / "model", words=words)
    assert again.history == model.history and again.loss == "triplet"
    np.testing.assert_allclose(again.evaluate(table).by_space["learnt"].ndcg, model.evaluate().by_space["learnt"].ndcg,
                               atol=1e-5)


def test_words_on_disk_are_opened_again(table, words, backbone, tmp_path):
    words.save(tmp_path / "words")
    CaptionModel(tmp_path / "words", backbone).fit(table, **FAST).save(tmp_path / "model")
    assert open_model(tmp_path / "model").embed_words(["a dog"]).shape == (1, DIM)


def test_what_a_picture_lacks_is_listed(table, words, backbone):
    matrix, captions = table.matrix.copy(), list(table.images.captions)
    matrix[3, 2], matrix[4] = np.nan, 0
    captions[5], captions[6], captions[101] = ("unutterable",), ("the a",), ("with the",)
    images = ImageSet(table.images.paths, table.images.labels, (), root=None, captions=captions)
    broken = features.FeatureTable(matrix, images, table.backbone)
    _, kept, skipped = lesson_of(broken, SPLIT, words)
    assert {item.path: item.reason for item in skipped} == {
        "3.jpg": "its features hold NaN or infinity", "4.jpg": "its features are all zero",
        "5.jpg": "no word of its captions is among toy",
        **{f"{row}.jpg": "its captions hold function words alone, or terms that the training's don't"
           for row in (6, 101)}}
    assert kept["train"].tolist() == [row for row in range(100) if row not in (3, 4, 5, 6)]
    model = CaptionModel(words, backbone).fit(broken, split=SPLIT, **FAST)
    assert len(model.skipped) == 5 and len(model.parts["train"]) == 96 and len(model.parts["validation"]) == 24
    assert usable(broken, [3, 7], words).rows.tolist() == [7]


def test_sentences_without_a_known_word_are_counted(table, words, backbone):
    captions = [(*mine, "unutterable") for mine in table.images.captions]
    images = ImageSet(table.images.paths, table.images.labels, (), root=None, captions=captions)
    few = Split(SPLIT.train[:20], SPLIT.validation[:20], SPLIT.test[:20])
    told = CaptionModel(words, backbone).fit(features.FeatureTable(table.matrix, images, table.backbone), split=few,
                                             **FAST)
    told.texts = CaptionVectors(words, terms=5).fit(table.images.captions)
    told.joint = told.joint._replace(kernel=told.joint.kernel[:told.texts.dim])
    figures = told.evaluate()
    assert (figures.sentences, figures.left_out) == (40, 20)


@pytest.mark.parametrize(("call", "message"), [
    (lambda m, t, w: m.fit(features.FeatureTable(t.matrix, ImageSet(t.images.paths, t.images.labels, (), root=None),
                                                 t.backbone)), "the pictures have no captions"),
    (lambda m, t, w: m.fit(t, split=Split(np.arange(9))), "too few pictures .*0 of 0 for validation"),
    (lambda m, t, w: m.fit(t, split=SPLIT, loss="tripled"), "there is no loss 'tripled': did you mean triplet"),
    (lambda m, t, w: m.fit(t, validation=0.6, test=0.4), "leaves 0 to train on"),
    (lambda m, t, w: m.save("nowhere"), "call fit first"),
    (lambda m, t, w: m.embed_words(["dog"]), "call fit first"),
    (lambda m, t, w: Lesson(t.matrix[:5], t.images.captions[:4], t.matrix, t.images.captions), "5 rows but there are"),
    (lambda m, t, w: Lesson(t.matrix[:2], t.images.captions[:2], t.matrix, t.images.captions), "expected 3 or more"),
])
def test_what_can_not_be_is_said(call, message, table, words, backbone):
    with pytest.raises(ValueError, match=message):
        call(CaptionModel(words, backbone), table, words)


def test_what_does_not_fit_a_fitted_model_is_said(fitted, words, tmp_path):
    model, table = fitted
    with pytest.raises(ValueError, match="1 texts have no word of toy and no term"):
        model.embed_words(["unutterable"])
    with pytest.raises(ValueError, match="there is no space 'hidden': expected learnt, raw, shared"):
        model.embed_features(table.matrix, space="hidden")
    with pytest.raises(ValueError, match="0 pictures with captions are for test"):
        model.evaluate(table.subset(SPLIT.train))
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="trained on word vectors in memory"):
        CaptionModel.load(tmp_path / "model")
    with pytest.raises(ValueError, match="bring the words of the training"):
        CaptionModel.load(tmp_path / "model", words=WordVectors(["dog"], np.ones((1, 8)), name="other"))
    with pytest.raises(FileNotFoundError, match="holds no captions"):
        CaptionModel.load(tmp_path)
    next((tmp_path / "model").glob("text-*.npy")).write_bytes(b"no array")
    with pytest.raises(ValueError, match="is damaged"):
        CaptionModel.load(tmp_path / "model", words=words)


def test_an_index_refuses_another_model_in_the_place_of_its_own(fitted, words, tmp_path):
    words.save(tmp_path / "words")
    table = fitted[1]
    mine, other = (CaptionModel(tmp_path / "words", "drawn", seed=seed).fit(table, split=SPLIT, **FAST)
                   for seed in (1, 2))
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
