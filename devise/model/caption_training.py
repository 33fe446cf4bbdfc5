"""How heads learn from captions: a closed form, triplets and lists by caption similarity, or sentences jointly.

Each takes the same `Lesson`, and keeps the weights that serve its held pictures best. Every number
here was chosen on the 200 validation pictures of a part of Flickr8k (1,600 to learn from).
"""

from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.errors import unknown
from devise.evaluation.captions import text_retrieval
from devise.model.caption_lessons import DIM

PENALTIES = (1.0, 3.0, 10.0)
SPREAD = 1.0  # penalty of the text's start, in units of its mean variance
GAPS = (0.2, 0.03)  # of relevance between the two of a triplet, in the first and the last epoch
VISUAL = {"optimiser": "adam", "learning_rate": 3e-4, "epochs": 30, "batch_size": 64}
JOINT = {"optimiser": "adam", "learning_rate": 1e-3, "epochs": 25, "batch_size": 128}
MARGIN, TEMPERATURE, TARGET = 0.3, 0.3, 0.1  # of the triplets, and of the lists
CONTRAST = 0.1  # the temperature of the joint loss


class Joint(NamedTuple):
    """A space of pictures and sentences.

    Attributes:
        head: from features to the space.
        kernel: float32 (t, dim), from CaptionVectors to the space.
        history: History of the training, or None.
    """

    head: object
    kernel: np.ndarray
    history: object = None

    def embed_text(self, vectors):
        """Rows of CaptionVectors as unit rows (n, dim) of the space."""
        return unit_rows(vectors @ self.kernel, "embedded text")


def solve_ridge(lesson, targets=None, penalties=PENALTIES):
    """A RidgeHead from features to the captions' tf-idf, less its mean; the penalty is chosen on the held pictures.

    Args:
        targets: float (n, t) to learn in place of tf-idf, such as mean word vectors.
    """
    from devise.heads import RidgeHead

    targets = lesson.vectors[:len(lesson.features)] if targets is None else targets
    centred = targets - targets.mean(axis=0)
    heads = [RidgeHead(penalty).fit(lesson.features, lesson.labels, centred) for penalty in penalties]
    return max(heads, key=lambda head: lesson.score(head.embed(lesson.held)))


def train_visual(lesson, *, loss="triplet", gap=None, bank=None, seed=0, progress=None, **training):
    """A ProjectionHead that orders pictures as their captions do.

    Args:
        loss: "triplet", the hinge on the difference (Gordo and Larlus 2017), or "ranking", listwise.
        gap: of triplets, a number or a Schedule that is lowered with the epochs; None is GAPS.
        bank: FeatureBank of the lesson's features, or None.
        seed: of the order of the rows.
        training: options of `devise.training.train`.
    Returns:
        (head, History)
    """
    from devise.heads import ProjectionHead
    from devise.losses.graded import RelevanceRanking, RelevanceTriplet
    from devise.training import Schedule, train

    options = VISUAL | training
    before = None
    if loss == "ranking":
        graded = RelevanceRanking(lesson.vectors, temperature=TEMPERATURE, target_temperature=TARGET)
    elif loss == "triplet":
        gap = Schedule(*GAPS, epochs=options["epochs"]) if gap is None else gap
        at = gap if callable(gap) else lambda epoch: gap
        graded = RelevanceTriplet(lesson.vectors, margin=MARGIN, gap=at(1))

        def before(epoch):
            graded.gap.assign(at(epoch))
    else:
        raise ValueError(unknown("loss", loss, ("triplet", "ranking")))
    head = ProjectionHead(_dim(lesson), start="pca")
    history = train(head, lesson.features if bank is None else bank, lesson.labels, graded,
                    validation=(lesson.held, lesson.held_labels), validate=lesson.score, seed=seed,
                    before_epoch=before, progress=progress, **options)
    return head, history


def start_joint(lesson, texts):
    """Principal components of the features, and sentences carried onto those of their pictures by ridge regression.

    Args:
        texts: CaptionVectors, fitted.
    Returns:
        Joint
    """
    from devise.heads import ProjectionHead

    head = ProjectionHead(_dim(lesson), start="pca").fit(lesson.features)
    rows, owners = sentences_of(texts, lesson.captions)
    gram = rows.T @ rows
    gram[np.diag_indices_from(gram)] += SPREAD * np.trace(gram) / len(gram)
    kernel = np.linalg.solve(gram, rows.T @ head.embed(lesson.features)[owners])
    kernel /= np.sqrt(np.mean(np.sum((rows @ kernel) ** 2, axis=1)))  # a learning rate means the same for both sides
    return Joint(head, kernel.astype(np.float32))


def train_joint(lesson, texts, *, seed=0, progress=None, **training):
    """Pictures and sentences in one space, by symmetric InfoNCE from the start that `start_joint` gives.

    The epoch is chosen by the mean recall at 1, 5 and 10 of both directions over the held pictures.

    Returns:
        Joint
    """
    from devise.losses.graded import JointCaptions
    from devise.training import train

    started = start_joint(lesson, texts)
    rows, owners = sentences_of(texts, lesson.captions)
    held, held_owners = sentences_of(texts, lesson.held_captions)
    loss = JointCaptions(np.concatenate([rows, held]), np.concatenate([owners, len(lesson.features) + held_owners]),
                         started.head.dim, temperature=CONTRAST, seed=seed)
    loss.kernel.assign(started.kernel)

    def score(embeddings):
        found = text_retrieval(embeddings @ loss.embed_text(held).T, held_owners)
        return float(np.mean(list(found.means().values())))

    history = train(started.head, lesson.features, lesson.labels, loss, validation=(lesson.held, lesson.held_labels),
                    validate=score, seed=seed, progress=progress, **JOINT | training)
    return Joint(started.head, np.asarray(loss.kernel), history)


def sentences_of(texts, captions):
    """Rows of all sentences that CaptionVectors know a word of, and the picture of each: int64 (m,)."""
    told = [(text, owner) for owner, sentences in enumerate(captions) for text in sentences]
    known = texts.known([text for text, _ in told])
    told = [pair for pair, kept in zip(told, known, strict=True) if kept]
    return texts.embed([text for text, _ in told]), np.array([owner for _, owner in told], np.int64)


def _dim(lesson):
    return min(DIM, *lesson.features.shape)
