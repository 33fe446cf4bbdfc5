"""One file, one published table: what to run, over what, and beside which figures."""

from devise.recipes.hybrid import bundled_table

__all__ = ["bundled_table"]
