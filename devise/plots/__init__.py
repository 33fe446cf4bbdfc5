"""Pictures of results: sheets of hits and tags, curves of hit@k and of a training, maps of a space."""

_HOME = {"Card": "cards", "Row": "sheets", "Tagged": "sheets", "sheet": "sheets", "tag_sheet": "sheets",
         "Compared": "comparisons", "comparison_sheet": "comparisons",
         "hit_curve": "curves", "history_curve": "curves",
         "bar_plot": "bars", "interval_plot": "intervals", "progress_curve": "progress", "recall_curves": "recall",
         "roc_plot": "progress", "schedule_plot": "schedules", "space_map": "maps"}

__all__ = list(_HOME)


def __getattr__(name):
    """The room's public names, imported when they are asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
