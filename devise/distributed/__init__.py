"""Features of more pictures than one process gets through: workers on this machine, or on a cluster.

The table that comes out is that of `devise.features.extract`, in the same folder: nothing behind it
knows how many workers there were.
"""

from devise.distributed.extraction import extract
from devise.distributed.sources import from_parquet, from_url, is_parquet

__all__ = ["extract", "from_parquet", "from_url", "is_parquet"]
