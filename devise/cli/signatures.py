"""What a function takes and says of it, read from its source: nothing is imported, so a help comes at once."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import devise

MISSING = inspect.Parameter.empty


class Parameter(NamedTuple):
    """A keyword-only parameter, or one with a default: the default (MISSING without one) and the annotation."""

    default: Any
    annotation: str


class Signature(NamedTuple):
    """{name: Parameter}, {name: what the docstring says of it}, and the docstring above its sections."""

    parameters: dict[str, Parameter]
    told: dict[str, str]
    about: str


@cache
def signature(place: str) -> Signature:
    """The Signature of a function of this package.

    Args:
        place: "module:function", "module:Class.method" or "module:Dataclass"; the module in which it is written.

    >>> signature("devise.cli.terminal:progress_bar").parameters["unit"].default
    'pictures'
    """
    module, _, path = place.partition(":")
    found: Any = _tree(module)
    for name in path.split("."):
        found = next(node for node in found.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and
                     node.name == name)
    if isinstance(found, ast.ClassDef):  # a dataclass
        fields = [node for node in found.body if isinstance(node, ast.AnnAssign)]
        taken = [(ast.unparse(node.target), node.value, node.annotation) for node in fields]
    else:
        plain, named = found.args.args, found.args.kwonlyargs
        defaults = [None] * (len(plain) - len(found.args.defaults)) + found.args.defaults + found.args.kw_defaults
        taken = [(argument.arg, default, argument.annotation) for argument, default in
                 zip((*plain, *named), defaults, strict=True) if argument in named or default is not None]
    parameters = {name: Parameter(MISSING if default is None else _value(default, module),
                                  ast.unparse(annotation) if annotation else "") for name, default, annotation in taken}
    told = ast.get_docstring(found) or ""
    return Signature(parameters, arguments_of(told), re.split(r"\n(?:Args|Returns|Raises):", told)[0].strip())


def arguments_of(docstring: str) -> dict[str, str]:
    """{parameter: what a docstring says of it}.

    >>> arguments_of('''One.
    ...
    ... Args:
    ...     a, b: two numbers,
    ...         in all.
    ... Returns:
    ...     c: more.''')
    {'a': 'two numbers, in all.', 'b': 'two numbers, in all.'}
    """
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", docstring, flags=re.MULTILINE)
    told: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", section[1].rstrip("\n")) if section else ():
        heads, _, text = entry.partition(":")
        told |= dict.fromkeys((head.strip() for head in heads.split(",")), " ".join(text.split()))
    return told


@cache
def _tree(module: str) -> ast.Module:
    place = Path(devise.__file__).parent.joinpath(*module.split(".")[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _value(node: ast.expr, module: str) -> Any:
    """What a default is: a literal, or a constant of this module or of the one that it is imported from; else None."""
    if isinstance(node, ast.Attribute):  # tags.FIRST_WORDS
        node = ast.Name(node.attr) if (module := _imported(ast.unparse(node.value), module)) else node
    if isinstance(node, ast.Name):
        return _constant(node.id, module)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _constant(name: str, module: str) -> Any:
    for node in _tree(module).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            pairs = (zip(target.elts, node.value.elts, strict=False) if isinstance(target, ast.Tuple) and
                     isinstance(node.value, ast.Tuple) else [(target, node.value)])
            for one, value in pairs:
                if isinstance(one, ast.Name) and one.id == name:
                    return _value(value, module)
    source = _imported(name, module)
    return _constant(name, source.rpartition(".")[0]) if source else None


def _imported(name: str, module: str) -> str:
    """The dotted name that this module imports under a name; "" if it is not of this package."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("devise"):
            if any((one.asname or one.name) == name for one in node.names):
                return f"{node.module}.{name}"
    return ""
