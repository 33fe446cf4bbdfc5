"""The API reference from the docstrings: python .ci/reference.py FOLDER. A warning is an error."""

import importlib
import pkgutil
import sys
import typing
import warnings

import numpy.typing
import pdoc

import devise


def open_lazy_names():
    """Import every module and put the names that modules load on first use where pdoc looks for them."""
    for found in pkgutil.walk_packages(devise.__path__, "devise."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            setattr(module, name, getattr(module, name))
        for thing in list(vars(module).values()):
            if isinstance(thing, type) and hasattr(thing, "_fields") and thing.__module__ == module.__name__:
                name_field_types(thing)
    for name in devise._NAMES:
        setattr(devise, name, getattr(devise, name))


def name_field_types(named_tuple):
    """Put types in place of the annotations of a named tuple: pdoc reads them in the module that shows it."""
    known = vars(numpy.typing) | vars(sys.modules[named_tuple.__module__])
    named_tuple.__new__.__annotations__ = typing.get_type_hints(named_tuple, known)


if __name__ == "__main__":
    open_lazy_names()
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"pdoc(\.|$)")
        pdoc.pdoc("devise", output_directory=pdoc.Path(sys.argv[1]))
