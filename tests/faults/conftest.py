"""The fault suite: short in `make test`, at full size in `make test-faults` (DEVISE_FAULTS=full)."""

import contextlib
import http.server
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("DEVISE_FAULTS") == "full"
RESULTS = ROOT / "results" / "faults.jsonl"  # a line a trial, appended, so that several processes may write
PROGRAMS = Path(__file__).parent / "programs"
collect_ignore = ["programs"]


@pytest.fixture(scope="session")
def size():
    """A function that chooses between the short and the full number of trials."""
    return lambda short, full: full if FULL else short


@pytest.fixture(scope="session")
def count():
    """A function that prints what a trial counted and, at full size, keeps it for the table of the README."""
    def keep(trial, **counts):
        print(f"\n{trial}: " + ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items()))
        if FULL:
            RESULTS.parent.mkdir(exist_ok=True)
            with open(RESULTS, "a", encoding="utf-8") as lines:
                lines.write(json.dumps({trial: counts}) + "\n")

    return keep


@pytest.fixture(scope="session")
def program():
    """A function that starts a Python program of the folder `programs`, over the package as it lies here."""
    def start(name, *arguments, **options):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                       "PYTHONWARNINGS": "ignore"}
        return subprocess.Popen([sys.executable, str(PROGRAMS / name), *map(str, arguments)],
                                env=environment, text=True, **options)

    return start


class Forks:
    """Speaks with the program forks.py: one order, one answer."""

    def __init__(self, process):
        self.process = process
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        assert line, f"the program ended: {self.process.wait()}"
        return line

    def __call__(self, act, do, folder, **order):
        self.process.stdin.write(json.dumps({"act": act, "do": do, "folder": str(folder), **order}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.read())


@contextlib.contextmanager
def ordered(program, name, home):
    """A program that takes orders, as a Forks, until the block ends."""
    process = program(name, home, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield Forks(process)
    process.stdin.close()
    process.wait(timeout=60)
    process.stdout.close()


@pytest.fixture(scope="session")
def forks(program, tmp_path_factory):
    """A process with all libraries loaded, which does the acts of programs/acts.py in copies of itself."""
    if not hasattr(os, "fork"):
        pytest.skip("processes can't be copied here")
    with ordered(program, "forks.py", tmp_path_factory.mktemp("world")) as orders:
        yield orders


@pytest.fixture(scope="module")
def rays(program, tmp_path_factory):
    """A Ray of this machine and processes that extract over it, to be ordered about as `forks` is."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")
    with ordered(program, "rays.py", tmp_path_factory.mktemp("rays")) as orders:
        yield orders


@pytest.fixture
def memory(tmp_path):
    """A folder in memory where there is one: a kill loses nothing that was written, flushed or not."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


class SlowServer(http.server.ThreadingHTTPServer):
    """Serves /N, 200,004 bytes that begin with the number N, 20 kB every four milliseconds; notes from where."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), SlowAnswer)
        self.stall = None  # after how many bytes it waits for the client to go
        self.asked, self.url = [], f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, address):
        pass  # a client that was killed hangs up


class SlowAnswer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        number = int(self.path.removeprefix("/"))
        content = number.to_bytes(4) + np.random.default_rng(number).bytes(200_000)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(start)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{number}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        for place in range(start, len(content), 20_000):
            self.wfile.write(content[place:place + 20_000])
            time.sleep(0.004)
            while self.server.stall is not None and place > self.server.stall:
                time.sleep(0.01)


@pytest.fixture
def slow_server():
    with SlowServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class Opener:
    """Speaks with the program opens.py: whether something opens, or by what it is refused."""

    def __init__(self, start):
        self.start, self.process = start, None

    def __call__(self, kind, path):
        if self.process is None:
            self.process = self.start()
            assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write(json.dumps([kind, str(path)]) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 120)
        line = self.process.stdout.readline() if ready else ""
        if not line:  # it hangs, or has crashed
            self.end()
        assert line, f"opening {path} as {kind} ended the process, or did not end"
        return json.loads(line)

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
        self.process = None


@pytest.fixture(scope="module")
def opened(program):
    """A function that opens (kind, path) in another process, whose memory is limited."""
    opener = Opener(lambda: program("opens.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    yield opener
    opener.end()
