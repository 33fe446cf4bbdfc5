"""The zero-shot recipe on a small drawn world: figures by hand, choices, readings, other systems."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from devise import cli, storage
from devise.backbones import imagenet
from devise.datasets import ImageSet, draw_unseen
from devise.features import FeatureTable
from devise.recipes import rules, zeroshot
from devise.recipes.measuring import measure
from devise.recipes.rules import other_system
from devise.recipes.world import open_world
from devise.words import WordVectors, label_vectors

LABELS = ("camera", "crab", "elephant", "ferry", "lamp", "okapi", "panda", "pizza")
OTHERS = ("dog", "fish", "bird", "car", "tench", "tusker", "the", "music", "isopod", "lobster", "cheese", "boat")
PER_CLASS, DIM = 8, 24
BACKBONE = {"name": "drawn", "layer": "top", "dim": DIM, "weights": "none", "trained": True, "fingerprint": "0" * 64}
SMALL = {"training": {"epochs": 2, "batch_size": 16}, "head": (8,)}


class DrawnClassifier:
    """A classifier that is a fixed matrix."""

    class_names = imagenet.class_names()
    matrix = 3 * np.random.default_rng(8).normal(size=(DIM, 1000)).astype(np.float32)

    def classify(self, features):
        return features @ self.matrix


@pytest.fixture(scope="module")
def words():
    names = LABELS + OTHERS
    return WordVectors(names, np.random.default_rng(7).normal(size=(len(names), 6)).astype(np.float32), name="tiny")


@pytest.fixture(scope="module")
def table(words):
    """Noise over a linear image of each label's vector, so that unseen labels can be found."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(LABELS)), PER_CLASS)
    centres = label_vectors(LABELS, words).vectors @ random.normal(size=(6, DIM))
    matrix = centres[labels] + random.normal(scale=0.3, size=(len(labels), DIM))
    paths = [f"{name}/{number}.png" for name in LABELS for number in range(PER_CLASS)]
    return FeatureTable(matrix.astype(np.float32), ImageSet(paths, labels, LABELS, root=None), BACKBONE)


@pytest.fixture(scope="module")
def world(table, words):
    return open_world(table, DrawnClassifier(), words, first=len(words))


@pytest.fixture(scope="module")
def draws(world):
    return draw_unseen(world.labels, world.synsets, 2, unseen=2, seed=0)


@pytest.fixture(scope="module")
def fitted(world, draws):
    """(contenders, what was chosen) of each draw."""
    lifts = rules.lift_table(world)
    return [rules.contenders(world, draw, lifts=lifts, **SMALL) for draw in draws]


def write_embeddings(path, table, words, *, pictures=None, names=None, order=None):
    """Another system that knows the truth: a picture's embedding is its label's, every name has an axis."""
    names = list(names or words.words)
    axes = np.eye(len(names), dtype=np.float32)
    labels = [names.index(table.images.label_of(row)) for row in range(len(table))]
    order = np.arange(len(table)) if order is None else order
    np.savez(path, pictures=axes[labels][order] if pictures is None else pictures,
             paths=np.array(table.images.paths)[order], words=axes, names=np.array(names))
    return path


@pytest.fixture(scope="module")
def ran(table, words, untrain, tmp_path_factory):
    """The folder that two draws and two seeds wrote, with heads at their start, and its report.json."""
    folder, steps = tmp_path_factory.mktemp("zeroshot"), []
    clip = write_embeddings(folder / "clip.npz", table, words, order=np.random.default_rng(1).permutation(len(table)))
    few = write_embeddings(folder / "few.npz", table, words, names=LABELS)
    with pytest.MonkeyPatch.context() as patch:
        untrain(patch)
        zeroshot.run(folder / "results", data=table, backbone=DrawnClassifier(), words=words, draws=2, unseen=2,
                     seeds=2, beside=[("clip", clip), ("few", few)], first=len(words),
                     progress=lambda *step: steps.append(step), training=SMALL["training"], sizes=SMALL["head"])
    assert steps == [(1, 3), (2, 3), (3, 3)]
    return folder / "results", storage.read_json(folder / "results" / "report.json")


def rows(report, number):
    """{rule: values} of a table, by its number."""
    return {row["name"]: row["values"] for row in report["tables"][number - 1]["rows"]}


