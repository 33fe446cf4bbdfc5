"""Visual-semantic embeddings: images and words in one space (DeViSE, Frome et al. 2013).

`train_labels`, `train_classes`, `train_captions` and `pretrained` return a `Devise`: a frozen backbone with
named spaces. `Search` asks the images indexed in them. The names below are loaded when they are first used,
so that `import devise` itself loads no framework.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from devise.datasets import ImageSet, Split, open_images
    from devise.features import FeatureTable, extract
    from devise.index import Index
    from devise.model import Devise, Space, train_captions, train_classes, train_labels
    from devise.model.pretrained import pretrained
    from devise.report import Report
    from devise.search import Search
    from devise.words import open_words

_NAMES = {"Devise": "model", "Space": "model", "train_labels": "model", "train_classes": "model",
          "train_captions": "model", "pretrained": "model", "Search": "search", "Index": "index",
          "ImageSet": "datasets", "Split": "datasets", "open_images": "datasets", "FeatureTable": "features",
          "extract": "features", "Report": "report", "open_words": "words"}
_ROOMS = ("arrays", "backbones", "checks", "datasets", "distributed", "errors", "evaluation", "features", "heads",
          "index", "losses", "metrics", "model", "plots", "recipes", "report", "search", "storage", "training", "words",
          "zeroshot")

__all__ = ["Devise", "FeatureTable", "ImageSet", "Index", "Report", "Search", "Space", "Split", "extract",
           "open_images", "open_words", "pretrained", "train_captions", "train_classes", "train_labels", *_ROOMS]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _NAMES:
        return getattr(import_module(f"devise.{_NAMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"devise.{name}")
    raise AttributeError(f"module 'devise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
