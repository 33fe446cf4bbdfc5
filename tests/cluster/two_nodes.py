"""Two Ray nodes in network namespaces, and what becomes of an extraction when one of them fails: `python two_nodes.py`.

Each node has a network of its own, joined by a bridge; a node may lack the pictures, be killed, or lose its link. It
needs root, `ip` (iproute2) and `unshare` (util-linux); where they are not, it says so and ends with 0.

One line a case: what failed, with how many nodes, the rows that came, whether they are those of one process, seconds.
The exit code is the number of cases that did not end as they should.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

BRIDGE, NETWORK = "devise-cl", "10.77.93"
PICTURES, SHARD_ROWS = 120, 5
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "PYTHONPATH": os.pathsep.join(
    [str(Path(__file__).parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])}


class Network:
    """A backbone of three numbers a picture, the mean colour, which takes its time."""

    name, layer, dim, weights, trained, fingerprint = "mean", "mean", 3, "none", False, "0" * 64

    def prepare(self, image):
        return np.asarray(Image.fromarray(image).resize((8, 8)))

    def features(self, pictures):
        time.sleep(0.2 * len(pictures))
        return pictures.reshape(len(pictures), -1, 3).mean(axis=1).astype(np.float32)


def sh(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options)


class Node:
    """A Ray node in a namespace; the first is the head."""

    def __init__(self, number, cpus=1, hides=()):
        self.name, self.address, self.cpus, self.hides = f"devise-{number}", f"{NETWORK}.{number}", cpus, hides
        self.veth, self.home, self.process = f"dvs{number}", Path(tempfile.mkdtemp(prefix=f"node{number}-")), None
        self.head = number == 1

    def __enter__(self):
        sh("ip", "netns", "add", self.name)
        sh("ip", "link", "add", self.veth, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        sh("ip", "link", "set", self.veth, "master", BRIDGE, "up")
        for words in (["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                      ["link", "set", "lo", "up"]):
            sh("ip", "-n", self.name, *words)
        role = (["--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={self.home}"] if self.head else
                [f"--address={NETWORK}.1:6379"])
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
               f"--node-ip-address={self.address}", f"--num-cpus={self.cpus}", "--object-store-memory=80000000", *role]
        script = 'for folder in $HIDES; do mount -t tmpfs none "$folder"; done; exec "$@"'
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "-m", "sh", "-c", script, "sh", *ray], start_new_session=True,
            env=os.environ | ENVIRONMENT | {"HIDES": " ".join(map(str, self.hides))}, stderr=subprocess.STDOUT,
            stdout=(self.home / "log").open("w"))
        return self

    def kill(self):
        """All of the node's processes at once, as when its power goes."""
        inside = sh("ip", "netns", "pids", self.name).stdout.split()
        for pid in inside:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def kill_raylet(self):
        """Ray's own process of the node alone."""
        for pid in sh("ip", "netns", "pids", self.name).stdout.split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "raylet":
                os.kill(int(pid), signal.SIGKILL)

    def cut(self):
        """Take the link away."""
        sh("ip", "link", "set", self.veth, "down")

    def __exit__(self, *_):
        self.kill()
        self.process.wait()
        subprocess.run(["ip", "link", "del", self.veth], capture_output=True)  # the name space takes its time to go
        sh("ip", "netns", "del", self.name)
        shutil.rmtree(self.home, ignore_errors=True)


def extract(pictures, folder, workers):
    """In the head's namespace: the run itself."""
    from devise import distributed
    from devise.datasets import from_folder

    distributed.extract(from_folder(pictures), Network, folder, workers=workers, shard_rows=SHARD_ROWS,
                        address=f"{NETWORK}.1:6379",
                        progress=lambda done, total: print(done, flush=True))


