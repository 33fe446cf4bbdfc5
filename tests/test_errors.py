"""require: the module, or how to install it."""

import json

import pytest

from devise.errors import MissingDependency, require


def test_a_module_that_is_there():
    assert require("json", "demo") is json
    assert require("os.path", "demo").join("a", "b") == "a/b"


def test_a_missing_one_says_how_to_install_it():
    with pytest.raises(MissingDependency) as caught:
        require("no_such_engine", "annoy")
    assert str(caught.value) == "no_such_engine is not installed: pip install 'devise[annoy]'"
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_hint_follows():
    with pytest.raises(MissingDependency, match=r"devise\[annoy\]'\. It needs a C\+\+ compiler$"):
        require("no_such_engine", "annoy", hint="It needs a C++ compiler")
