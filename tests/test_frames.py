"""Results as data frames, against the results themselves, row by row."""

import numpy as np
import pytest

from devise.datasets import ImageSet
from devise.errors import MissingDependency
from devise.features import FeatureTable
from devise.metrics import spread
from devise.model import Tag, TaggedImages, Tags
from devise.report import Published, Table
from devise.search import Match, Results

TABLE = Table(("over", 1, 10), [("seen", 0.5, spread([0.4, 0.6])), ("all", 0.25, 0.75)],
              published=(Published("theirs", {1: 0.6}, "Smith 2013"),))


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas")


def test_search_results(pandas):
    matches = (Match(3, "cat/1.png", "cat", 0.5), Match(0, "x.png", None, 0.25))
    frame = Results("cat", "shared", matches).to_frame()
    assert list(frame.columns) == ["row", "path", "label", "score", "weak"]
    assert tuple(frame.loc[0]) == (*matches[0], False)
    assert tuple(frame.loc[1, ["row", "path", "score"]]) == (0, "x.png", 0.25)
    assert pandas.isna(frame.loc[1, "label"])
    assert len(Results("cat", "shared", ()).to_frame()) == 0


def test_tags(pandas):
    named = Tags([Tag("crab", 0.5), Tag("cat", 0.25, weak=True)], picture="a.jpg")
    tagged = TaggedImages([named, Tags([Tag("dog", 0.125)])])
    rows = [["a.jpg", 1, "crab", 0.5, False], ["a.jpg", 2, "cat", 0.25, True], [1, 1, "dog", 0.125, False]]
    assert tagged.to_frame().values.tolist() == rows
    assert tagged[0].to_frame().to_dict("list") == {"name": ["crab", "cat"], "score": [0.5, 0.25],
                                                        "weak": [False, True]}
    assert list(TaggedImages().to_frame().columns) == ["picture", "rank", "name", "score", "weak"]


def test_tables(pandas):
    frame = TABLE.to_frame()
    assert list(frame.columns) == [1, 10, "10 ±", "source"] and list(frame.index) == ["seen", "all", "theirs"]
    assert frame.loc["seen", 1] == 0.5 and frame.loc["seen", 10] == 0.5 and frame.loc["all", 10] == 0.75
    assert frame.loc["seen", "10 ±"] == pytest.approx(np.std([0.4, 0.6], ddof=1))
    assert pandas.isna(frame.loc["all", "10 ±"]) and pandas.isna(frame.loc["theirs", 10])
    assert frame.loc["theirs", "source"] == "Smith 2013" and frame.loc["theirs", 1] == 0.6


def test_labels_of_features(pandas):
    images = ImageSet(("cat/1.png", "x.png", "dog/1.png"), [0, -1, 1], ("cat", "dog"), root=None)
    frame = FeatureTable(np.ones((3, 2), np.float32), images, {}).to_frame()
    assert list(frame.path) == list(images.paths) and list(frame.label.dropna()) == ["cat", "dog"]
    assert pandas.isna(frame.loc[1, "label"])


def test_without_pandas_there_is_a_pip_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingDependency, match=r"pip install 'devise-vse\[pandas\]'"):
        TABLE.to_frame()
