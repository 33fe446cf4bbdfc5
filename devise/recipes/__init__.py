"""One file, one published table: what to run, over what, and beside which figures.

A recipe's module has `run(output, *, …, progress=None)`, which writes report.md, report.json and the
pictures into the folder `output` and returns the Report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devise.datasets import Split
    from devise.features import FeatureTable

RECIPES = {  # {name, that of its module: what it is in one line}
    "hybrid": "a frozen network and a 2000–dim head onto word vectors",
    "zeroshot": "every zero-shot rule and its controls, over random draws of unseen classes",
    "devise2013": "DeViSE's Table 1 and its zero-shot form, with controls",
    "conse2014": "ConSE(1), (10) and (1000) beside DeViSE, in the zero-shot form",
    "metric": "losses and mining under one budget, by cross-validation over classes",
    "siamese": "triplets on a folder of classes, before and after on classes that nothing learned from",
    "xian2018": "the attribute benchmarks SUN, CUB, AWA1, AWA2 and APY, proposed splits",
    "pretrained": "the model that comes with devise, made again and measured",
    "beside": "classes learnt beside the model that comes with devise, from nothing, and that model alone",
    "flickr8k": "sentences and pictures of Flickr8k in the standard protocol, beside the published rows",
    "captions": "pictures retrieved as captions say, sentences and pictures, what people said",
}

__all__ = ["RECIPES", "bundled_table"]


def bundled_table() -> tuple[FeatureTable, Split]:
    """(FeatureTable, Split) of the set that comes with the package: 32 classes to train on, 5 that are never seen.

    >>> table, parts = bundled_table()
    >>> len(table), parts.unseen
    (1609, ('elephant', 'flamingo', 'helicopter', 'lobster', 'saxophone'))
    """
    from devise import features, storage  # a list of recipes costs nothing
    from devise.datasets import Split

    table = features.load("caltech37")
    return table, Split.from_json(storage.read_json(storage.bundled("caltech37") / "split.json"), table.images.paths)
