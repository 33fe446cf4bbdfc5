"""Pictures on disk: read, listed with their classes, and split into what trains and what tests."""

from devise.datasets.base import ImageSet, Skipped
from devise.datasets.folders import duplicates, from_files, from_folder
from devise.datasets.images import check_image, read_image
from devise.datasets.samples import samples
from devise.datasets.splits import PARTS, Split, query_gallery, split

__all__ = ["PARTS", "ImageSet", "Skipped", "Split", "check_image", "duplicates", "from_files", "from_folder",
           "query_gallery", "read_image", "samples", "split"]
