"""Pictures of results: sheets of hits and tags, curves of hit@k and of a training, maps of a space.

Each is written in one step to a path that ends in .png, .jpg, .pdf or .svg, in place of a drawing of ours at most.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devise.plots.curves import history_curve, hit_curve, progress_curve, recall_curves, roc_plot, schedule_plot
    from devise.plots.maps import space_map
    from devise.plots.rows import bar_plot, interval_plot
    from devise.plots.sheets import Card, Compared, Row, Tagged, comparison_sheet, sheet, tag_sheet
    from devise.plots.style import entitle, styled

_HOME = {"Card": "sheets", "Compared": "sheets", "Row": "sheets", "Tagged": "sheets", "bar_plot": "rows",
         "comparison_sheet": "sheets", "entitle": "style", "history_curve": "curves", "hit_curve": "curves",
         "interval_plot": "rows", "progress_curve": "curves", "recall_curves": "curves", "roc_plot": "curves",
         "schedule_plot": "curves", "sheet": "sheets", "space_map": "maps", "styled": "style", "tag_sheet": "sheets"}

__all__ = ["Card", "Compared", "Row", "Tagged", "bar_plot", "comparison_sheet", "entitle", "history_curve", "hit_curve",
           "interval_plot", "progress_curve", "recall_curves", "roc_plot", "schedule_plot", "sheet", "space_map",
           "styled", "tag_sheet"]


def __getattr__(name: str) -> Any:
    """The room's public names, imported when they are asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
