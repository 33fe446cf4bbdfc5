"""Ray: processes here or on a cluster that each hold one object, and are asked in turns.

Ray started here listens on the loopback interface only, without dashboard and without usage reports. Ray's own
restarts and its ActorPool are not used: the first spend their tries on a node that is down before Ray has found out
that it is, the second waits for an actor that is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from devise.errors import require

AHEAD = 2  # tasks a process has at hand: it fetches the second while it works on the first
RETRIES = 3  # how often a task is done again whose process died
LOOK = 5  # seconds without an answer after which it is looked at which nodes are there
PATIENCE = 30  # seconds that a worker may wait for room before it is said
STORE_BYTES = 64 * 2**20  # of the object store, a process; Ray takes no less than 75 MB in all
LOCAL = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # the second means loopback


@contextlib.contextmanager
def crew(kind: Callable, *arguments: Any, hello: str, workers: int, agree: Callable | None = None,
         address: str | None = None, cpus: int = 1, gpus: float = 0) -> Iterator[Crew]:
    """A Crew of processes, each with an object kind(*arguments); they end with the block.

    Args:
        hello: the method, without arguments, that a process is asked first, once its object is there.
        workers: how many.
        agree: called with what the first process answered to that, what another one did and its node, to refuse it.
        address: of a cluster, by default what RAY_ADDRESS says, as everywhere in Ray. Without either, or with
            "local", it is Ray on this machine: that which runs in this process, or one for this block. A cluster's
            token is what Ray finds in RAY_AUTH_TOKEN or ~/.ray/auth_token; that of a Ray for this block is not kept.
        cpus, gpus: what a process takes of its machine.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    with _connected(None if address == "local" else address, workers, cpus) as ray:
        seat = ray.remote(_Seat).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0,
                                         max_concurrency=AHEAD, scheduling_strategy="SPREAD")
        gathered = Crew(ray, lambda: seat.remote(kind, arguments), workers, hello, agree, {"CPU": cpus, "GPU": gpus})
        try:
            yield gathered
        finally:
            gathered.end()


class _Seat:
    """A process of Ray: first its node is known, then it makes its object."""

    def __init__(self, kind, arguments):
        self._kind, self._arguments = kind, arguments

    def place(self):
        import ray

        return ray.get_runtime_context().get_node_id()

    def begin(self, hello):
        self._held = self._kind(*self._arguments)
        return getattr(self._held, hello)()

    def do(self, method, task):
        return getattr(self._held, method)(task)


@dataclass(eq=False)
class _Member:
    """A process: the node it is on once it has one, and what it answered to the hello once it has."""

    seat: Any
    node: str | None = None
    greeting: Any = None


@dataclass(eq=False)
class _Job:
    """A task, what a message calls it, and the nodes on which a process died with it at hand."""

    number: int
    task: Any
    called: str
    deaths: list[str] = field(default_factory=list)


