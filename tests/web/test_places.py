"""Several indexes, several processes, a proxy before them, and an index or a picture that does not answer."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

import devise
from devise.search import Search
from devise.web.limits import Limits

TOKEN = "a-token-of-some-length"


def test_each_picture_says_which_index_it_is_from(ask, both):
    client = ask(both)
    assert client.get("/api/info").json()["indexes"] == ["one", "two"]
    found = client.get("/api/by-picture?id=7&k=79").json()
    assert found["picture"]["index"] == "one" and found["matches"][0]["id"] == 47
    assert {match["id"] for match in found["matches"]} == set(range(80)) - {7}
    assert all(match["index"] == ("one" if match["id"] < 40 else "two") for match in found["matches"])
    names = {client.get(f"/api/pictures/{row}").json()["name"] for row in (7, 47)}
    assert len(names) == 2
    assert all(client.get(f"/api/pictures/{row}/image").status_code == 200 for row in (7, 47))


def test_a_picture_that_is_in_two_indexes_is_one(ask, folders, search, vocabulary, tmp_path):
    shutil.copytree(folders[0], tmp_path / "again")
    twice = Search.load(folders[0], tmp_path / "again", words=vocabulary)
    twice.model = search.model
    client = ask(twice)
    assert client.get("/api/info").json()["pictures"] == 40
    shown = client.get("/api/pictures?k=80").json()
    assert shown["total"] == 40 and {picture["id"] for picture in shown["pictures"]} == set(range(40))
    found = client.get("/api/by-picture?id=3&k=80").json()
    assert {match["id"] for match in found["matches"]} == set(range(40)) - {3} and found["total"] == 40
    assert client.get("/api/by-picture?id=43").status_code == 404


def test_an_index_whose_files_went_away_is_said(ask, folders, search, vocabulary):
    opened = Search.load(folders[0], words=vocabulary)
    opened.model = search.model
    client = ask(opened)
    assert client.get("/api/health").json()["status"] == "ok"
    shutil.move(folders[0], folders[0].with_name("away"))
    for address in ("/api/by-picture?id=3", "/api/pictures", "/api/info"):
        answer = client.get(address)
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "no_index"
        assert "no longer where they were" in answer.text and str(folders[0]) not in answer.text
    health = client.get("/api/health")
    assert health.status_code == 503 and "no longer" in health.json()["reason"]
    assert health.json()["status"] == "unhealthy"
    shutil.move(folders[0].with_name("away"), folders[0])
    assert client.get("/api/health").json()["status"] == "ok"
    assert client.get("/api/by-picture?id=3").status_code == 200
    assert not client.get("/api/health").json()["outdated"]


def test_an_index_that_was_saved_anew_is_served_as_it_was_and_told_of(ask, folders, search, vocabulary, tmp_path,
                                                                      caplog):
    folder = tmp_path / "index"
    shutil.copytree(folders[0], folder)
    opened = Search.load(folder, words=vocabulary)
    opened.model = search.model
    client = ask(opened)
    assert client.get("/api/health").json()["outdated"] is False and not caplog.messages
    changed = Search.load(folder, words=vocabulary)
    changed.remove(changed.images.paths[0])
    changed.save(folder)
    for _ in range(2):
        assert client.get("/api/by-picture?id=0&k=80").json()["total"] == 40
    assert client.get("/api/health").json() == {"status": "ok", "network": "ready", "reason": None, "outdated": True}
    assert caplog.messages == ["the index was saved anew: what it was is served until the server is started again"]


def test_a_database_that_does_not_answer_is_said(client, search, monkeypatch):
    def fail(*asked, **options):
        raise ConnectionError("milvus at 10.0.0.7 does not answer")

    monkeypatch.setattr(search.indexes["raw"], "search", fail)
    answer, health = client.get("/api/by-picture?id=3"), client.get("/api/health")
    assert answer.status_code == health.status_code == 503
    assert "database" in answer.json()["error"]["message"] and "10.0.0.7" not in answer.text + health.text


@pytest.fixture
def far(search):
    """The search with its pictures behind URLs, of which the first is gone and the second too large."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    for row, path in enumerate(search.images.paths):
        system.pipe_file(f"/shown/{path}", search.images.file(row).read_bytes())
    system.rm(f"/shown/{search.images.paths[0]}")
    system.pipe_file(f"/shown/{search.images.paths[1]}", bytes(200_001))
    paths = tuple(f"memory://shown/{path}" for path in search.images.paths)
    yield Search(search.model, replace(search.images, root=None, paths=paths), search.indexes)
    system.rm("/shown", recursive=True)


