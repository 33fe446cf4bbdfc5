"""Tables of the captions recipe: pictures and sentences among pictures, words added, and what people said."""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from devise.arrays import unit_rows
from devise.evaluation.captions import DEPTH, ceiling, correlation, graded, judged_triplets, text_retrieval
from devise.metrics import paired_difference, spread
from devise.model import changed
from devise.model.arithmetic import FORCE, LESS
from devise.model.caption_data import sentences_of
from devise.recipes.captioning import JOINT, RAW, SIF, TFIDF, TRIPLETS
from devise.recipes.harness import by_row, means_table, spreads
from devise.report import Published, Table

FIGURES = {"triplets": "agreement", f"NDCG@{DEPTH}": "ndcg", "NDCG, mean of 1 to 128": "area", "Pearson": "pearson"}
KS = (1, 5, 10)
SAID = 3  # captions of a picture that have a telling word
NEAR, WORDS = 5, 2
FEWEST = 10  # judgements
THEIRS = "course notes on Gordo and Larlus 2017", "their own triplets"
QUOTED = Table(("quoted", "triplets"), (), "Quoted, not measured here: triplets ordered as people do, in %, on the "
               "triplets of the notes. They are not comparable with any figure of ours.",
               published=(Published("tf-idf of captions", {"triplets": 0.763}, *THEIRS),
                          Published("people among themselves", {"triplets": "about 89–90"}, *THEIRS)))


def measured(cosines, truth):
    """{row: [GradedRetrieval, one a seed]} of {row: [cosines (n, n), one matrix a seed]}."""
    return {name: [graded(one, truth) for one in mine] for name, mine in cosines.items()}


def graded_tables(found, caption, base=RAW, less=f"the {RAW}", head="pictures are compared by"):
    """Means over the query pictures, ± over the seeds; then how much better than `base`, paired by query picture."""
    rows = {name: {column: paired_difference(per_query(found[base], figure), per_query(runs, figure))
                   for column, figure in FIGURES.items()} for name, runs in found.items() if name != base}
    return [graded_table(found, caption, head), Table.by_name(head, rows, FIGURES, form="interval", caption=(
        f"The same less {less}, in points, with the 95 % t interval over query pictures, paired."))]


def graded_table(found, caption, head="pictures are compared by"):
    """Means over the query pictures, ± over the seeds, and the ties of the scores."""
    rows = {name: [{column: run.means()[figure] for column, figure in FIGURES.items()} | {"ties": run.ties}
                   for run in runs] for name, runs in found.items()}
    first = next(iter(found.values()))[0]
    return means_table(head, rows, caption=(
        f"{caption} In %, Pearson's correlation × 100; {len(first)} test pictures, each ranking the other "
        f"{len(first) - 1}; mean, ± standard deviation over the seeds. triplets: the share of all (query, a, b) "
        f"ordered as the captions do, a tie counts half; captions decide {first.triplets:,} of them, "
        f"{100 * first.undecided:.1f} % they leave open."))


def per_query(runs, figure):
    """A figure of each query, the mean over the seeds: float64 (n,)."""
    return np.mean([getattr(run, figure) for run in runs], axis=0)


def text_table(world, joints):
    """Sentences find pictures, and pictures sentences."""
    vectors, owners = sentences_of(world.texts, world.captions)
    n, m = len(world.captions), len(owners)

    def recalls(joint):
        found = text_retrieval(joint.embed(world.features) @ joint.embed_vectors(vectors).T, owners, KS).means()
        return found | {"mean": float(np.mean(list(found.values())))}

    runs = [recalls(joint) for joint in joints]
    rows = {"chance": chance(np.bincount(owners, minlength=n)), "before training": recalls(world.started),
            JOINT: spreads(runs)}
    lost = sum(map(len, world.captions)) - m
    text = (f"Recall@k in % of {n} test pictures and their {m:,} sentences: is one of a picture's own sentences among "
            "the first k, is a sentence's own picture. Mean, ± standard deviation over the seeds. The papers rank "
            "1,000 pictures and 5,000 sentences: their figures are not comparable with these.")
    text += f" {lost} sentences without a known word are left out." if lost else ""
    return Table.by_name("sentences and pictures", rows, caption=text)


def chance(counts):
    """Recall@k of a random order, where picture i has counts[i] sentences."""
    n, m = len(counts), int(counts.sum())
    found = {f"image → text @{k}": float(np.mean([1 - math.comb(m - own, min(k, m)) / math.comb(m, min(k, m))
                                                  for own in counts.tolist()])) for k in KS}
    found |= {f"text → image @{k}": min(1.0, k / n) for k in KS}
    return found | {"mean": float(np.mean(list(found.values())))}


class Change(NamedTuple):
    """Ask with a picture for another, in words: both are places among the test pictures."""

    query: int
    target: int
    plus: tuple[str, ...]
    minus: tuple[str, ...]


def changes(world):
    """A Change from each test picture to those five that its captions are nearest to, where words tell the two apart.

    A word is added that three captions or more of the target have and none of the query, and taken
    away the other way round; two words at most, the most frequent first.
    """
    told = [_said(world, captions) for captions in world.captions]
    truth = world.tfidf(world.captions)
    np.fill_diagonal(truth, -1)
    found = []
    for query, order in enumerate(np.argsort(-truth, axis=1, kind="stable")[:, :NEAR]):
        for target in order.tolist():
            plus, minus = _only(told[target], told[query]), _only(told[query], told[target])
            if plus:
                found.append(Change(query, target, plus, minus))
    return found