class Crew:
    """Processes with one object each. One that dies or can't be reached is replaced, wherever there is room."""

    def __init__(self, ray, begin, size, hello, agree, takes):
        self._ray, self._begin, self._hello, self._agree, self._takes = ray, begin, hello, agree, takes
        self._asked, self._members, self._names = {}, [], {}  # {what is awaited: (member, job or None)}
        self._first, self._placed, self._warned, self._lost = None, time.monotonic(), False, 0
        for _ in range(size):
            self._enlist()

    def gather(self) -> list:
        """What all answer to the hello; those for which there is no room now are not waited for, which is said."""
        while not self._ready() or any(member.node and member.greeting is None for member in self._members) or (
                not self._warned and None in [member.node for member in self._members]):
            self._step()
        return [member.greeting for member in self._ready()]

    def map(self, method: str, tasks: Iterable, *, name: Callable[[Any], str] = str,
            workers: int | None = None) -> Iterator[tuple[int, Any, str]]:
        """Yields (number of the task, what the method returned for it, its node), in the order in which they are done.

        A task whose process was lost is done again by another, after the rest and alone. Tasks are read as processes
        have room, and done by so many of these as `workers` says, by default all.

        Raises:
            ChildProcessError: if processes keep dying over a task, or none can be begun; the node is named.
        """
        queue = (_Job(number, task, name(task)) for number, task in enumerate(tasks))
        again: deque[_Job] = deque()
        while True:
            for member in self._ready()[:workers]:
                held = [job for who, job in self._asked.values() if who is member]
                while len(held) < AHEAD and (job := self._pick(member, held, again, queue)):
                    self._asked[member.seat.do.remote(method, job.task)] = member, job
                    held.append(job)
            if not again and not any(job for _, job in self._asked.values()):
                return
            member, job, answer = self._step(again)
            if job:
                yield job.number, answer, self._named(member.node)

    def end(self) -> None:
        """End the processes."""
        for member in self._members:
            self._ray.kill(member.seat)

    def _ready(self):
        return [member for member in self._members if member.greeting is not None]

    def _enlist(self):
        member = _Member(self._begin())
        self._members.append(member)
        self._asked[member.seat.place.remote()] = member, None

    def _pick(self, member, held, again, queue):
        """The next job of a member: one that was at hand when a process died is done alone, elsewhere if it can."""
        if any(job.deaths for job in held):
            return None
        if (job := next(queue, None)) or held:
            return job
        nodes = {other.node for other in self._ready()}
        for job in again:
            if member.node not in job.deaths or nodes <= set(job.deaths):
                again.remove(job)
                return job
        return None

    def _step(self, again=()):
        """(member, job, answer) of a job that is done; (None, None, None) where something else happened."""
        done, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=LOOK)
        if not done:
            self._look_round(again)
            return None, None, None
        member, job = self._asked[done[0]]
        errors = self._ray.exceptions
        try:
            answer = self._ray.get(done[0])
        except errors.RayTaskError as error:
            what = "failed" if job else "could not start"
            raise ChildProcessError(f"the worker on {self._named(member.node)} {what}: "
                                    f"{type(error.cause).__name__}: {error.cause}") from error.cause
        except errors.RayError as error:
            self._lose(member, again, error)
            return None, None, None
        del self._asked[done[0]]
        if job:
            self._lost = 0
            return member, job, answer
        if member.node is None:
            member.node, self._placed = answer, time.monotonic()
            self._asked[member.seat.begin.remote(self._hello)] = member, None
        else:
            self._first = answer if self._first is None else self._first
            if self._agree:
                self._agree(self._first, answer, self._named(member.node))
            member.greeting = answer
        return None, None, None

    def _lose(self, member, again, error):
        """Give back what a process had at hand, and begin another one."""
        jobs = [job for who, job in self._asked.values() if who is member and job]
        self._asked = {ref: (who, job) for ref, (who, job) in self._asked.items() if who is not member}
        self._members.remove(member)
        self._ray.kill(member.seat)
        self._lost += 1
        nodes = self._nodes()
        for job in jobs:
            job.deaths.append(member.node)
            again.append(job)
            counted = [node for node in job.deaths if node in nodes]  # a node that is gone took all it had with it
            others = {other.node for other in self._ready()} - set(counted)
            if len(counted) > RETRIES and not others:
                where = ", ".join(sorted({self._named(node) for node in counted}))
                raise ChildProcessError(f"a worker died {len(counted)} times with {job.called} at hand, on {where}: a "
                                        "picture there may crash it, or memory is short; the same call goes on "
                                        "behind what is done") from error
        if self._lost > 4 * (RETRIES + 1) * (len(self._members) + 1):
            raise ChildProcessError(f"workers keep dying on {self._named(member.node)} before they do anything: "
                                    f"{error}") from error
        self._enlist()

    def _look_round(self, again):
        """Take members for lost whose node is, and say who waits for room."""
        nodes = self._nodes()
        for member in [member for member in self._members if member.node and member.node not in nodes]:
            self._lose(member, again, ConnectionError(f"{self._named(member.node)} can't be reached"))
        waiting = [member for member in self._members if member.node is None]
        takes = {name: amount for name, amount in self._takes.items() if amount}
        free = self._ray.available_resources()
        if not waiting or time.monotonic() - self._placed < PATIENCE or all(
                free.get(name, 0) >= amount for name, amount in takes.items()):
            return
        has = ", ".join(f"{self._named(node)} has {_amounts(facts['Resources'], takes)}"
                        for node, facts in nodes.items())
        told = (f"{len(waiting)} of {len(self._members)} workers wait for room: each takes {_amounts(takes, takes)}, "
                f"{has or 'there is no node'}")
        fits = any(all(facts["Resources"].get(name, 0) >= amount for name, amount in takes.items())
                   for facts in nodes.values())
        if len(waiting) == len(self._members) and not fits:
            raise ChildProcessError(f"{told}. Ask for less, or add a node; the same call goes on behind what is done")
        if not self._warned:
            warnings.warn(f"{told}; those that have it go on", stacklevel=2)
            self._warned = True

    def _nodes(self):
        """{id: what Ray tells of it} of the nodes that are there."""
        nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
        self._names |= {node: f"{facts['NodeManagerHostname']} ({facts['NodeManagerAddress']})"
                        for node, facts in nodes.items()}
        return nodes

    def _named(self, node):
        if node not in self._names:
            self._nodes()
        return self._names.get(node, "a node that has gone")


def _amounts(resources, names):
    """Resources in a message: "2 CPU and 1 GPU"."""
    return " and ".join(f"{resources.get(name, 0):g} {name}" for name in names)


@contextlib.contextmanager
def _connected(address, workers, cpus):
    """The package, connected; what was started or set for the block is ended with it."""
    with contextlib.ExitStack() as block:
        for name, value in ({} if address else {**LOCAL, "RAY_AUTH_TOKEN": secrets.token_hex(16)}).items():
            if name not in os.environ:  # Ray hands these to its processes
                os.environ[name] = value
                block.callback(os.environ.pop, name, None)
        ray = require("ray", "ray")
        if not ray.is_initialized():
            if address:
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            else:
                folder = block.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
                ray.init(address="local", num_cpus=max(workers * cpus, os.cpu_count() or 1), _temp_dir=folder,
                         object_store_memory=max(2 * STORE_BYTES, workers * STORE_BYTES), include_dashboard=False,
                         log_to_driver=False, logging_level=logging.ERROR)
            block.callback(ray.shutdown)
        yield ray
