"""ConSE(1), (10) and (1000) beside DeViSE (Norouzi et al. 2014), in the zero-shot form.

ConSE mixes the label vectors of the classes that a classifier finds most probable. Two classifiers
are asked: a softmax trained on the seen classes alone, as in the paper, and the network's own, which
knows ImageNet's 1,000 classes.
"""

import time
from pathlib import Path

import numpy as np

from devise import backbones
from devise.backbones import imagenet
from devise.heads import ConseHead
from devise.heads.imagenet import imagenet_vectors, strict_mask
from devise.recipes.devise2013 import caption, classifier, draw, facts, notes, trained, unseen_figures
from devise.recipes.published import beside, published
from devise.recipes.trial import scoring
from devise.recipes.trial.sources import open_source
from devise.report import Report
from devise.words import open_words
from devise.zeroshot import onto

PAPER, TABLE = "conse2014", "Table 1"
TOPS = (1, 10, 1000)


def run(output, *, images=None, backbone=None, words="glove-6b-50d", seeds=5, progress=None):
    """Measure ConSE and DeViSE on unseen classes and write the report with its picture.

    Args:
        output, images, backbone, words, seeds: as in `devise.recipes.devise2013.run`. Without images
            the backbone is the one that the bundled features were computed with.
    Returns:
        Report.
    Raises:
        ValueError: if there are no unseen classes among the images.
    """
    started, output = time.monotonic(), Path(output)
    words = open_words(words)
    source = open_source(images, backbone, words, progress=progress)
    if not source.unseen:
        raise ValueError("every folder with a word vector is one of ImageNet's 1,000 classes, and so seen: ConSE's "
                         "tables are of unseen classes, add folders of others")
    logits, classes = _logits(source, backbone), imagenet_vectors(words)
    runs = []
    for seed in range(seeds):
        runs.append(_run(source, logits, classes, seed))
        if progress:
            progress(seed + 1, seeds)
    pictures = draw(runs, output, "Flat hit@k of ConSE and DeViSE")
    report = Report("ConSE beside DeViSE (Norouzi et al. 2014)",
                    facts(source, words, seeds, time.monotonic() - started), _tables(source, runs),
                    (*_notes(source, logits), *notes(source)), pictures, trained=source.table.backbone["trained"])
    report.save(output)
    return report


def _logits(source, backbone):
    """The network's own class scores of all pictures, or None where its classes are not ImageNet's 1,000."""
    backbone = backbone or backbones.load(source.table.backbone["name"], layer=source.table.backbone["layer"])
    if len(backbone.class_names) != len(imagenet.classes()):
        return None
    return backbone.classify(np.asarray(source.table.matrix, np.float32))


def _run(source, logits, classes, seed):
    """{set of candidates: (number of candidates, pictures, {row: figures})} of one seed."""
    parts = source.split(seed)
    rules = {f"DeViSE, {how}": rule for how, rule in trained(source, parts, source.vectors, seed=seed).items()}
    seen = source.ids(parts.seen)
    head = classifier(source, parts, seed=seed)
    mine = head.outputs(source.features(slice(None)))
    rules |= _conse(source, "softmax of the seen classes", mine, source.vectors[seen])
    if logits is not None:
        kinds = {"open": None, "strict": _masked(source, parts.unseen)}
        if not isinstance(source.unseen, int):  # what is unseen is none of the network's classes: nothing to mask
            kinds = {"the network's classes": None}
        for kind, mask in kinds.items():
            rules |= _conse(source, kind, logits, classes, mask)
    return unseen_figures(rules, source, parts)


def _conse(source, kind, logits, classes, mask=None):
    """{row: (logits of all pictures, callable ids → rule)} for each T that the classes are enough for."""
    tops = [top for top in TOPS if top < len(classes)] + [len(classes)]
    heads = {top: ConseHead.of_logits(classes, top=top, mask=mask) for top in tops}
    return {f"ConSE({top:,}), {kind}": (logits, lambda ids, head=head: onto(head, source.vectors[ids]))
            for top, head in heads.items()}


def _masked(source, unseen):
    """bool (1000,), the network's classes that are one of the unseen labels, a kind of it, or look the same."""
    names = {source.names[row]: source.synsets[row] for row in source.ids(unseen)}
    return np.any([strict_mask(name, synsets=(synset,), wide=True) for name, synset in names.items()], axis=0)


def _tables(source, runs):
    tables = []
    for name in runs[0]:
        theirs = beside(PAPER, TABLE, name, runs[0][name][0]) if source.is_imagenet else ()
        tables.append(scoring.table(caption(runs, name, "unseen"), [run[name][2] for run in runs], published=theirs))
    if not source.is_imagenet:
        theirs = [row._replace(name=f"{row.name}, {key}") for key in ("2-hop", "2-hop +1K")
                  for row in published(PAPER, TABLE, candidates=key)]
        tables.append(scoring.papers_own("ConSE, Table 1", theirs))
    return tuple(tables)


def _notes(source, logits):
    if logits is None:
        return ("The network's own classes are not ImageNet's 1,000: ConSE uses the softmax of the seen classes.",)
    if not isinstance(source.unseen, int):
        return ()
    return ("ConSE, open: the network's 1,000 classes as they are, of which some are the unseen labels. Strict: "
            "without those that are an unseen label of the draw, a kind of it, look the same or carry its name. Both "
            "have seen far more classes than DeViSE here; the softmax of the seen classes has seen the same.",)
