"""The one exception of our own, the import that raises it, and how messages name what came."""

import difflib
import importlib
from collections.abc import Collection
from types import ModuleType

DISTRIBUTION = "devise-vse"  # what pip calls the package; its name `devise` is another project's there
MOST = 20  # names in a message


class MissingDependency(ImportError):
    """An optional package is needed for what was asked; the message holds the pip line.

    >>> str(MissingDependency(f"annoy is not installed: {pip_line('annoy')}"))
    "annoy is not installed: pip install 'devise-vse[annoy]'"
    """


def require(package: str, extra: str, *, hint: str = "") -> ModuleType:
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
        message = f"{package} is not installed: {pip_line(extra)}"
        raise MissingDependency(f"{message}. {hint}" if hint else message) from error


def pip_line(extra: str) -> str:
    """The command that installs an extra of this package.

    >>> pip_line("web")
    "pip install 'devise-vse[web]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def unknown(what: str, name: object, known: Collection[object]) -> str:
    """What to say of a name that is none of the known ones: those near it, else all of them.

    >>> unknown("recipe", "hybird", ["hybrid"])
    "there is no recipe 'hybird': did you mean hybrid?"
    """
    spelt = {str(one).lower(): str(one) for one in known}
    near = [spelt[one] for one in difflib.get_close_matches(str(name).lower(), spelt, n=2)]
    some = ", ".join(list(map(str, known))[:MOST]) + (", …" if len(known) > MOST else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected {some}"
    return f"there is no {what} {name!r}: {hint}"


def above(**values: float) -> None:
    """Refuse numbers that are not above 0, by their names.

    >>> above(margin=0.1)
    """
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} is {value}: expected a number above 0")


def quoted(text: str, most: int = 100) -> str:
    """`text` in quotes for a message, without its middle where it is long: a query may be a whole book.

    >>> quoted("cat"), quoted("z" * 1000, most=10)
    ("'cat'", "'zzzzz…zzzzz'")
    """
    return repr(text if len(text) <= most else f"{text[:most // 2]}…{text[-(most // 2):]}")
