"""The command that serves: what it tells, which token it wants, how it ends."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(monkeypatch):
    """A server that is stopped by Ctrl-C as soon as it runs; the applications it was given."""
    web = pytest.importorskip("devise.web")
    pytest.importorskip("fastapi")
    given = []

    class Stopped:
        def __init__(self, app, *, host, port, limits, workers):  # as of devise.web.Server
            given.append((app, host, limits))
            self.port = port or 45678

        def run(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(web, "Server", Stopped)
    return given


def test_alone_on_this_machine_it_asks_no_token(devise, index, server):
    ran = devise("serve", index, "--port", 9000, "--max-upload", 3)
    assert ran.code == 0 and "40 pictures at http://127.0.0.1:9000/\n" in ran.err and "stopped after" in ran.out
    app, host, limits = server[0]
    assert (app.token, host, limits.upload_bytes) == (None, "127.0.0.1", 3_000_000)
    assert app.hosts == {"127.0.0.1", "localhost", "::1"} and not app.any_address


def test_a_picture_of_two_indexes_is_counted_once(devise, index, server, tmp_path):
    both = index, shutil.copytree(index, tmp_path / "copy")
    assert "40 pictures at http://" in devise("serve", *both).err
    assert devise("search", *both, "--text", "cat").out.startswith("40 pictures in ")
    assert " of 40 pictures in " in devise("duplicates", *both).out


def test_seen_from_elsewhere_it_makes_one(devise, index, server):
    for host in ("0.0.0.0", "192.168.0.4"):
        ran = devise("serve", index, "--host", host, "--port", 0, "--allow-host", "pictures.example.org")
        token = re.search(r"http://[\d.]+:45678/\?token=(\S{32})\n", ran.err)[1]
        app = server.pop()[0]
        assert app.token == token and app.any_address == (host == "0.0.0.0") and "pictures.example.org" in app.hosts
    assert devise("serve", index, "--token", "my-own-token").code == 0 and server[0][0].token == "my-own-token"


def test_json_is_printed_when_it_ends(devise, index, server):
    ran = devise("serve", index, "--port", 9000, "--json")
    assert {"address", "seconds"} <= set(json.loads(ran.out))


@pytest.mark.parametrize("argv, said", [
    (["--port", "65536"], "65536' is no port"), (["--token", "short"], "8 to 200 letters"),
    (["--token", "with; semicolon"], "8 to 200 letters"), (["--max-upload", "0"], "whole number"),
    (["--root-path", "/api/v1"], "no path below which"), (["--root-path", "a b"], "no path below which")])
def test_wrong_usage(devise, argv, said):
    ran = devise("serve", "index", *argv)
    assert ran.code == 2 and said in ran.err


def test_there_must_be_an_index(devise):
    ran = devise("serve", "nowhere")
    assert ran.code == 1 and "nowhere does not exist" in ran.err


def test_control_c_ends_a_server_that_runs(index):
    pytest.importorskip("fastapi")
    argv = [sys.executable, "-m", "devise", "serve", str(index), "--port", "0", "--json"]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=os.environ | {"PYTHONPATH": str(ROOT)},
                              # the shell of a suite in the background lets it ignore the signal
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    said = server.stderr.readline()
    address = re.search(r"40 pictures at (http://127.0.0.1:\d+/)", said)[1]
    server.stderr.readline()
    server.send_signal(signal.SIGINT)
    out, _ = server.communicate(timeout=60)
    assert server.returncode == 0 and json.loads(out)["address"] == address


def test_several_processes_open_the_index_themselves(devise, index, server):
    """What they are sent is small: folders and what the guard and the limits are."""
    ran = devise("serve", index, "--workers", 4, "--port", 9000, "--root-path", "pictures/", "--token", "my-own-token")
    assert ran.code == 0 and "http://127.0.0.1:9000/pictures/?token=my-own-token" in ran.err
    make, _, limits = server[0]
    app = pickle.loads(pickle.dumps(make))()
    assert (app.token, app.root, len(app.service.search)) == ("my-own-token", "/pictures", 40)
    assert app.service.limits.uploads == limits.uploads // 4
    with pytest.raises(SystemExit):
        make.func([index / "nowhere"])
