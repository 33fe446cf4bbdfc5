import hashlib

import pytest

from devise.datasets import catalog

CONTENT = b"weights" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def entry(monkeypatch):
    """Adds a small set to the catalogue; its checksum may be unknown."""
    def add(checksum=f"sha256:{SHA256}"):
        small = catalog.Entry(name="small", what="some weights", url="http://127.0.0.1:9/small.h5",
                              size=len(CONTENT), checksum=checksum, established="here", licence="CC0",
                              root="pretrained", target="small.h5")
        monkeypatch.setitem(catalog.ENTRIES, "small", small)
    return add


def test_the_list_says_where_each_set_goes_and_whether_it_is_here(answer, devise, home):
    (home / "pretrained").mkdir(parents=True)
    (home / "pretrained" / "glove.6B.50d.txt").write_text("cat 1\n")
    sets = {entry["name"]: entry for entry in answer("fetch")["sets"]}
    assert set(sets) == set(catalog.ENTRIES)
    [caltech101] = sets["caltech101"]["targets"]
    assert caltech101 == {"dim": None, "path": str(home / "data" / "caltech101"), "here": False}
    assert [target["here"] for target in sets["glove-6b"]["targets"]] == [True, False, False, False]
    for name, entry in sets.items():
        known = catalog.ENTRIES[name]
        assert (entry["size"], entry["licence"]) == (known.size, known.licence)

    shown = devise("fetch").out
    rows = {line.split()[0]: line.split()[1:4] for line in shown.splitlines() if line.strip()}
    assert rows["caltech101"] == ["137.4", "MB", "no"] and rows["glove-6b"] == ["862.2", "MB", "50-d"]
    assert "licence CC BY 4.0; goes to" in " ".join(shown.split()) and "glove.6B.<dim>d.txt" in shown


def test_a_file_brought_by_hand_is_checked_and_put_in_its_place(answer, devise, entry, home, tmp_path):
    entry()
    (tmp_path / "brought.h5").write_bytes(CONTENT)
    document = answer("fetch", "small", "--from", tmp_path / "brought.h5")
    told = {"name": "small", "path": str(home / "pretrained" / "small.h5"), "sha256": None}
    assert told.items() <= document.items()
    assert (home / "pretrained" / "small.h5").read_bytes() == CONTENT
    assert devise("fetch", "small").out == f"small is in {home / 'pretrained' / 'small.h5'}\n"


def test_a_wrong_file_is_refused(devise, entry, home, tmp_path):
    entry()
    (tmp_path / "brought.h5").write_bytes(CONTENT[::-1])
    ran = devise("fetch", "small", "--from", tmp_path / "brought.h5")
    assert ran.code == 1 and "another file, or a damaged one" in ran.err
    assert not (home / "pretrained" / "small.h5").exists()


def test_without_a_known_checksum_it_tells_the_one_it_got(answer, devise, entry, tmp_path):
    entry(checksum=None)
    (tmp_path / "brought.h5").write_bytes(CONTENT)
    assert answer("fetch", "small", "--from", tmp_path / "brought.h5")["sha256"] == SHA256
    assert f"its sha256 is {SHA256}" in devise("fetch", "small", "--from", tmp_path / "brought.h5").out


def test_without_a_network_it_says_how_to_bring_the_file(devise, entry):
    entry()
    ran = devise("fetch", "small")
    assert ran.code == 1 and "devise fetch small --from FILE" in ran.err and "Traceback" not in ran.err
