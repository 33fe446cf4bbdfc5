"""Pictures asked for by words, phrases and pictures."""

from devise.search.engine import Search
from devise.search.filters import Selection, select
from devise.search.results import Match, Results

__all__ = ["Match", "Results", "Search", "Selection", "select"]
