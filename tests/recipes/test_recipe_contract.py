"""What holds for every recipe. A new one joins `RECIPES` and is found here."""

import inspect
from importlib import import_module

import pytest

from devise.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_its_run_takes_what_the_command_line_is_told(name):
    module = import_module(RECIPES[name].module)
    parameters = dict(inspect.signature(module.run).parameters)
    first = next(iter(parameters))
    assert first == "output" and parameters.pop(first).default is inspect.Parameter.empty
    kinds = {parameter.kind for parameter in parameters.values()}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    options = set(RECIPES[name].options)
    options -= {"labels", "class_level"} if "images" in options else set()  # they say how the folder is read
    assert {"progress", *options} <= set(parameters)
    assert all(parameter.default is not inspect.Parameter.empty or option in RECIPES[name].options
               for option, parameter in parameters.items() if parameter.kind is inspect.Parameter.KEYWORD_ONLY)


@pytest.mark.parametrize("name", RECIPES)
def test_it_says_in_one_line_what_it_is(name):
    assert RECIPES[name].help and "\n" not in RECIPES[name].help
    module = import_module(RECIPES[name].module)
    assert module.__doc__ and inspect.getdoc(module.run)
