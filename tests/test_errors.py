"""require: the module, or how to install it."""

import json

import pytest

from devise.errors import MissingDependency, quoted, require, unknown


def test_a_module_that_is_there():
    assert require("json", "demo") is json
    assert require("os.path", "demo").join("a", "b") == "a/b"


def test_a_missing_one_says_how_to_install_it():
    with pytest.raises(MissingDependency) as caught:
        require("no_such_engine", "annoy")
    assert str(caught.value) == "no_such_engine is not installed: pip install 'devise-vse[annoy]'"
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_hint_follows():
    with pytest.raises(MissingDependency, match=r"devise-vse\[annoy\]'\. It needs a C\+\+ compiler$"):
        require("no_such_engine", "annoy", hint="It needs a C++ compiler")


@pytest.mark.parametrize(("name", "said"), [
    ("Hybird", "there is no recipe 'Hybird': did you mean hybrid?"),
    ("hybred", "there is no recipe 'hybred': did you mean hybrid?"),
    ("quux", "there is no recipe 'quux': expected hybrid, Zeroshot"),
    ("zeroshoot", "there is no recipe 'zeroshoot': did you mean Zeroshot?"),
])
def test_an_unknown_name_gets_a_guess_or_the_list(name, said):
    assert unknown("recipe", name, ["hybrid", "Zeroshot"]) == said


def test_a_long_list_is_cut():
    said = unknown("class", "x", [f"class {number}" for number in range(50)])
    assert said.endswith("class 18, class 19, …") and "class 20" not in said


def test_a_long_text_is_quoted_without_its_middle():
    assert quoted("it's") == repr("it's")
    assert quoted("a" * 50 + "b" * 1000 + "c" * 50) == repr("a" * 50 + "…" + "c" * 50)
