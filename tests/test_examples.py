"""`?` shows an example for each public name: every room's names are walked, and every class and function has one."""

import importlib
import inspect

import pytest

import devise

# what has none, and why; keep it short
ALLOWED = {}


def names_of(room):
    """The public names of a room: its __all__, or what its one file defines."""
    module = importlib.import_module(f"devise.{room}")
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__]
    return {name: getattr(module, name) for name in names}


@pytest.mark.parametrize("room", devise._ROOMS)
def test_each_class_and_function_shows_an_example(room):
    things = {name: value for name, value in names_of(room).items()
              if inspect.isclass(value) or inspect.isfunction(value)}
    assert things, f"the room {room} has no public name"
    lacking = [name for name, value in things.items() if ">>> " not in (inspect.getdoc(value) or "")]
    assert [f"{room}.{name}" for name in lacking if f"{room}.{name}" not in ALLOWED] == []


def test_the_front_door_leads_to_things_with_examples():
    for name in devise._NAMES:
        assert ">>> " in inspect.getdoc(getattr(devise, name))


def test_nothing_is_allowed_without_need():
    for place in ALLOWED:
        room, name = place.split(".")
        assert ">>> " not in (inspect.getdoc(names_of(room)[name]) or "")
