"""What a notebook shows: pictures within the page, bounded, and nothing of a file's name read as HTML."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from devise import notebook
from devise.model import Tag, TaggedImages, Tags
from devise.report import Report, Table
from devise.search import Match, Results

HOSTILE = '"><script>alert(1)</script>&lt;'


class Page(HTMLParser):
    """The tags and the text of some HTML; a tag that is closed by another is refused."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(source)
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def picture(tmp_path):
    """A wide noisy picture: the worst case of JPEG."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 1200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def test_a_thumbnail_is_small_and_keeps_its_shape(picture):
    source = notebook.thumbnail(picture)
    kind, content = source.split(",", 1)
    assert kind == "data:image/jpeg;base64" and len(source) < 20_000
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (notebook.SIDE, notebook.SIDE // 2)


def test_a_file_that_is_no_picture_has_none(tmp_path):
    (tmp_path / "x.png").write_text("<script>")
    assert notebook.thumbnail(tmp_path / "x.png") == notebook.thumbnail(tmp_path) == ""


def test_search_results_show_their_pictures(picture):
    found = Results(HOSTILE, "shared", (Match(0, "noise.png", HOSTILE, 0.5), Match(1, "gone.png", None, 0.25)),
                    root=picture.parent)
    page = Page(found._repr_html_())
    assert [tag for tag, _ in page.tags if tag == "script"] == []
    assert len(page.all("img")) == 1 and page.all("img")[0]["src"] == notebook.thumbnail(picture)
    assert HOSTILE in page.text and "0.500" in page.text and "gone.png" in page.text and "0.250" in page.text


def test_a_query_without_a_match_says_so():
    found = Results("x.png", "learnt", (Match(0, "a.png", None, 0.25),), threshold=0.8, known=False)
    assert "no match, the best is below 0.800" in Page(found._repr_html_()).text


def test_tags_beneath_their_pictures(picture):
    tagged = TaggedImages([Tags([Tag("crab", 0.831), Tag(HOSTILE, 0.5)], picture=picture), Tags([Tag("cat", 0.2)])])
    page = Page(tagged._repr_html_())
    assert len(page.all("img")) == 1 and page.all("script") == []
    assert "crab 0.83" in page.text and f"{HOSTILE} 0.50" in page.text and "cat 0.20" in page.text
    assert Page(tagged[0]._repr_html_()).all("img") == page.all("img")


def test_many_pictures_are_counted_instead(picture):
    many = TaggedImages([Tags([Tag("crab", 0.5)], picture=picture)] * (notebook.MOST + 1234))
    page = many._repr_html_()
    assert page.count("<img") == notebook.MOST and "and 1,234 more" in page
    assert len(page) < notebook.MOST * 20_000


def test_nothing_of_a_name_is_read_as_html():
    table = Table((HOSTILE, "a"), [(HOSTILE, 0.5), ("b_c|d", None)], HOSTILE, (HOSTILE,))
    page = Page(Report(HOSTILE, {HOSTILE: HOSTILE}, (table,), (HOSTILE,))._repr_html_())
    assert page.all("script") == [] and page.text.count(HOSTILE) == 8 and "b_c|d" in page.text
    assert len(page.all("tr")) == 5 and len(page.all("td")) == 6