def change_table(world, joints, asked):
    """How often the picture that the words ask for is found, a row a way of asking; None without questions."""
    if not asked:
        return None
    runs = [_recalls(world, joint, asked) for joint in joints]
    return means_table("asked by", by_row(runs), caption=(
        f"Picture + words − words (weights {FORCE:g} and {FORCE * LESS:g}) in the joint space: {len(asked):,} "
        f"questions, from a test picture to one of the {NEAR} whose captions are most like its own, by up to "
        f"{WORDS} words that {SAID} captions or more of one have and none of the other. Recall@k in %: is the "
        f"picture asked for among the first k of {len(world.captions) - 1}; mean, ± standard deviation over the "
        "seeds."))


def scores_of(world, joint, change):
    """The cosine of each test picture with a question, float32 (n,); −inf for the picture that asks."""
    rows = joint.embed(world.features)
    scores = rows @ changed(joint, rows[[change.query]], plus=change.plus, minus=change.minus)[0]
    scores[change.query] = -np.inf
    return scores


def _recalls(world, joint, asked):
    rows = joint.embed(world.features)
    ranks = {"the picture alone": [], "the words alone": [], "picture + words": [], "picture + words − words": []}
    for query, target, plus, minus in asked:
        mine = rows[[query]]
        for how, vector in zip(ranks, (mine, unit_rows(joint.embed_text(plus).sum(axis=0, keepdims=True)),
                                       changed(joint, mine, plus=plus),
                                       changed(joint, mine, plus=plus, minus=minus)), strict=True):
            scores = rows @ vector[0]
            scores[query] = -np.inf
            ranks[how].append((scores > scores[target]).sum())
    return {how: {f"recall@{k}": float(np.mean(np.array(found) < k)) for k in KS}
            for how, found in ranks.items()}


def _said(world, captions):
    """How many captions have each term."""
    found = Counter(term for text in captions for term in set(world.data.terms.cut(text)))
    known = world.texts.known(list(found))
    return Counter({term: n for (term, n), kept in zip(found.items(), known, strict=True) if kept})


def _only(mine, theirs):
    return tuple(term for term, n in sorted(mine.items(), key=lambda item: (-item[1], item[0]))
                 if n >= SAID and term not in theirs)[:WORDS]


def judged(data, table):
    """(Judgements, who judged) pairs that a folder has, where all of its pictures could be read: by rows of these."""
    known = ((data.expert, "three experts (1 to 4)"), (data.crowd, "a crowd (share of yes)"))
    return [pair for pair in known if pair[0] is not None and len(table) == len(data.images)]


def judged_sentences(world, judgements):
    """What people said of test pictures with test sentences, from Judgements of any; None where too few did.

    Returns:
        (the judged pictures, int (m,), those that the sentences were written for, int (m,), the m sentences, ratings
        float (m, r)); pictures are places among the test's.
    """
    place = {row: number for number, row in enumerate(world.rows["test"].tolist())}
    kept = [number for number, (one, two) in enumerate(zip(judgements.pictures.tolist(), judgements.captioned.tolist(),
                                                           strict=True)) if one in place and two in place]
    if len(kept) < FEWEST:
        return None
    pictures, owners = (np.array([place[row] for row in rows[kept].tolist()])
                        for rows in (judgements.pictures, judgements.captioned))
    texts = [world.captions[owner][number] for owner, number in zip(owners, judgements.captions[kept], strict=True)]
    return pictures, owners, texts, judgements.scores[kept]


def people_table(world, judgements, what, heads):
    """How well scores of a picture with a sentence fit what people said, see `judged_sentences`; `what` names these."""
    if (found := judged_sentences(world, judgements)) is None:
        return None
    pictures, owners, texts, ratings = found
    scores = {RAW: [_between(world.features, pictures, owners)],
              TRIPLETS: [_between(head.embed(world.features), pictures, owners) for head in heads[TRIPLETS]],
              TFIDF: [_told(world, pictures, texts, world.data.terms.texts, sparse=True)],
              SIF: [_told(world, pictures, texts, world.sentences.embed)],
              JOINT: [np.einsum("ij,ij->i", joint.embed(world.features)[pictures], joint.embed_text(texts))
                      for joint in heads[JOINT]]}
    return agreement_table(scores, ratings, pictures, what,
                           "Of rows that compare pictures, the sentence stands for the picture that it was written "
                           "for; an oracle reads the captions of the judged picture, without the sentence itself.")


def agreement_table(scores, ratings, pictures, what, more=""):
    """How well scores fit what people said, and people one another.

    Args:
        scores: {row: [float (m,), one a seed]}.
        ratings: float (m, r), a column a rater.
        pictures: int (m,), the picture that was judged.
        what: who judged, and `more` that the caption says.
    """
    said = ratings.mean(axis=1)
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
    text = (f"Agreement with {what}: {len(pictures):,} judgements of a test picture with a test sentence, "
            f"{len(np.unique(pictures)):,} pictures. Rank correlations × 100 with the mean judgement, from–to the 95 % "
            "interval of Spearman's by drawing pictures again (first seed); pairs: the share of two sentences about a "
            f"picture ordered as people do, in %, {pairs[0].n:,} decided. {more}")
    return Table.by_name("judged by", rows, caption=text.strip())


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
