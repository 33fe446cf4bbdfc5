"""The tables of pictures among pictures, by the truth of their captions, and of sentences among pictures."""

import math

import numpy as np

from devise.evaluation.captions import DEPTH, graded, text_retrieval
from devise.metrics import paired_difference, spread
from devise.model.caption_data import sentences_of
from devise.recipes.captioning.contenders import FIRST, JOINT, RAW, SIF, TFIDF
from devise.report import Published, Table

FIGURES = {"triplets": "agreement", f"NDCG@{DEPTH}": "ndcg", "NDCG, mean of 1 to 128": "area", "Pearson": "pearson"}
INTERVALS = ("triplets", f"NDCG@{DEPTH}")
KS = (1, 5, 10)
QUOTED = (Published("tf-idf of captions", {"triplets": 0.763}, "course notes on Gordo and Larlus 2017",
                    "their own triplets"),
          Published("people among themselves", {"triplets": "about 89–90"}, "course notes on Gordo and Larlus 2017",
                    "their own triplets"))


def measured(cosines, truth):
    """{row: [GradedRetrieval, one a seed]} of {row: [cosines (n, n), one matrix a seed]}."""
    return {name: [graded(one, truth) for one in mine] for name, mine in cosines.items()}


def graded_table(found, caption, head="pictures are compared by"):
    """Means over the query pictures, ± over the seeds, and the ties of the scores."""
    rows = {}
    for name, runs in found.items():
        rows[name] = {column: spread([run.means()[figure] for run in runs]) for column, figure in FIGURES.items()}
        rows[name]["ties"] = spread([run.ties for run in runs])
    first = next(iter(found.values()))[0]
    text = (f"{caption} In %, Pearson's correlation × 100; {len(first)} test pictures, each ranking the other "
            f"{len(first) - 1}; mean, ± standard deviation over the seeds. triplets: the share of all (query, a, b) "
            f"ordered as the captions do, a tie counts half; captions decide {first.triplets:,} of them, "
            f"{100 * first.undecided:.1f} % they leave open.")
    return Table.by_name(head, rows, caption=text)


def difference_table(found, caption, base=RAW, head="pictures are compared by"):
    """How much better than `base`, each query's mean over the seeds, with the interval over query pictures."""
    rows = {name: {column: paired_difference(per_query(found[base], figure), per_query(runs, figure))
                   for column, figure in FIGURES.items()} for name, runs in found.items() if name != base}
    return Table.by_name(head, rows, FIGURES, caption=caption, form="interval")


def per_query(runs, figure):
    """A figure of each query, the mean over the seeds: float64 (n,)."""
    return np.mean([getattr(run, figure) for run in runs], axis=0)


def text_table(world, joints, start):
    """Sentences find pictures, and pictures sentences."""
    vectors, owners = sentences_of(world.texts, world.captions)
    n, m = len(world.captions), len(owners)

    def recalls(joint):
        found = text_retrieval(joint.head.embed(world.features) @ joint.embed_text(vectors).T, owners, KS).means()
        return found | {"mean": float(np.mean(list(found.values())))}

    runs = [recalls(joint) for joint in joints]
    rows = {"chance": chance(np.bincount(owners, minlength=n)), "before training": recalls(start),
            JOINT: {column: spread([run[column] for run in runs]) for column in runs[0]}}
    lost = sum(map(len, world.captions)) - m
    text = (f"Recall@k in % of {n} test pictures and their {m:,} sentences: is one of a picture's own sentences among "
            "the first k, is a sentence's own picture. Mean, ± standard deviation over the seeds. The papers rank "
            "1,000 pictures and 5,000 sentences: their figures are not comparable with these.")
    text += f" {lost} sentences without a known word are left out." if lost else ""
    return Table.by_name("sentences and pictures", rows, caption=text)


def chance(counts):
    """Recall@k of a random order, where picture i has counts[i] sentences.

    >>> chance(np.array([1, 1]))["text → image @1"]
    0.5
    """
    n, m = len(counts), int(counts.sum())
    found = {f"image → text @{k}": float(np.mean([1 - math.comb(m - own, min(k, m)) / math.comb(m, min(k, m))
                                                  for own in counts.tolist()])) for k in KS}
    found |= {f"text → image @{k}": min(1.0, k / n) for k in KS}
    return found | {"mean": float(np.mean(list(found.values())))}


def truths(world):
    """(tf-idf of all captions, tf-idf of those that an oracle does not read, {oracle: cosines} or None).

    The last two are None where a picture has too few captions for both.
    """
    whole = world.tfidf(world.captions)
    first, last = ([told[part] for told in world.captions] for part in (slice(0, FIRST), slice(FIRST, None)))
    if not all(first) or not all(last):
        return whole, None, None
    known = all(world.sentences.known(told).any() for told in first)
    oracles = {TFIDF: [world.tfidf(first)]} | ({SIF: [world.sif(first)]} if known else {})
    return whole, world.tfidf(last), oracles


def quoted_table():
    """What the course notes quote, apart from ours."""
    return Table(("quoted", "triplets"), (), "Quoted, not measured here: triplets ordered as people do, in %, on the "
                 "triplets of the notes. They are not comparable with any figure of ours.", published=QUOTED)
