"""The one exception of our own, and the import that raises it."""

import importlib


class MissingDependency(ImportError):
    """An optional package is needed for what was asked; the message holds the pip line."""


def require(package, extra, *, hint=""):
    """The imported module `package`, or an error that says how to install it.

    Args:
        package: dotted name of the module to import.
        extra: the extra of `devise` that brings it.
        hint: one more sentence, for what pip can't do by itself.
    Raises:
        MissingDependency: if the module can't be imported.

    >>> require("json", "demo").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        message = f"{package} is not installed: pip install 'devise[{extra}]'"
        raise MissingDependency(f"{message}. {hint}" if hint else message) from error