def ridge_by_hand(table, words, draw, penalty):
    """Each figure of the Ridge rule from the normal equations, a loop over pictures, and sorting."""
    x, y = table.matrix.astype(float), table.images.labels
    units = words.matrix / np.linalg.norm(words.matrix, axis=1, keepdims=True)
    mean = x[draw.train].mean(axis=0)
    centred, targets = x[draw.train] - mean, units[y[draw.train]]
    gram = centred.T @ centred
    kernel = np.linalg.inv(gram + penalty * np.trace(gram) / DIM * np.eye(DIM)) @ centred.T @ (
        targets - targets.mean(axis=0))
    unseen = set(table.images.labels[draw.unseen_rows].tolist())
    right = {"seen": {}, "unseen": {}, "u": {}, "s": {}, "open": []}
    for row in (*draw.test, *draw.unseen_rows):
        embedding = (x[row] - mean) @ kernel + targets.mean(axis=0)
        cosines = units @ embedding
        ranked, label = np.argsort(-cosines).tolist(), int(y[row])
        kind, all_labels = label in unseen, [name for name in ranked if name < len(LABELS)]
        own = [name for name in all_labels if (name in unseen) == kind]
        right["unseen" if kind else "seen"].setdefault(label, []).append(own[0] == label)
        right["u" if kind else "s"].setdefault(label, []).append(all_labels[0] == label)
        if kind:
            right["open"].append(label in ranked[:10])
    u, s = (np.mean([np.mean(hits) for hits in right[kind].values()]) for kind in "us")
    return {"test, seen": np.mean(sum(right["seen"].values(), [])), "u": u, "s": s, "H": 2 * u * s / (u + s or 1),
            "per class": np.mean([np.mean(hits) for hits in right["seen"].values()]),
            "unseen": np.mean(sum(right["unseen"].values(), [])), "open": np.mean(right["open"])}


def test_ridge_figures_are_those_of_the_normal_equations(ran, table, words, world, draws, fitted):
    hands = []
    for draw, (found, chosen) in zip(draws, fitted, strict=True):
        hands.append(ridge_by_hand(table, words, draw, chosen["penalty, Ridge"]))
        figures = measure(world, draw, found["Ridge"]).figures
        assert {name: figures[name] for name in hands[-1]} == pytest.approx(hands[-1])
    labels, exact = rows(ran[1], 1)["Ridge"], rows(ran[1], 2)["Ridge"]
    for name in hands[0]:
        spread = (labels | exact)[name]
        values = [hand[name] for hand in hands]
        assert (spread["min"], spread["max"], spread["n"]) == pytest.approx((min(values), max(values), 2)), name
    assert exact["strict"] == exact["wide"] == exact["open"], "Ridge names by no ImageNet class"


def test_a_strict_reading_hides_the_classes_of_the_draws_labels(world, draws, fitted):
    draw, (found, chosen) = draws[0], fitted[0]
    a, b = chosen["Lift, a and b"]
    names, every = imagenet.class_names(), np.arange(len(world.points))
    for reading in ("open", "strict", "wide"):
        hidden = np.zeros(1000, bool)
        for label in world.ids(draw.unseen):
            hidden |= world.masks[reading][label]
        row = draw.unseen_rows[0]
        powers = np.exp(world.logits[row].astype(float)) * ~hidden
        near = np.exp(a * (world.classes @ world.points.T - 1) - b * world.steps)
        expected = np.log(powers / powers.sum() @ near) - np.log(near[~hidden].mean(axis=0))
        rule = found["Lift"].onto(every, reading)
        assert rule.scores(world.logits[[row]])[0] == pytest.approx(expected, abs=1e-3)
        assert not (found["ConSE(10)"].onto(every, reading).embed.__self__.used & hidden).any()
    elephant = LABELS.index("elephant")
    assert {names[row] for row in np.flatnonzero(world.masks["wide"][elephant])} == {
        "tusker", "Indian elephant", "African elephant"}
    assert not world.inside[LABELS.index("okapi")]


def test_choices_never_look_at_unseen_pictures(world, draws, fitted):
    draw, (_, chosen) = draws[1], fitted[1]
    mixed = np.random.default_rng(5)
    features = world.features.copy()
    rows = np.flatnonzero(np.isin(world.labels, world.ids(draw.unseen)))
    features[rows] = mixed.normal(size=features[rows].shape)
    other = replace(world, table=FeatureTable(features, world.table.images, BACKBONE))
    lifts, again = rules.lift_table(world), rules.lift_table(other)
    seen = world.seen(world.answers, draw)
    assert np.array_equal(lifts[:, seen], again[:, seen]) and not np.array_equal(lifts, again)
    assert rules.contenders(other, draw, lifts=again, **SMALL)[1] == chosen


def test_controls_know_nothing_of_unseen_labels(world, draws, fitted):
    for draw, (found, _) in zip(draws, fitted, strict=True):
        softmax = measure(world, draw, found["softmax, seen classes"])
        assert softmax.figures["u"] == softmax.figures["H"] == softmax.figures["open"] == 0
        assert np.isnan(softmax.figures["unseen"]) and np.isnan(softmax.figures["AUSUC"])
        words, labels = (found["random vectors"].onto(columns, "open").vectors
                         for columns in (np.arange(len(world.points)), world.answers))
        assert np.array_equal(words[world.answers], labels)
        assert np.abs((labels * world.vectors).sum(axis=1)).max() < 0.999


