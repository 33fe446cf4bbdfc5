"""Features of more pictures than one process gets through: workers on this machine, or on a cluster.

The table that comes out is that of `devise.features.extract`, in the same folder: nothing behind it
knows how many workers there were.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devise.distributed.extraction import extract
    from devise.distributed.parquet import from_parquet, is_parquet
    from devise.distributed.sources import from_url

_HOME = {"extract": "extraction", "from_url": "sources", "from_parquet": "parquet", "is_parquet": "parquet"}

__all__ = ["extract", "from_parquet", "from_url", "is_parquet"]


def __getattr__(name: str) -> Any:
    """The room's public names, imported when they are asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
