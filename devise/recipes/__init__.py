"""One file, one published table: what to run, over what, and beside which figures.

A recipe's module has `run(output, *, …, progress=None)`, which writes report.md, report.json and the
pictures into the folder `output` and returns the Report.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from devise.recipes.hybrid import bundled_table


class Recipe(NamedTuple):
    """Where a recipe is, what it does in one line, and which options of the command line its `run` takes.

    >>> RECIPES["hybrid"].module
    'devise.recipes.hybrid'
    """

    module: str
    help: str
    options: tuple[str, ...] = ()


RECIPES = {
    "hybrid": Recipe("devise.recipes.hybrid", "a frozen network and a 2000–dim head onto word vectors"),
    "zeroshot": Recipe("devise.recipes.zeroshot", "every zero-shot rule and its controls, over random draws of "
                       "unseen classes", ("words", "draws", "seeds", "beside")),
    "devise2013": Recipe("devise.recipes.devise2013", "DeViSE's Table 1 and its zero-shot form, with controls",
                         ("images", "words", "seeds")),
    "conse2014": Recipe("devise.recipes.conse2014", "ConSE(1), (10) and (1000) beside DeViSE, in the zero-shot form",
                        ("images", "words", "seeds")),
    "metric": Recipe("devise.recipes.metric", "losses and mining under one budget, by cross-validation over classes",
                     ("images", "labels", "class_level", "test", "root", "set", "seeds", "epochs", "trials")),
    "siamese": Recipe("devise.recipes.siamese", "triplets on a folder of classes, before and after on classes that "
                      "nothing learned from",
                      ("images", "labels", "class_level", "test", "seeds", "gallery", "epochs")),
    "xian2018": Recipe("devise.recipes.xian2018", "the attribute benchmarks SUN, CUB, AWA1, AWA2 and APY, proposed "
                       "splits", ("root", "seeds")),
    "captions": Recipe("devise.recipes.captions", "pictures retrieved as captions say, sentences and pictures, what "
                       "people said", ("root", "words", "seeds", "backbone")),
}

__all__ = ["RECIPES", "Recipe", "bundled_table"]


def __getattr__(name: str) -> Any:
    """`bundled_table`, imported when it is asked for: a list of recipes should cost nothing."""
    if name != "bundled_table":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from devise.recipes.hybrid import bundled_table

    return bundled_table