def test_stacking_takes_gamma_from_seen_candidates_alone(world, draws, fitted):
    draw, (found, chosen) = draws[0], fitted[0]
    for columns, names in ((world.answers, LABELS), (np.arange(len(world.points)), world.vocabulary.names)):
        x = world.features[draw.test]
        less = found["Ridge"].onto(columns, "open").scores(x) - found["Ridge, stacked"].onto(columns, "open").scores(x)
        seen = [name in LABELS and LABELS.index(name) not in world.ids(draw.unseen) for name in names]
        assert less == pytest.approx(np.tile(np.where(seen, chosen["γ, Ridge stacked"], 0), (len(x), 1)), abs=1e-6)


def test_what_it_promises_is_in_the_folder(ran):
    folder, report = ran
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert min(Image.open(folder / "exact_tags.png").size) > 100 and "(exact_tags.png)" in page
    rules = list(rows(report, 1))
    assert rules[-3:] == ["random vectors", "softmax, seen classes", "chance"] and {"clip", "Lift"} < set(rules)
    for number in (1, 2):
        caption = report["tables"][number - 1]["caption"]
        assert "Mean of 2 draws of 2 unseen classes, with the 95 % interval over the draws" in caption
    assert "20 candidates" in report["tables"][1]["caption"] and "16 pictures a draw" in report["tables"][1]["caption"]
    assert "mean of 2 seeds on the first draw" in report["tables"][2]["caption"]
    assert set(rows(report, 3)) == {"MLP head", "ALE"} and rows(report, 3)["ALE"]["unseen"]["n"] == 2
    assert rows(report, 1)["chance"]["unseen"]["mean"] == 0.5
    assert {"Ridge, test", "chance, unseen", "softmax, seen classes, unseen"} <= set(rows(report, 4))
    assert report["facts"]["draws"] == "2: all random"


def test_better_is_said_only_where_the_interval_excludes_zero(ran):
    for number in (5, 6, 7):
        verdicts = rows(ran[1], number)
        assert len(verdicts) > 5
        for values in verdicts.values():
            assert ("is better" in values["verdict"]) == (values["difference"]["low"] > 0)
            assert values["difference"]["low"] <= values["difference"]["difference"] <= values["difference"]["high"]
    best, exact = ran[1]["tables"][4]["caption"].partition(", the best rule")[0], rows(ran[1], 2)
    assert exact[best]["open"]["mean"] == max(values["open"]["mean"] for values in exact.values() if values)


def test_another_system_joins_the_table(ran):
    labels, exact = rows(ran[1], 1), rows(ran[1], 2)
    for column in ("test, seen", "unseen", "u", "s", "H", "AUSUC"):
        assert labels["clip"][column]["mean"] == labels["few"][column]["mean"] == 1
    assert exact["clip"]["open"]["mean"] == 1 and exact["few"] == {}
    assert any("few has no embedding for 12 of the 20 words" in note for note in ran[1]["notes"])


def test_embeddings_that_do_not_fit_are_refused(table, words, world, tmp_path):
    lacking = write_embeddings(tmp_path / "lacking.npz", table, words, order=np.arange(len(table) - 1))
    with pytest.raises(ValueError, match=r"pictures: 1 of 64 have no embedding, the first is 'pizza/7.png'"):
        other_system(lacking, world)
    uneven = write_embeddings(tmp_path / "uneven.npz", table, words, pictures=np.eye(3))
    with pytest.raises(ValueError, match="3 pictures but 64 paths"):
        other_system(uneven, world)
    np.savez(tmp_path / "half.npz", pictures=np.eye(3), paths=np.array(["a"] * 3))
    with pytest.raises(ValueError, match="lacks the arrays names, words"):
        other_system(tmp_path / "half.npz", world)


def test_labels_without_a_synset_are_refused(table, words):
    images = ImageSet(table.images.paths, table.images.labels, ("zeppelin", *LABELS[1:]), root=None)
    with pytest.raises(ValueError, match="no WordNet synset is known for zeppelin"):
        open_world(FeatureTable(table.matrix, images, BACKBONE), DrawnClassifier(), words)


@pytest.mark.parametrize("argv, said", [
    (["zeroshot", "--images", "pictures"], "there is no option '--images'"),
    (["zeroshot", "--beside", "clip"], "not of the form NAME=FILE"),
    (["hybrid", "--draws", "3"], "there is no option '--draws'")])
def test_the_command_refuses_what_means_nothing(argv, said, capsys):
    try:
        code = cli.main(["recipe", *argv])
    except SystemExit as stop:
        code = stop.code
    assert code == 2 and said in " ".join(capsys.readouterr().err.split())
