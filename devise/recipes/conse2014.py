"""ConSE(1), (10) and (1000) beside DeViSE (Norouzi et al. 2014), in the zero-shot form.

ConSE mixes the label vectors of the classes that a classifier finds most probable. Two classifiers
are asked: a softmax trained on the seen classes alone, as in the paper, and the network's own, which
knows ImageNet's 1,000 classes.
"""

from devise.recipes import devise2013
from devise.recipes.harness import Harness
from devise.recipes.published import published
from devise.recipes.rules import by_conse, tops
from devise.recipes.world import open_world
from devise.words import open_words

PAPER, TABLE = "conse2014", "Table 1"


def run(output, *, images=None, backbone=None, words="glove-6b-50d", seeds=5, recalled=False, progress=None):
    """Measure ConSE and DeViSE on unseen classes and write the report with its picture.

    Args:
        output: the folder to write.
        images: pictures in folders named by WordNet's ids (an ImageSet), those of ImageNet's 1,000 classes seen;
            None takes the bundled set.
        backbone: the Backbone of an ImageSet; without images that of the bundled features, which None loads.
        words: WordVectors, or their name or path.
        seeds: how many runs; seed s draws 5 unseen classes of the bundled set, splits the seen
            pictures and trains.
        recalled: print published figures that are recalled too, marked †.
    Raises:
        ValueError: if there are no unseen classes among the images.
    """
    harness = Harness(output, progress)
    world = open_world(images, backbone, open_words(words), progress=progress)
    if not world.unseen:
        raise ValueError("every folder with a word vector is one of ImageNet's 1,000 classes, and so seen: ConSE's "
                         "tables are of unseen classes, add folders of others")
    runs = harness.each(range(seeds), lambda seed: _run(world, seed))
    tables = devise2013.unseen_tables(world, runs, PAPER, TABLE, recalled=recalled)
    if not world.is_imagenet:
        tables.append(devise2013.papers_own("ConSE, Table 1", [
            row._replace(name=f"{row.name}, {key}") for key in ("2-hop", "2-hop +1K")
            for row in published(PAPER, TABLE, candidates=key, recalled=recalled)]))
    devise2013.draw_curve(harness, runs, "Flat hit@k of ConSE and DeViSE")
    return harness.report("ConSE beside DeViSE (Norouzi et al. 2014)", devise2013.facts(world, seeds), tables,
                          (*_notes(world), *devise2013.notes(world)), trained=world.table.backbone["trained"])


def _run(world, seed):
    """{set of candidates: Ranking} of one seed."""
    parts = world.split(seed)
    seen, unseen = world.ids(parts.seen), world.ids(parts.unseen)
    found = {f"DeViSE, {how}": contender
             for how, contender in devise2013.trained(world, parts, world.vectors, seed=seed).items()}
    logits = devise2013.classifier(world, parts, seed=seed).outputs(world.features)
    asked = {"softmax of the seen classes": (world.vectors[seen], logits, None, None)}
    if world.logits is not None:
        mine = world.classes, world.logits
        if world.draws:
            asked |= {"open": (*mine, None, None), "strict": (*mine, unseen, "wide")}
        else:  # what is unseen is none of the network's classes: nothing to mask
            asked["the network's classes"] = (*mine, None, None)
    for kind, (vectors, logits, hidden, reading) in asked.items():
        found |= {f"ConSE({top:,}), {kind}": by_conse(world, vectors, logits, top, hidden, reading)
                  for top in tops(len(vectors))}
    return devise2013.unseen_rankings(world, parts, found)


def _notes(world):
    if world.logits is None:
        return ("The network's own classes are not ImageNet's 1,000: ConSE uses the softmax of the seen classes.",)
    if not world.draws:
        return ()
    return ("ConSE, open: the network's 1,000 classes as they are, of which some are the unseen labels. Strict: "
            "without those that are an unseen label of the draw, a kind of it, look the same or carry its name. Both "
            "have seen far more classes than DeViSE here; the softmax of the seen classes has seen the same.",)
