"""The feature table: each picture goes through the frozen backbone once, ever.

A table is a folder with `features.npy` (n, dim), memory-mapped, and the rows' paths, labels and
content digests. Extraction writes finished batches as it goes, so that an interrupted run resumes;
a picture whose content is already in the table is not computed again, whatever its name.
"""

from devise.features.augmented import Augmented
from devise.features.extraction import compute, default_folder, extract, extract_some
from devise.features.table import FeatureTable, load, usable

__all__ = ["Augmented", "FeatureTable", "compute", "default_folder", "extract", "extract_some", "load", "usable"]
