"""The pictures of the report: figures with intervals, the curriculum, and what was found before and after."""

import numpy as np

from devise import plots
from devise.evaluation.captions import DEPTH
from devise.metrics import spread
from devise.recipes.captioning.changes import answers
from devise.recipes.captioning.contenders import JOINT, RAW, TRIPLETS
from devise.recipes.captioning.measuring import per_query

QUERIES, PAIRS, DEEP = 6, 4, 5  # rows of a sheet, of one with two answers a query, and pictures in a row


def draw_figures(found, path, note):
    """Triplets and NDCG of each row with their intervals over query pictures."""
    rows = {name: {label: _over_queries(per_query(runs, figure)) for label, figure in
                   (("triplet agreement", "agreement"), (f"NDCG@{DEPTH}", "ndcg"))} for name, runs in found.items()}
    return plots.interval_plot(rows, path, title="Pictures ordered as their captions are", label="%", note=note)


def draw_curriculum(gap, share, path):
    """What grows and falls from epoch to epoch."""
    shown = {"least gap of relevance in a triplet": gap.values(), "share of augmentation levels open": share.values()}
    return plots.schedule_plot(shown, path, title="The curriculum")


def draw_neighbours(world, cosines, path, seed=0):
    """The same queries before and after: what raw features find, and what was learnt finds."""
    rows = []
    for query in _drawn(world, seed)[:PAIRS]:
        found = {name: tuple(_card(world, place, score) for place, score in _best(cosines[name][0], query))
                 for name in (RAW, TRIPLETS)}
        rows.append(plots.Compared(_card(world, query), found))
    return plots.comparison_sheet(rows, path, title="The same pictures asked before and after learning from captions",
                                  note="Each with the first of its captions, which nothing here has read.")


def draw_sentences(world, joint, path, seed=0):
    """Sentences, and the test pictures that they find."""
    pictures, rows = joint.head.embed(world.features), []
    for own in _drawn(world, seed):
        text = world.captions[own][0]
        scores = pictures @ joint.embed_text(world.texts.embed([text]))[0]
        found = tuple(_card(world, place, float(scores[place]), right=True if place == own else None)
                      for place in np.argsort(-scores, kind="stable")[:DEEP])
        rows.append(plots.Compared(text, {"": found}))
    return plots.comparison_sheet(rows, path, title=f"Sentences find pictures ({JOINT})",
                                  note="✓ the picture that the sentence was written for; others may fit as well. "
                                  "Pictures alone were indexed.")


def draw_changes(world, joint, asked, path, seed=0):
    """Pictures changed by words; the picture that was meant is marked."""
    told = [change for change in asked if change.minus]
    random, rows, seen = np.random.default_rng(seed), [], set()
    for number in random.permutation(len(told)):
        change = told[number]
        if change.query in seen or len(rows) == QUERIES:
            continue
        seen.add(change.query)
        text = " ".join([*(f"+{word}" for word in change.plus), *(f"−{word}" for word in change.minus)])
        found = tuple(_card(world, place, score, right=True if place == change.target else None)
                      for place, score in answers(world, joint, change, DEEP))
        rows.append(plots.Compared(_card(world, change.query)._replace(label=text), {"": found}))
    if not rows:
        return None
    return plots.comparison_sheet(rows, path, title="Picture + words − words",
                                  note="Beneath a query what was asked of it; ✓ the picture that was meant.")


def _drawn(world, seed):
    n = len(world.captions)
    return np.sort(np.random.default_rng(seed).permutation(n)[:QUERIES]).tolist()


def _best(cosines, query):
    scores = cosines[query].astype(float)
    scores[query] = -np.inf
    return [(int(place), float(scores[place])) for place in np.argsort(-scores, kind="stable")[:DEEP]
            if np.isfinite(scores[place])]


def _card(world, place, score=None, right=None):
    images, row = world.table.images, int(world.rows["test"][place])
    return plots.Card(images.file(row) if images.root else None, label=world.captions[place][0], score=score,
                      right=right, name=images.paths[row])


def _over_queries(values):
    """A Spread over query pictures."""
    return spread(values[~np.isnan(values)])
