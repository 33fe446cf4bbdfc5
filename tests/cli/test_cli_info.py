"""devise info, over a home that is empty and then is not."""

import numpy as np

from devise import __version__, backbones, index
from devise.errors import DISTRIBUTION, pip_line
from devise.words import NAMES, WordVectors
from devise.words.readers import at_hand


def test_what_is_there_and_how_to_bring_the_rest(answer, home, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(home))
    found = answer("info")
    assert found["devise"] == __version__ and any("cpu" in device for device in found["devices"])
    assert found["folders"] == {"home": str(home), "data": str(home / "data"), "pretrained": str(home / "pretrained")}
    rows = {kind: {row["name"]: row for row in found[kind]} for kind in ("backbones", "words", "engines")}
    assert tuple(rows["backbones"]) == backbones.names() and tuple(rows["engines"]) == index.engines()
    assert rows["engines"]["exact"]["here"] and not rows["backbones"]["vgg16"]["here"]
    for kind in rows.values():
        assert all(row["here"] == (row["bring"] == "") == (row["place"] is not None) for row in kind.values())
    assert rows["words"]["glove-6b-300d"]["bring"] == "devise fetch glove-6b --dim 300"


def test_an_engine_without_its_package(answer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "annoy", None)
    row = next(row for row in answer("info")["engines"] if row["name"] == "annoy")
    assert not row["here"] and row["bring"].startswith("pip install 'devise-vse[annoy]'")


def test_the_extras_of_the_installed_distribution(answer, tmp_path, monkeypatch):
    installed = tmp_path / f"{DISTRIBUTION.replace('-', '_')}-{__version__}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {__version__}\nRequires-Dist: keras\n"
        "Requires-Dist: numpy>=1; extra == 'small'\nRequires-Dist: pillow; extra == 'large'\n"
        "Requires-Dist: no-such-package>=2; extra == 'large'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert answer("info")["extras"] == [
        {"name": "large", "here": False, "lacks": ["no-such-package"], "bring": pip_line("large")},
        {"name": "small", "here": True, "lacks": [], "bring": ""}]


def test_the_text_has_one_line_for_those_that_come_in_one_way(devise):
    ran = devise("info")
    assert "glove-6b-300d" in ran.out and "devise fetch glove-6b --dim 300" in ran.out
    assert ran.out.count("--backbone NAME with internet") <= 2


def test_words_at_hand(home):
    assert at_hand("glove-6b-300d") is None
    text = home / "pretrained" / NAMES["glove-6b-300d"]
    text.parent.mkdir(parents=True)
    text.write_text("cat 1 2\n")
    assert at_hand("glove-6b-300d") == text
    WordVectors(["cat"], np.ones((1, 2))).save(home / "elsewhere")
    text.unlink()
    assert at_hand("glove-6b-300d") is None