def test_pictures_behind_urls_are_fetched_and_their_place_is_not_told(ask, far, search, monkeypatch):
    client = ask(far, limits=Limits(picture_bytes=200_000))
    assert client.get("/api/pictures/5").json()["name"] == search.images.paths[5]
    for size in ("small", "large"):
        answer = client.get(f"/api/pictures/5/image?size={size}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
    assert client.get("/api/pictures/0/image").json()["error"]["code"] == "missing_file"
    large = client.get("/api/pictures/1/image")
    assert large.json()["error"]["code"] == "unreadable_file" and "memory://" not in large.text

    def fail(url, most):
        raise OSError(f"{url} can't be fetched: no credentials")

    monkeypatch.setattr("devise.storage.read_url", fail)
    answer = client.get("/api/pictures/6/image")
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "unreachable_picture"
    assert "memory" not in answer.text
    monkeypatch.setattr(far, "thumbnail", lambda row: b"a thumbnail")
    kept = client.get("/api/pictures/6/image?size=large")
    assert kept.content == b"a thumbnail" and kept.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("strips", [True, False])
def test_below_a_path_of_a_proxy_whether_it_strips_it_or_not(ask, strips):
    client, before = ask(root="/pictures", token=TOKEN), "" if strips else "/pictures"
    answer = client.get(f"{before}/?token={TOKEN}&q=cat", follow_redirects=False)
    assert answer.headers["location"] == "/pictures/?q=cat" and "Path=/pictures/;" in answer.headers["set-cookie"]
    known = {"authorization": f"Bearer {TOKEN}"}
    page = client.get(f"{before}/", headers=known).text
    assert 'src="/pictures/page/page.js"' in page and not re.search(r'(src|href|action)="/(?!pictures/)', page)
    door = client.get(f"{before}/", headers={"cookie": ""})
    assert 'action="/pictures/"' in door.text or door.status_code == 200
    assert client.get(f"{before}/page/page.js", headers=known).status_code == 200
    assert client.get(f"{before}/api/pictures/3", headers=known).json()["image"].startswith("/pictures/api/pictures/3/")
    assert client.get(f"{before}/openapi.json", headers=known).json()["servers"] == [{"url": "/pictures"}]
    assert 'href="/pictures/openapi.json"' in client.get(f"{before}/api", headers=known).text
    assert client.get("/pictures", follow_redirects=False).headers["location"] == "/pictures/"
    assert client.get("/picturesque", headers=known).status_code == 404


def test_what_a_server_bears_is_dealt_out():
    shared = Limits(uploads=5, connections=100, cache_bytes=10).shared(3)
    assert (shared.uploads, shared.connections, shared.cache_bytes, shared.k) == (2, 34, 4, Limits().k)


def workers_of(server):
    """The process ids of a server's workers."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="there is no /proc to see processes in")
def test_two_processes_answer_and_one_that_dies_is_replaced(folders, search):
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "devise", "serve", str(folders[0]), "--workers", "2", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(devise.__file__).parents[1]) as server:
        try:
            address = re.search(r"http://\S+/", server.stderr.readline())[0]
            threading.Thread(target=server.stderr.read, daemon=True).start()

            def name(row):  # who asks while none is ready waits
                return json.load(urllib.request.urlopen(f"{address}api/pictures/{row}", timeout=120))["name"]

            assert [name(row) for row in range(4)] == list(search.images.paths[:4])
            before = workers_of(server)
            assert len(before) == 2
            os.kill(min(before), signal.SIGKILL)
            assert [name(row) for row in range(4)] == list(search.images.paths[:4])
            until = time.monotonic() + 120
            while len(now := workers_of(server)) < 2 or min(before) in now:
                assert time.monotonic() < until and server.poll() is None
                time.sleep(0.1)
            assert max(before) in now and name(5) == search.images.paths[5]
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode in (0, 130)
