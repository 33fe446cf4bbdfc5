import numpy as np
import pytest

from devise.heads import ConseHead
from devise.model import Devise
from devise.zeroshot import ConSE

RANDOM = np.random.default_rng(4)


class Classifier:
    """A backbone's classifier alone: features (n, 6) to logits of ImageNet's 1,000 classes."""

    dim = 6
    kernel, bias = RANDOM.normal(size=(6, 1000)).astype(np.float32), RANDOM.normal(size=1000).astype(np.float32)

    def classify(self, features):
        return features @ self.kernel + self.bias


@pytest.fixture(scope="module")
def words():
    from devise.words import WordVectors

    names = ("fish", "tench", "shark", "cat", "dog", "car", "wagon", "tiger")
    return WordVectors(names, RANDOM.normal(size=(len(names), 5)).astype(np.float32), name="few")


@pytest.fixture(scope="module")
def head(words):
    return ConseHead.of(Classifier(), words, top=4)


def test_it_is_conse_on_the_classifiers_logits(head):
    features = RANDOM.normal(size=(7, 6)).astype(np.float32)
    vectors = head.vectors
    expected = ConSE(vectors, top=4, mask=~vectors.any(axis=1)).embed(Classifier().classify(features))
    np.testing.assert_allclose(head.embed(features), expected, atol=1e-4)


def test_it_is_the_same_from_a_file(head, tmp_path):
    head.save(tmp_path / "head.npz")
    features = RANDOM.normal(size=(3, 6)).astype(np.float32)
    np.testing.assert_array_equal(ConseHead.load(tmp_path / "head.npz").embed(features), head.embed(features))


def test_a_model_without_training_embeds_saves_and_tags(backbone, words, tmp_path):
    backbone.classify = lambda features: features[:, :6] @ Classifier.kernel + Classifier.bias
    model = Devise.untrained(words, backbone=backbone)
    rows = RANDOM.normal(size=(4, 24)).astype(np.float32)
    model.save(tmp_path / "model")
    again = Devise.load(tmp_path / "model", words=words)
    np.testing.assert_allclose(again.embed_features(rows), model.embed_features(rows), atol=1e-6)
    [tags, *_] = again.tag_embeddings(model.embed_features(rows), k=3, filtered=False)
    cosines = {word: float(model.embed_features(rows)[0] @ model.embed_words([word])[0]) for word in words.words}
    assert [tag.name for tag in tags] == sorted(cosines, key=cosines.get, reverse=True)[:3]
    with pytest.raises(ValueError, match="no seen classes"):
        again.candidates("seen")
