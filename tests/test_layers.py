"""The house's one structural rule: an import goes only to an earlier layer, or inside its own room."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "devise"

LAYERS = [
    {"errors"},
    {"arrays", "storage", "figures", "machine", "spelling"},
    {"report"},
    {"datasets", "words", "backbones", "losses", "index", "metrics"},
    {"heads"},  # of ConSE's heads one takes words and ImageNet's classes
    {"features", "training", "zeroshot", "notebook"},
    {"evaluation"},
    {"model"},
    {"search", "plots", "distributed"},
    {"recipes", "web", "bench", "checks"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
NO_FRAMEWORK = {"metrics", "index", "zeroshot", "evaluation", "arrays", "storage", "datasets"}
FRAMEWORKS = {"keras", "tensorflow"}
# an engine is imported in the one file that is named after it, or that says why here
ENGINES = {
    "shtab": {"cli/completion.py"}, "pandas": {"report.py"},
    "annoy": {"index/annoy.py"}, "faiss": {"index/faiss.py"}, "hnswlib": {"index/hnswlib.py"},
    "usearch": {"index/usearch.py"}, "lancedb": {"index/lancedb.py"}, "pymilvus": {"index/milvus.py"},
    "milvus_lite": {"index/milvus.py"},
    "gensim": {"words/readers.py"}, "sklearn": {"words/sentences.py", "metrics/open_set.py",
                                                  "evaluation/retrieval.py", "recipes/rules.py"},
    "onnxruntime": {"backbones/runtimes.py"}, "openvino": {"backbones/runtimes.py"},
    "tf2onnx": {"backbones/onnx.py"}, "ray": {"distributed/ray.py"}, "fsspec": {"storage/places.py"},
    "fastapi": {"web/app.py", "web/routes.py"}, "starlette": {"web/limits.py"},
    "uvicorn": {"web/server.py", "web/protocol.py"}, "h11": {"web/server.py", "web/protocol.py"},
    "pyarrow": {"words/readers.py", "distributed/sources.py", "index/lancedb.py"},  # words, pictures, vectors
}
NETWORK = {"urllib.request", "http.client", "requests", "socket"}


def files():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path, *, types=True):
    """Every module that a file imports, at the top or inside a function, and through `require`.

    Args:
        types: whether those under `if TYPE_CHECKING` count, which are never loaded.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not types:
        tree.body = [node for node in tree.body
                     if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            yield from ([f"devise.{alias.name}" for alias in node.names] if node.module == "devise" else [node.module])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require":
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else "?"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_to_earlier_layers_only(path):
    here = room(path)
    if here == "__init__":
        return  # the front door names rooms lazily
    assert here in LEVEL, f"the room {here!r} has no layer yet: add it to LAYERS"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "devise" or len(parts) == 1 or parts[1] == here or parts[1] == "__version__":
            continue
        assert LEVEL[parts[1]] < LEVEL[here], f"{path}: {here} (layer {LEVEL[here]}) imports {name}"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_frameworks_and_engines_stay_in_their_files(path):
    names = list(imports(path, types=False))
    tops = {name.split(".")[0] for name in names}
    if room(path) in NO_FRAMEWORK:
        assert not tops & FRAMEWORKS, f"{path} imports {tops & FRAMEWORKS}"
    where = path.relative_to(PACKAGE).as_posix()
    for engine, homes in ENGINES.items():
        allowed = where in homes or where.startswith("bench/")
        assert engine not in tops or allowed, f"{engine} belongs in {', '.join(homes)}, not in {where}"
    if where not in {"storage/fetch.py", "web/protocol.py"}:  # of which the second answers, and asks nobody
        assert not set(names) & NETWORK, f"{where} reaches the network: only storage/fetch.py may"
    assert "pickle" not in tops or where == "backbones/torch_weights.py", f"{where} imports pickle"


def test_importing_devise_loads_no_framework():
    code = ("import sys, devise; "
            "print(*sorted({'keras', 'tensorflow', 'gensim', 'matplotlib', 'annoy'} & set(sys.modules)))")
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
