import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import devise
from devise.errors import MissingDependency
from devise.index import Index, base, choose, engines, load, make, registry


def test_engines_are_the_files_here():
    folder = Path(devise.__file__).parent / "index"
    files = {path.stem for path in folder.glob("[a-z]*.py")}
    assert set(engines()) == files - registry.OTHERS


def test_make():
    index = make("exact", fingerprint="vgg16-ab12")
    assert isinstance(index, Index) and index.engine == "exact" and index.fingerprint == "vgg16-ab12"


@pytest.mark.parametrize("name, message", [
    ("anoy", "did you mean annoy"), ("Exact", "did you mean exact"), ("zzz", "expected annoy, exact"),
    ("base", "no index engine 'base'"), (None, "no index engine None")])
def test_unknown_engines(name, message):
    with pytest.raises(ValueError, match=message):
        make(name)


def test_unknown_options():
    with pytest.raises(TypeError, match="exact has no option n_trees: expected fingerprint"):
        make("exact", n_trees=10)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these engines and no others are installed."""
    def pretend(*names):
        def made(engine, **options):
            if engine not in names:
                raise MissingDependency(f"{engine} is not installed")

        monkeypatch.setattr(registry, "make", made)
    return pretend


def test_few_numbers_are_compared_one_by_one(installed):
    installed(*engines())
    n = registry.EXACT_NUMBERS // 300
    assert choose(n, 300)[0] == "exact" and choose(n + 1, 300)[0] == registry.PREFERRED[0]
    assert choose(n, 600)[0] != "exact" and choose(2 * n, 150)[0] == "exact"


@pytest.mark.parametrize("engine", registry.PREFERRED)
def test_of_many_the_first_that_is_installed(installed, engine):
    installed(*registry.PREFERRED[registry.PREFERRED.index(engine):])
    name, why = choose(10**7, 300)
    assert name == engine and why.startswith("10,000,000 × 300 numbers take long to compare")


def test_without_any_other_engine_the_index_is_exact_and_says_what_to_install(installed):
    installed("exact")
    name, why = choose(10**7, 300)
    assert name == "exact" and f"pip install 'devise-vse[{registry.PREFERRED[0]}]'" in why


def test_options_choose_an_engine_that_has_them(installed):
    installed("annoy", "hnswlib")
    assert choose(10, 3, options=("n_trees",))[0] == "annoy"
    assert choose(10, 3, options=("links", "seed"))[0] == "hnswlib"
    with pytest.raises(TypeError, match="no engine has the options n_trees, links"):
        choose(10, 3, options=("n_trees", "links"))
    installed("exact")
    with pytest.raises(MissingDependency, match="annoy is not installed"):
        choose(10, 3, options=("n_trees",))


def test_every_engine_that_is_preferred_exists():
    assert set(registry.PREFERRED) < set(engines())


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
