"""A process that does acts in copies of itself, and kills them when told to.

`python forks.py HOME` reads one order a line from stdin, as JSON, and answers each with one line. Each order has the
"act" it is about, one of `acts.make`'s, and
    {"do": "act", "folder": …, "number": n}                 → {"exit": 0, "answer": …, "seconds": …, "steps": …}
    {"do": "act", …, "seconds": s} or {"do": "act", …, "step": k}   killed after s seconds, or before its k-th step
    {"do": "act", …, "room": bytes a file may have, "clock": seconds ahead, "ordinary": true}   under that constraint
    {"do": "look" or "kept", "folder": …}                   → {"exit": 0, "answer": …}
    {"do": "crowd", "folder": …, "readers": r, "looks": l}  → readers that look l times, and on until they saw a
                                                               rebuild, while one process acts again and again
    {"do": "race", "folder": …, "writers": w, "acts": a}    → writers that act at once

A copy takes milliseconds to start, since the libraries are loaded already.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import acts
import rights

PATIENCE = 60  # seconds in which a busy machine has rebuilt once


class Steps:
    """Counts what a process does to the files below a folder, and kills it before a given step.

    A file that is opened for writing anew counts twice: before it, and while it is empty.
    """

    EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}

    def __init__(self, folder, last=None):
        self.folder, self.last, self.count = str(folder), last, 0
        sys.addaudithook(self.hook)

    def hook(self, event, arguments):
        if event not in self.EVENTS or not isinstance(arguments[0], (str, os.PathLike)):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            return
        if os.fspath(arguments[0]).startswith(self.folder):
            self.step()
            if event == "open" and arguments[2] & os.O_TRUNC:
                self.step(empty=arguments[0])

    def step(self, empty=None):
        if self.count == self.last:
            if empty:
                self.last = None
                os.close(os.open(empty, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


def copied(function, kill_after=None):
    """What a function returns in a copy of this process: (exit code, answer or traceback, seconds)."""
    read, write = os.pipe()
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        code = 1
        try:
            answer, code = function(), 0
        except BaseException:
            answer = traceback.format_exc()
        with contextlib.suppress(BrokenPipeError):
            os.write(write, json.dumps(answer).encode()[-60_000:])
        os._exit(code)
    os.close(write)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    with open(read, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), json.loads(answer) if answer else None, time.perf_counter() - start


def started(function):
    """A copy that does a function, as its pid; a traceback goes to stderr."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def constrain(order):
    """Take from this copy what an order says it shall not have: room, rights, the right time."""
    if "room" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["room"], order["room"]))
    if "clock" in order:
        now = time.time
        time.time = lambda: now() + order["clock"]
    if order.get("ordinary"):
        rights.give_up()


def act(thing, folder, order):
    def done():
        constrain(order)
        steps = Steps(folder, order.get("step"))
        answer = thing.act(folder, order["number"])
        return [answer, steps.count]

    code, answer, seconds = copied(done, order.get("seconds"))
    answer, steps = answer if code == 0 else (answer, None)
    return {"exit": code, "answer": answer, "seconds": seconds, "steps": steps}


def look(thing, folder, order):
    def done():
        constrain(order)
        return getattr(thing, order["do"])(folder)

    code, answer, _ = copied(done)
    return {"exit": code, "answer": answer}


def crowd(thing, folder, order):
    """Readers beside a writer: how many of them failed, and how many generations were written meanwhile."""
    def read():
        seen, until = [thing.look(folder)], time.monotonic() + PATIENCE
        while len(seen) < order["looks"] or (seen[-1] == order["number"] and time.monotonic() < until):
            seen.append(thing.look(folder))
        assert None not in seen and seen == sorted(seen), seen

    def write():
        number = order["number"]
        while True:
            number += 1
            thing.act(folder, number)

    writer = started(write)
    readers = [started(read) for _ in range(order["readers"])]
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in readers)
    alive = os.waitpid(writer, os.WNOHANG) == (0, 0)
    if alive:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    return {"failed": failed, "alive": alive, "answer": look(thing, folder, {"do": "look"})["answer"]}


def race(thing, folder, order):
    """Processes that make the same artefact at once: how many failed, and which generation is there."""
    def write(place):
        for turn in range(order["acts"]):
            thing.act(folder, order["number"] + (turn if order["same"] else turn * order["writers"] + place))
            assert thing.look(folder) is not None

    writers = [started(lambda place=place: write(place)) for place in range(order["writers"])]
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in writers)
    return {"failed": failed, **look(thing, folder, {"do": "look"})}


def main(home):
    world, things = acts.World(Path(home)), {}
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        name = order["act"]
        if name not in things:
            things[name] = acts.make(name, world)
        do = {"act": act, "look": look, "kept": look, "touch": look, "crowd": crowd, "race": race}[order["do"]]
        print(json.dumps(do(things[name], Path(order["folder"]), order)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
