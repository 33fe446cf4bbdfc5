"""ImageNet's 1,000 classes as points among the words: what tags pictures without any training."""

from devise.backbones import imagenet
from devise.heads import ConseHead
from devise.heads.imagenet import imagenet_vectors
from devise.words import taxonomy_for
from devise.zeroshot import Lift, kernel, onto

RULES = ("conse", "lift")


def imagenet_rule(name, names, vectors, words, *, mask=None):
    """A rule from the logits of an ImageNet classifier to candidates, with nothing to train.

    Args:
        name: "conse", the mean of the label vectors of the 10 most probable classes; or "lift", how
            much more probable a candidate is than for any picture, near being near in the word
            space and in WordNet.
        names: c words or phrases, the candidates.
        vectors: (c, d), theirs.
        words: WordVectors, for the vectors of the classes.
        mask: bool (1000,), classes that must not be used, as `strict_mask` gives them.
    Returns:
        Rule of `devise.zeroshot`; x is logits (n, 1000).

    >>> from devise.words import WordVectors
    >>> words = WordVectors(["fish", "tench", "car"], [[1, 0.2], [0.9, 0.1], [0, 1]])
    >>> rule = imagenet_rule("lift", ["car", "fish"], [[0, 1], [1, 0.2]], words)
    >>> rule.tag([[9.0] + 999 * [0.0]], k=1).ids
    array([[1]])
    """
    if name not in RULES:
        raise ValueError(f"there is no rule {name!r} that needs no training: expected {' or '.join(RULES)}")
    classes = imagenet_vectors(words)
    if name == "conse":
        return onto(ConseHead.of_logits(classes, mask=mask), vectors)
    steps = taxonomy_for(names).steps(imagenet.identities(), names)
    return Lift(kernel(classes, vectors, steps), mask=mask)
