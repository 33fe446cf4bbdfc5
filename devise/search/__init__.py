"""Pictures asked for by words, phrases and pictures."""

from devise.search.duplicates import Copy
from devise.search.engine import Search
from devise.search.filters import Selection, select
from devise.search.results import Match, Results
from devise.search.syncing import Changes, Moved

__all__ = ["Changes", "Copy", "Match", "Moved", "Results", "Search", "Selection", "select"]
