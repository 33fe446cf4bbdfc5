"""Many clients at once on a real server: the measurement's own arithmetic, and not one wrong answer."""

import copy
import os
from types import SimpleNamespace

import pytest

from devise.bench import serve


def test_each_request_is_answered_and_counted(served):
    port = int(served().rpartition(":")[2])
    document = serve.drive(port, clients=30, seconds=0.5)
    rows = {row["asked"]: row for row in document["rows"]}
    assert set(rows) == {*serve.MIX, "all"} and rows["all"]["errors"] == 0
    assert rows["all"]["requests"] == sum(rows[kind]["requests"] for kind in serve.MIX) >= 30
    assert sum(document["statuses"].values()) == rows["all"]["requests"]
    assert set(document["statuses"]) <= {"200", "404"}
    assert rows["all"]["p50_ms"] <= rows["all"]["p99_ms"] <= rows["all"]["most_ms"]
    assert document["memory_mb"]["most"] >= document["memory_mb"]["end"] > 0


def test_one_client_asks_before_the_others(served, monkeypatch):
    server, asked, drive = SimpleNamespace(pid=os.getpid(), terminate=list, wait=list), [], serve.drive

    def driven(port, *, clients, **options):
        asked.append((clients, drive(port, clients=clients, **options)))
        return copy.deepcopy(asked[-1][1])

    monkeypatch.setattr(serve, "start_server", lambda path: (server, int(served().rpartition(":")[2])))
    monkeypatch.setattr(serve, "drive", driven)
    rows = serve.run(path="index", n=3, seconds=0.25)["rows"]
    (one, alone), (many, crowd) = asked
    assert (one, many) == (1, 3) and [row["requests"] for row in rows] == [row["requests"] for row in crowd["rows"]]
    assert str([row["alone_p50_ms"] for row in rows]) == str([row["p50_ms"] for row in alone["rows"]])  # nan too


def test_errors_are_counted(served, search):
    for row in range(40):
        search.images.file(row).unlink()  # no copy can be made of any picture
    document = serve.drive(int(served().rpartition(":")[2]), clients=20, seconds=0.4)
    rows = {row["asked"]: row for row in document["rows"]}
    assert rows["image"]["errors"] == rows["image"]["requests"] and rows["picture"]["errors"] == 0
    assert rows["all"]["errors"] == rows["image"]["errors"] + rows["upload"]["errors"] > 0


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(OSError, match="holds no index"):
        serve.run(path=tmp_path)


def test_the_command_wants_an_index(capsys):
    from devise.cli import main

    assert main(["bench", "serve"]) == 2 and "required: --path" in capsys.readouterr().err
    assert sum(serve.MIX.values()) == pytest.approx(1)
