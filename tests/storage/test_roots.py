"""Where things lie: in a checkout, under DEVISE_HOME, in the user's cache, inside an installed package."""

from pathlib import Path

import pytest

import devise
from devise import storage


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As if the package lay in a site-packages folder, with a user of its own."""
    package = tmp_path / "site-packages" / "devise"
    package.mkdir(parents=True)
    monkeypatch.setattr(devise, "__file__", str(package / "__init__.py"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("DEVISE_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return package


def make_checkout(package):
    (package.parent / "setup.py").touch()
    (package.parent / "data").mkdir()
    return package.parent


def test_a_checkout_is_its_own_home(installed):
    assert storage.checkout() is None
    folder = make_checkout(installed)
    assert storage.checkout() == storage.home() == folder
    assert storage.data_root() == folder / "data" and storage.pretrained_root() == folder / "pretrained"


def test_an_installed_package_uses_the_users_cache(installed, tmp_path, monkeypatch):
    assert storage.home() == tmp_path / "user" / ".cache" / "devise"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert storage.data_root() == tmp_path / "cache" / "devise" / "data"


def test_devise_home_goes_first(installed, tmp_path, monkeypatch):
    make_checkout(installed)
    monkeypatch.setenv("DEVISE_HOME", "~/elsewhere")
    assert storage.home() == tmp_path / "user" / "elsewhere"
    monkeypatch.setenv("DEVISE_HOME", "")
    assert storage.home() == installed.parent


def test_asking_makes_no_folder(installed, tmp_path):
    before = set(tmp_path.rglob("*"))
    storage.data_root(), storage.pretrained_root()
    assert set(tmp_path.rglob("*")) == before


def test_bundled_sets_are_found_in_both(installed, monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match="'tiny', which comes with devise, is not in this installation"):
        storage.bundled("tiny")
    (installed / "bundled" / "tiny").mkdir(parents=True)
    assert storage.bundled("tiny") == installed / "bundled" / "tiny"
    (make_checkout(installed) / "data" / "tiny").mkdir()
    # it moves what is computed, not what the package carries
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "elsewhere"))
    assert storage.bundled("tiny") == installed.parent / "data" / "tiny"


def test_this_checkout_is_found():
    assert storage.checkout() in (None, Path(__file__).parents[2])
