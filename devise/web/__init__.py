"""The page and the JSON API over an index, for one person at a desk or a group behind a token."""

from devise.web.app import app, opened
from devise.web.limits import Limits
from devise.web.server import Server

__all__ = ["Limits", "Server", "app", "opened"]
