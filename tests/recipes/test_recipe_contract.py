"""What holds for every recipe. A new one joins `RECIPES` and is found here."""

import inspect
import re
from importlib import import_module

import pytest

from devise.cli import command_parser
from devise.recipes import RECIPES


@pytest.fixture(params=RECIPES)
def recipe(request):
    return import_module(f"devise.recipes.{request.param}")


def test_its_run_takes_what_the_command_line_offers(recipe):
    first, *others = inspect.signature(recipe.run).parameters.values()
    assert first.name == "output" and first.default is inspect.Parameter.empty
    assert {one.kind for one in others} <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    name = recipe.__name__.rpartition(".")[2]
    offered = {action.dest for action in command_parser("recipe", name)._actions}
    loading = {"weights", "layer", "runtime", "labels", "class_level"}  # of backbone and images, opened before
    assert offered - loading - {"help", "json", "debug", "overwrite"} <= {first.name, *(one.name for one in others)}
    assert "progress" in {one.name for one in others}


def test_its_help_is_in_the_command_lines_words(recipe):
    parser = command_parser("recipe", recipe.__name__.rpartition(".")[2])
    for action in parser._actions:
        said = re.sub("`devise [a-z]+`", "", action.help or "")  # a command may be named
        assert not re.search(r"None|ImageSet|FeatureTable|WordVectors|Backbone|callable|`|\(\)", said), action.dest


def test_it_says_in_one_line_what_it_is(recipe):
    line = RECIPES[recipe.__name__.rpartition(".")[2]]
    assert line and "\n" not in line and recipe.__doc__ and inspect.getdoc(recipe.run)
