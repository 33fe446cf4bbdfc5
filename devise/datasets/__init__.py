"""Images: opened, listed with their classes, and split into what trains, validates and tests."""

from devise.datasets.augmentation import Augmentation
from devise.datasets.base import ImageSet, Skipped
from devise.datasets.captions import CaptionSet, Judgements, caption_set, read_captions, with_captions
from devise.datasets.folders import from_folder
from devise.datasets.images import check_image, read_image
from devise.datasets.metadata import Metadata, metadata_of, read_metadata
from devise.datasets.opening import join, open_images, samples
from devise.datasets.retrieval_sets import galleries, query_gallery
from devise.datasets.sidecars import sidecar_of, write_keywords
from devise.datasets.splits import PARTS, Split, draw_unseen, split, split_classes, split_rows

__all__ = ["PARTS", "Augmentation", "CaptionSet", "ImageSet", "Judgements", "Metadata", "Skipped", "Split",
           "caption_set", "check_image", "draw_unseen", "from_folder", "galleries", "join", "metadata_of",
           "open_images", "query_gallery", "read_captions", "read_image", "read_metadata", "samples", "sidecar_of",
           "split", "split_classes", "split_rows", "with_captions", "write_keywords"]
