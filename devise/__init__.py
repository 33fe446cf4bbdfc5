"""Visual-semantic embeddings: pictures and words in one space (DeViSE, Frome et al. 2013).

The names below are loaded when they are first used, so that `import devise` itself loads no framework.
"""

__version__ = "0.1.0"

_NAMES = {"Devise": "model", "Search": "search", "open_words": "words", "open_images": "datasets",
          "from_folder": "datasets", "samples": "datasets", "extract": "features", "Report": "report"}
_ROOMS = ("arrays", "backbones", "checks", "datasets", "distributed", "errors", "evaluation", "features", "index",
          "losses", "metrics", "model", "plots", "recipes", "search", "storage", "training", "words", "zeroshot")

__all__ = [*_NAMES, *_ROOMS]


def __getattr__(name):
    from importlib import import_module

    if name in _NAMES:
        return getattr(import_module(f"devise.{_NAMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"devise.{name}")
    raise AttributeError(f"module 'devise' has no attribute {name!r}")


def __dir__():
    return __all__
