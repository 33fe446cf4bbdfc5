"""The facade over backbone, head and words, and the whole network as one Keras model."""

from devise.model.arithmetic import changed
from devise.model.facade import FIRST_WORDS, Devise
from devise.model.network import parameter_counts, whole_model
from devise.model.prototypes import imagenet_rule
from devise.model.tags import Tag, TaggedPictures, Tags

__all__ = ["FIRST_WORDS", "Devise", "Tag", "TaggedPictures", "Tags", "changed", "imagenet_rule",
           "parameter_counts", "whole_model"]
