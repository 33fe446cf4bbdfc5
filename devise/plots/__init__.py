"""Pictures of results: sheets of hits and tags, curves of hit@k and of a training, maps of a space."""

_HOME = {"Card": "sheets", "Compared": "sheets", "Row": "sheets", "Tagged": "sheets", "bar_plot": "bars",
         "comparison_sheet": "sheets", "history_curve": "curves", "hit_curve": "curves", "interval_plot": "intervals",
         "progress_curve": "curves", "recall_curves": "recall", "roc_plot": "curves", "schedule_plot": "curves",
         "sheet": "sheets", "space_map": "maps", "tag_sheet": "sheets"}

__all__ = list(_HOME)


def __getattr__(name):
    """The room's public names, imported when they are asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
