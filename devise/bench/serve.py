"""A real server under many clients at once: requests served, errors, patience needed, memory before and after."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from devise.machine import memory

CLIENTS, SECONDS = 200, 60
ALONE = 5  # seconds for which one client asks before the others come
WARM = 0.1  # the share of the time after which memory is taken for the first time
ENOUGH = 60  # seconds for the server to be there, and for an answer
MIX = {"text": 0.45, "picture": 0.2, "tags": 0.1, "words": 0.05, "image": 0.15, "upload": 0.05}
WORDS = ("animal", "ocean", "music", "food", "red", "house", "flower", "ship", "old", "unknwon")
DATA = ("each client asks again as soon as it is answered, on one connection; clients and server share the "
        "processors; an upload is a copy of a picture of the index")


def run(*, path, n=CLIENTS, seconds=SECONDS, seed=0, progress=None):
    """Serve an index in a process of its own and ask it from n clients at once.

    Args:
        path: the folder of an index.
        n: clients.
        seconds: for how long.
        seed: of what is asked.
        progress: called with (seconds gone, seconds).
    Returns:
        {"bench": "serve", "rows": [{"asked", "requests", "errors", "p50_ms", "p99_ms", "most_ms", "alone_p50_ms" (of
        one client, before the others come)}], "ratios": {"memory": the resident memory at the end over that after
        a tenth of the time}}, and
        "clients", "seconds", "requests_per_second", "memory_mb" {"warm", "end", "most"}, "statuses", "mix", "data".
    Raises:
        OSError: if the server does not start.
    """
    server, port = start_server(path)
    try:
        asyncio.run(_ready(port))
        alone = drive(port, clients=1, seconds=min(ALONE, seconds), seed=seed, pid=server.pid)["rows"]
        document = drive(port, clients=n, seconds=seconds, seed=seed, pid=server.pid, progress=progress)
    finally:
        server.terminate()
        server.wait()
    document["rows"] = [row | {"alone_p50_ms": one["p50_ms"]} for row, one in zip(document["rows"], alone, strict=True)]
    return {"bench": "serve", **document, "mix": MIX, "data": DATA}


def drive(port, *, clients=CLIENTS, seconds=SECONDS, seed=0, pid=None, progress=None):
    """Ask the server on a port of this machine from many clients; see `run`.

    Args:
        pid: of the server's process, whose memory is watched; None for the memory of this one.
    """
    return asyncio.run(_drive(port, clients, seconds, seed, pid, progress))


async def _drive(port, clients, seconds, seed, pid, progress):
    n = (await fetched(port, "/api/info"))["pictures"]
    started, asked, held = time.monotonic(), [], []
    watching = asyncio.create_task(_watch(started, seconds, pid, held, progress))
    await asyncio.gather(*(_client(port, np.random.default_rng([seed, number]), n, started + seconds, asked)
                           for number in range(clients)))
    took = time.monotonic() - started
    await watching
    held.append(memory(pid)[0])
    rows = [_row(kind, [one for one in asked if kind in (one[0], "all")]) for kind in (*MIX, "all")]
    warm = held[int(len(held) * WARM)]
    statuses = {str(status): sum(one[1] == status for one in asked) for status in sorted({one[1] for one in asked})}
    return {"rows": rows, "ratios": {"memory": held[-1] / warm}, "clients": clients, "seconds": took,
            "requests_per_second": len(asked) / took, "statuses": statuses,
            "memory_mb": {"warm": warm / 1e6, "end": held[-1] / 1e6, "most": max(held) / 1e6}}


async def _client(port, random, n, until, asked):
    """Ask until the time is over; appends (kind, status, milliseconds), the status 0 where there was no answer."""
    reader = writer = None
    while time.monotonic() < until:
        kind = str(random.choice(list(MIX), p=list(MIX.values())))
        since = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            status = await asyncio.wait_for(_asked(reader, writer, kind, random, n), ENOUGH)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            status = 0
        asked.append((kind, status, 1e3 * (time.monotonic() - since)))
        if status == 0 and writer is not None:
            writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()


async def _asked(reader, writer, kind, random, n):
    """The status of one request of a kind; an unknown word is to be answered by 404."""
    row, word = int(random.integers(n)), WORDS[int(random.integers(len(WORDS)))]
    body = b""
    if kind == "upload":
        status, body = await _exchange(reader, writer, "GET", f"/api/pictures/{row}/image")
        if status != 200:
            return status
    address = {"text": f"/api/by-text?k=24&text={word}", "picture": f"/api/by-picture?k=24&id={row}",
               "tags": f"/api/tags?id={row}", "words": f"/api/by-word?word={word}",
               "image": f"/api/pictures/{row}/image", "upload": "/api/by-picture?k=24"}[kind]
    return (await _exchange(reader, writer, "POST" if body else "GET", address, body))[0]


async def _exchange(reader, writer, method, address, body=b""):
    """(status, body) of one request on an open connection."""
    head = f"{method} {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    writer.write((head + ("Content-Type: image/jpeg\r\n" if body else "") + "\r\n").encode() + body)
    await writer.drain()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(length)


async def fetched(port, address):
    """The JSON that the server on a port of this machine answers to an address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    status, body = await _exchange(reader, writer, "GET", address)
    writer.close()
    if status != 200:
        raise OSError(f"the server answered {status} to {address}")
    return json.loads(body)


async def _ready(port):
    """Wait until the server can look at uploads too."""
    until = time.monotonic() + ENOUGH
    while (await fetched(port, "/api/health"))["network"] == "loading" and time.monotonic() < until:
        await asyncio.sleep(0.2)


async def _watch(started, seconds, pid, held, progress):
    while (gone := time.monotonic() - started) < seconds:
        held.append(memory(pid)[0])
        if progress:
            progress(int(gone), int(seconds))
        await asyncio.sleep(min(1, seconds / 20))


def _row(kind, asked):
    waited = [one[2] for one in asked]
    p50, p99 = np.percentile(waited, [50, 99]) if waited else (float("nan"), float("nan"))
    return {"asked": kind, "requests": len(asked), "errors": sum(not _as_expected(*one[:2]) for one in asked),
            "p50_ms": float(p50), "p99_ms": float(p99), "most_ms": float(max(waited, default=float("nan")))}


def _as_expected(kind, status):
    return status == 200 or (status == 404 and kind in ("text", "words"))  # of the word that is none


def start_server(path):
    """(process, port) of a server over an index."""
    server = subprocess.Popen([sys.executable, "-m", "devise", "serve", str(Path(path)), "--port", "0"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = []
    for line in server.stderr:
        said.append(line)
        if " pictures at http://" in line:
            # what it says from now on must be read, or a full pipe would hold it up
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return server, int(line.rpartition(":")[2].strip(" /\n"))
    server.wait()
    server.stderr.close()
    raise OSError(f"the server did not start: {''.join(said[-3:]).strip()}")
