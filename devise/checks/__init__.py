"""Whether what lies on disk is whole and fits together: features, models, indexes, word vectors."""

from devise.checks.base import Checked, Problem
from devise.checks.places import check

__all__ = ["Checked", "Problem", "check"]
