"""Every public function and method says what it takes and what it gives: read from the source, nothing is imported."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "devise"
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
SINGLE = sorted(path for path in PACKAGE.glob("*.py") if not path.name.startswith("_"))  # public by their own names
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def exported(tree):
    """The names that a module's `__all__` spells out; none where there is no such list."""
    listed = [node.value for node in tree.body if isinstance(node, ast.Assign)
              and [getattr(target, "id", "") for target in node.targets] == ["__all__"]]
    return {item.value for names in listed for item in names.elts if isinstance(item, ast.Constant)}


def definitions(path, names=None):
    """(what it is called, function, whether it is a method) of the public functions and classes of a file."""
    for node in parsed(path).body:
        if isinstance(node, FUNCTIONS | ast.ClassDef) and not node.name.startswith("_") and (
                names is None or node.name in names):
            if isinstance(node, FUNCTIONS):
                yield node.name, node, False
                continue
            for member in node.body:
                if isinstance(member, FUNCTIONS) and (member.name == "__init__" or not member.name.startswith("_")):
                    yield f"{node.name}.{member.name}", member, True


def lacks(function, method):
    """The parameters without a type, and "return" where the answer has none."""
    given = function.args
    named = [*given.posonlyargs, *given.args]
    decorators = {decorator.id for decorator in function.decorator_list if isinstance(decorator, ast.Name)}
    if method and "staticmethod" not in decorators:
        named = named[1:]  # self or cls
    every = [*named, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    answers = function.returns is not None or function.name == "__init__"
    return [parameter.arg for parameter in every if parameter.annotation is None] + ["return"] * (not answers)


def untyped(paths, names=None):
    return [f"{path.relative_to(PACKAGE)}: {called} lacks {', '.join(lacking)}" for path in paths
            for called, function, method in definitions(path, names) if (lacking := lacks(function, method))]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_public_names_of_a_room_are_typed(room):
    names = set().union(*(exported(parsed(path)) for path in [PACKAGE / "__init__.py", *room.rglob("__init__.py")]))
    assert untyped(sorted(room.rglob("*.py")), names) == []


@pytest.mark.parametrize("module", SINGLE, ids=lambda module: module.stem)
def test_a_module_of_its_own_is_typed(module):
    assert untyped([module]) == []


def test_what_a_room_exports_is_found_where_it_is_spelt_out():
    """A list that is computed would hide its names from these tests, and from type checkers."""
    spelt = {room.name: exported(parsed(room / "__init__.py")) for room in ROOMS}
    assert [name for name, names in spelt.items() if not names] == ["bench", "cli"]
    assert {"hit_at_k", "mean_over_queries"} <= spelt["metrics"]


@pytest.mark.parametrize("source, lacking", [
    ("def f(a: int, *rest: str, b: int = 1, **more: str) -> None: ...", []),
    ("def f(a, *rest, b=1, **more): ...", ["a", "b", "rest", "more", "return"]),
    ("async def f(a: int): ...", ["return"]),
])
def test_what_a_function_lacks_is_named(source, lacking):
    assert lacks(ast.parse(source).body[0], method=False) == lacking


def test_self_and_cls_need_no_type_but_a_static_method_has_neither():
    methods = ast.parse("class A:\n"
                        "    def __init__(self, a: int): ...\n"
                        "    @classmethod\n"
                        "    def of(cls, a) -> int: ...\n"
                        "    @staticmethod\n"
                        "    def at(a) -> int: ...\n").body[0].body
    assert [lacks(method, method=True) for method in methods] == [[], ["a"], ["a"]]


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()
