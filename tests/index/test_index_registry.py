import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import devise
from devise.index import Index, base, engines, load, make


def test_engines_are_the_files_here():
    folder = Path(devise.__file__).parent / "index"
    files = {path.stem for path in folder.glob("[a-z]*.py")}
    assert set(engines()) == files - {"base", "members", "registry"}


def test_make():
    index = make("exact", fingerprint="vgg16-ab12")
    assert isinstance(index, Index) and index.engine == "exact" and index.fingerprint == "vgg16-ab12"


@pytest.mark.parametrize("name, message", [
    ("anoy", "did you mean annoy"), ("Exact", "did you mean exact"), ("zzz", "expected annoy or"),
    ("base", "no index engine 'base'"), (None, "no index engine None")])
def test_unknown_engines(name, message):
    with pytest.raises(ValueError, match=message):
        make(name)


def test_unknown_options():
    with pytest.raises(TypeError, match="exact has no option n_trees: expected fingerprint"):
        make("exact", n_trees=10)


def test_a_folder_without_an_index(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no index"):
        load(tmp_path)


def test_an_engine_is_imported_when_it_is_made():
    code = ("import sys, devise.index, devise.metrics\n"
            "print(sorted({'annoy', 'scipy', 'keras'} & set(sys.modules)))")
    output = subprocess.run([sys.executable, "-c", code], cwd=Path(devise.__file__).parents[1],
                            capture_output=True, check=True, text=True)
    assert output.stdout.strip() == "[]"


def test_cosines_do_not_depend_on_their_place():
    left = np.random.default_rng(0).standard_normal((50, 33)).astype(np.float32)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    whole = base.cosines(left, left[::-1])
    assert [base.cosines(left[row:row + 1], left[49 - row:50 - row])[0] for row in range(50)
            ] == whole.tolist()
