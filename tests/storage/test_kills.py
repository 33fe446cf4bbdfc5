"""A writer that is killed, and readers beside one: the old state or the new, never a mixture."""

import inspect
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from devise import storage

ROOT = Path(__file__).parents[2]

# generation after generation
WRITER = """
import itertools, sys

print("ready", flush=True)
for number in itertools.count(int(sys.argv[2])):
    commit(sys.argv[1], number)
"""

# the same for each line that comes, from the number in it, in a process whose id is told first
WRITERS = """
import itertools, os, sys

for line in sys.stdin:
    if not (writer := os.fork()):
        print(os.getpid(), flush=True)
        for number in itertools.count(int(line)):
            commit(sys.argv[1], number)
    os.waitpid(writer, 0)
    print("gone", flush=True)
"""

# commits that end their process, as a kill does, before its first step on the disk, its second, … until one is whole
CRASHES = """
import os, sys
from pathlib import Path

def counted(function):
    def call(*arguments, **options):
        global steps
        if steps == last:
            os._exit(9)
        steps += 1
        return function(*arguments, **options)
    return call

for last in range(100):
    folder = Path(sys.argv[1]) / str(last)
    commit(folder, 0)
    if not (child := os.fork()):
        steps = 0
        os.replace, os.link, os.fsync = map(counted, (os.replace, os.link, os.fsync))
        Path.touch, Path.unlink = map(counted, (Path.touch, Path.unlink))
        commit(folder, 1)
        os._exit(0)
    if not os.waitpid(child, 0)[1]:
        sys.exit()
sys.exit("none was whole")
"""


def commit(folder, number):
    """Write a generation: its number is in the document and in every file."""
    with storage.Commit(folder, "thing", {"number": number}) as writer:
        for name in ("a.bin", "b.txt"):
            writer.file(name).write_text(f"{number} " * 5000)


def script(folder, text):
    """A program of its own that can `commit` too."""
    path = folder / "script.py"
    path.write_text(f"from devise import storage\n\n{inspect.getsource(commit)}\n{text}", encoding="utf-8")
    return path


def python(path, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(path), *map(str, arguments)], env=environment,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def number_in(folder):
    """The generation that lies in a folder, once every file of it is found to belong to it."""
    document, paths = storage.open_artefact(folder, "thing")
    assert set(paths) == {"a.bin", "b.txt"}
    for name, path in paths.items():
        assert path.read_text(encoding="utf-8") == f"{document['number']} " * 5000
        assert storage.digest(path) == document["files"][name]["sha256"]
    return document["number"]


def test_a_writer_killed_at_random_moments(tmp_path):
    """20 kills: the old or the new state each time, and the next writer goes on from it."""
    path, folder, moments = script(tmp_path, WRITERS), tmp_path / "t", random.Random(0)
    commit(folder, 0)
    number = 0
    with python(path, folder) as writers:
        for _ in range(20):
            print(number + 1, file=writers.stdin, flush=True)
            writer = int(writers.stdout.readline())
            time.sleep(moments.uniform(0, 0.05))
            os.kill(writer, signal.SIGKILL)
            assert writers.stdout.readline() == "gone\n"
            assert number_in(folder) >= number
            number = number_in(folder)
    assert any(folder.glob(".partial-*")), "no kill fell into a commit: the test proves nothing"
    commit(folder, number + 1)
    assert number_in(folder) == number + 1


def test_a_writer_that_ends_before_each_of_its_steps(tmp_path):
    with python(script(tmp_path, CRASHES), tmp_path / "t") as writers:
        assert writers.wait() == 0
    states = []
    for last in range(len(list((tmp_path / "t").iterdir()))):
        folder = tmp_path / "t" / str(last)
        states.append(number_in(folder))
        commit(folder, 2)
        assert number_in(folder) == 2
        assert len(list(folder.glob("[!.]*"))) == 3, "a generation that no manifest names was left"
    assert len(states) > 10 and states == sorted(states) and set(states) == {0, 1}


def test_readers_beside_a_writer_see_whole_states(tmp_path):
    path, folder = script(tmp_path, WRITER), tmp_path / "t"
    commit(folder, 0)
    seen = [0]
    with python(path, folder, 1) as writer:
        try:
            while len(set(seen)) < 25:
                try:
                    seen.append(number_in(folder))
                except FileNotFoundError as error:  # swept between open_artefact and our reading: ask again
                    assert "make the thing again" not in str(error)
        finally:
            writer.kill()
    assert seen == sorted(seen)
