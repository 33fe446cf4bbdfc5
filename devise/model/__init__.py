"""The facade over backbone, head and words, and the whole network as one Keras model."""

from devise.model.facade import FIRST_WORDS, Devise, Tag
from devise.model.network import parameter_counts, whole_model

__all__ = ["FIRST_WORDS", "Devise", "Tag", "parameter_counts", "whole_model"]
