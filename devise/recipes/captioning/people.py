"""Agreement with what people said of pictures and sentences, and of people among themselves."""

import numpy as np

from devise.evaluation.captions import ceiling, correlation, judged_triplets
from devise.metrics import spread
from devise.recipes.captioning.contenders import JOINT, RAW, SIF, TFIDF, TRIPLETS
from devise.report import Table

FEWEST = 10  # judgements


def people_table(world, judgements, heads, what):
    """How well scores of a picture with a sentence fit what people said, or None where too few judged the test.

    Args:
        judgements: Judgements, of any pictures of the table; those of test pictures with test sentences count.
        what: who judged, for the caption.
    """
    place = {row: number for number, row in enumerate(world.rows["test"].tolist())}
    kept = [number for number, (one, two) in enumerate(zip(judgements.pictures.tolist(), judgements.captioned.tolist(),
                                                           strict=True)) if one in place and two in place]
    if len(kept) < FEWEST:
        return None
    pictures, owners = (np.array([place[row] for row in rows[kept].tolist()])
                        for rows in (judgements.pictures, judgements.captioned))
    ratings, numbers = judgements.scores[kept], judgements.captions[kept]
    said = ratings.mean(axis=1)
    texts = [world.captions[owner][number] for owner, number in zip(owners, numbers, strict=True)]
    scores = {RAW: [_between(world.features, pictures, owners)],
              TRIPLETS: [_between(head.embed(world.features), pictures, owners) for head in heads[TRIPLETS]],
              TFIDF: [_told(world, pictures, texts, world.lesson.terms.texts, sparse=True)],
              SIF: [_told(world, pictures, texts, world.sentences.embed)],
              JOINT: [np.einsum("ij,ij->i", joint.head.embed(world.features)[pictures],
                                joint.embed_text(world.texts.embed(texts))) for joint in heads[JOINT]]}
    rows = {}
    if ratings.shape[1] > 1:
        found = ceiling(ratings, pictures)
        each = [judged_triplets(ratings[:, one], np.delete(ratings, one, axis=1).mean(axis=1), pictures)
                for one in range(ratings.shape[1])]
        rows["one of them against the mean of the others"] = {
            "Spearman": found.spearman, "from": found.low, "to": found.high, "Kendall": found.kendall,
            "pairs": float(np.mean([one.value for one in each])),
            "ties": float(np.mean([one.ties / one.n for one in each]))}
    for name, mine in scores.items():
        found, pairs = ([correlation(one, said, pictures) for one in mine],
                        [judged_triplets(one, said, pictures) for one in mine])
        rows[name] = {"Spearman": spread([one.spearman for one in found]), "from": found[0].low,
                      "to": found[0].high, "Kendall": spread([one.kendall for one in found]),
                      "pairs": spread([one.value for one in pairs]),
                      "ties": spread([one.ties / one.n for one in pairs])}
    text = (f"Agreement with {what}: {len(kept):,} judgements of a test picture with a test sentence, "
            f"{len(np.unique(pictures))} pictures. Rank correlations × 100 with the mean judgement, from–to the 95 % "
            "interval of Spearman's by drawing pictures again (first seed); pairs: the share of two sentences about a "
            f"picture ordered as people do, in %, {pairs[0].n:,} decided. Of rows that compare pictures, the sentence "
            "stands for the picture that it was written for; an oracle reads the captions of the judged picture, "
            "without the sentence itself.")
    return Table.by_name("judged by", rows, caption=text)


def _between(rows, pictures, owners):
    """Cosines of the judged pictures with those that the sentences were written for."""
    lengths = np.linalg.norm(rows, axis=1)
    return np.einsum("ij,ij->i", rows[pictures], rows[owners]) / (lengths[pictures] * lengths[owners])


def _told(world, pictures, texts, embed, *, sparse=False):
    """Cosines of sentences with the captions of the judged pictures, the sentence itself left out."""
    others = [" ".join(told for told in world.captions[picture] if told != text)
              for picture, text in zip(pictures, texts, strict=True)]
    left, right = embed(others), embed(texts)
    if sparse:
        return np.asarray(left.multiply(right).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", left, right)