def run(head, pictures, folder, workers, after=None, limit=240):
    """(exit code, what it said, seconds) of an extraction; `after` is called when a fifth is done."""
    begun = time.perf_counter()
    words = ["ip", "netns", "exec", head.name, sys.executable, "-W", "always", __file__, "--extract", str(pictures),
             str(folder), "--workers", str(workers)]
    process = subprocess.Popen(words, env=os.environ | ENVIRONMENT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, lines = [], iter(process.stdout.readline, "")
    with contextlib.closing(process.stdout):
        watchdog = subprocess.Popen(["sh", "-c", f"sleep {limit}; kill -9 {process.pid}"], start_new_session=True)
        for line in lines:
            said.append(line)
            if after and line.strip().isdigit() and int(line) >= PICTURES // 5:
                after()
                after = None
        code = process.wait()
        os.killpg(watchdog.pid, signal.SIGKILL)
        watchdog.wait()
    return code, "".join(line for line in said if not line.strip().isdigit()), time.perf_counter() - begun


CASES = {  # name: (CPUs of each node, workers, which node lacks the pictures, what befalls the second, a good end?)
    "nothing": ([1, 1], 2, None, None, True),
    "a node without the pictures": ([1, 1], 2, 2, None, False),
    "raylet killed, no spare": ([1, 1], 2, None, Node.kill_raylet, True),
    "raylet killed, a spare": ([1, 1, 1], 2, None, Node.kill_raylet, True),
    "node killed, no spare": ([1, 1], 2, None, Node.kill, True),
    "node killed, a spare": ([1, 1, 1], 2, None, Node.kill, True),
    "link cut": ([1, 1], 2, None, Node.cut, True),
    "every worker's node killed": ([0, 1], 1, None, Node.kill, False),
    "more workers than CPUs": ([1, 1], 4, None, None, True),
}


def case(name, pictures, table, home):
    """A line on one case, and whether it ended as it should."""
    from devise import features

    cpus, workers, blind, befalls, good = CASES[name]
    with contextlib.ExitStack() as nodes:
        started = [nodes.enter_context(Node(1, cpus[0]))]
        wait_for(started)  # one that finds no head gives up
        for number, of in enumerate(cpus[1:], start=2):  # a node has a session folder of its own, as on a machine
            hides = [started[0].home, *([pictures] if number == blind else [])]
            started.append(nodes.enter_context(Node(number, of, hides)))
        wait_for(started)
        folder = home / name.replace(" ", "-").replace(",", "")
        after = partial(befalls, started[1]) if befalls else None
        code, said, seconds = run(started[0], pictures, folder, workers, after)
    rows = len(features.load(folder)) if (folder / "features.json").exists() else None
    same = rows is not None and np.array_equal(features.load(folder).matrix, table)
    fits = (code == 0 and same) if good else (code not in (0, -9) and rows is None and NETWORK in said)
    last = said.strip().splitlines()[-1][:300] if said.strip() else ""
    print(f"{'ok ' if fits else 'BAD'} {name}: {len(cpus)} nodes, exit {code}, rows {rows}, like one process: {same}, "
          f"{seconds:.0f} s{f' | {last}' if not good or not fits or 'warn' in said.lower() else ''}", flush=True)
    return fits


def wait_for(nodes, limit=180):
    """Until Ray tells of all of them."""
    code = (f"import ray; ray.init(address='{NETWORK}.1:6379', logging_level='ERROR', log_to_driver=False); "
            "print(sum(node['Alive'] for node in ray.nodes()))")
    end = time.monotonic() + limit
    while time.monotonic() < end:
        asked = subprocess.run(["ip", "netns", "exec", nodes[0].name, sys.executable, "-c", code], capture_output=True,
                               text=True, env=os.environ | ENVIRONMENT)
        if asked.stdout.strip() == str(len(nodes)):
            return
        time.sleep(1)
    raise TimeoutError(f"Ray tells of {asked.stdout or asked.stderr[-500:]} of {len(nodes)} nodes after {limit} s")


def lacking():
    """Why the cases can't be run here, or None."""
    from importlib.util import find_spec

    if missing := [name for name in ("ip", "unshare") if not shutil.which(name)]:
        return f"{missing[0]} is not installed (Debian: iproute2, util-linux)"
    if not find_spec("ray"):
        return "ray is not installed"
    made = subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], capture_output=True, text=True)
    return f"no network can be made here ({made.stderr.strip()})" if made.returncode else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of: {'; '.join(CASES)}")
    parser.add_argument("--extract", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.extract:
        return extract(*args.extract, args.workers)
    if reason := lacking():
        print(f"skipped: {reason}")
        return 0
    try:
        sh("ip", "link", "set", BRIDGE, "up")
        with tempfile.TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True) as folder:
            home, pictures, random = Path(folder), Path(folder) / "pictures", np.random.default_rng(0)
            for number in range(PICTURES):
                (pictures / str(number % 3)).mkdir(parents=True, exist_ok=True)
                picture = Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8))
                picture.save(pictures / f"{number % 3}/{number}.png")
            from devise import features
            from devise.datasets import from_folder

            table = features.extract(from_folder(pictures), Network(), home / "local").matrix
            return sum(not case(name, pictures, table, home) for name in args.cases)
    finally:
        sh("ip", "link", "del", BRIDGE)


if __name__ == "__main__":
    sys.exit(main())
