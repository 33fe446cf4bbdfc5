"""Text sides: words and sentences placed beside images, each by another way."""

import numpy as np
import pytest

from devise.backbones import describe, imagenet
from devise.datasets import ImageSet
from devise.features import FeatureTable
from devise.heads import LiftHead
from devise.model import Devise, WordText, pretrained
from devise.model.sources import Words
from devise.model.space import LiftText, restored_text
from devise.words import WordVectors, synset_vectors, taxonomy_for
from devise.zeroshot import Lift, kernel

RANDOM = np.random.default_rng(4)
NAMES = ("fish", "tench", "shark", "cat", "dog", "car", "wagon", "tiger")


@pytest.fixture(scope="module")
def words():
    return Words(WordVectors(NAMES, RANDOM.normal(size=(len(NAMES), 5)).astype(np.float32), name="few"))


def test_words_are_their_unit_vectors(words):
    vectors = words.vectors.matrix / np.linalg.norm(words.vectors.matrix, axis=1, keepdims=True)
    text = WordText(words)
    np.testing.assert_allclose(text.embed(list(NAMES)), vectors, atol=1e-6)
    np.testing.assert_allclose(text.embed_known(list(NAMES)), vectors, atol=1e-6)
    np.testing.assert_allclose(text.embed("tiger"), vectors[-1:], atol=1e-6)  # one text is no list of letters
    with pytest.raises(KeyError, match="sharc"):
        text.embed("sharc")
    with pytest.raises(TypeError, match="a text is int: expected a str"):
        text.embed([3])


def test_lift_ranks_words_and_images_as_the_rule_does(words):
    weights = RANDOM.normal(size=(6, 1000)).astype(np.float32), RANDOM.normal(size=1000).astype(np.float32)
    head, text, features = LiftHead(*weights), LiftText(words), RANDOM.normal(size=(9, 6)).astype(np.float32)
    vectors = words.vectors.matrix
    steps = taxonomy_for(NAMES).steps(imagenet.identities(), NAMES)
    rule = Lift(kernel(synset_vectors(imagenet.identities(), words.vectors), vectors, steps))
    expected = rule.scores(features @ weights[0] + weights[1])  # the logarithm of the lift
    cosines = head.embed(features) @ text.embed(list(NAMES)).T
    np.testing.assert_allclose(np.log(1000 * cosines), expected, atol=2e-3)
    assert text.dim == head.dim == 1002


def test_a_text_side_survives_its_config(words):
    for text in (WordText(words), LiftText(words)):
        again = restored_text(text.config, text.weights(), words)
        assert type(again) is type(text)
        np.testing.assert_array_equal(again.embed(["cat", "car"]), text.embed(["cat", "car"]))
    with pytest.raises(ValueError, match="there is no text side 'word': did you mean words"):
        restored_text({"kind": "word"}, {}, words)


def test_a_model_without_training_embeds_saves_and_tags(backbone, words, tmp_path):
    kernel = RANDOM.normal(size=(24, 1000)).astype(np.float32)
    backbone.classify = lambda features: features @ kernel
    model = pretrained("conse", words.vectors, backbone=backbone)
    rows = FeatureTable(RANDOM.normal(size=(4, 24)).astype(np.float32), ImageSet("abcd", [-1] * 4, (), root=None),
                        describe(backbone))
    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model", words=words.vectors)
    embedded = model.embed_images(rows)
    np.testing.assert_allclose(again.embed_images(rows), embedded, atol=1e-6)
    [tags, *_] = again.tag(rows, k=3)
    cosines = {word: float(embedded[0] @ model.embed_text(word)[0]) for word in words.vectors.words}
    assert [tag.name for tag in tags] == sorted(cosines, key=cosines.get, reverse=True)[:3]
    with pytest.raises(ValueError, match="no seen classes"):
        again.candidates("seen")
