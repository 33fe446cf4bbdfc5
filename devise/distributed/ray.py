"""Ray: processes here or on a cluster that each hold one object, and are asked in turns.

Ray started here listens on the loopback interface only, without dashboard and without usage reports.
"""

import contextlib
import logging
import os
import tempfile

from devise.errors import require

AHEAD = 2  # tasks a process has at hand: it fetches the second while it works on the first
RETRIES = 3  # how often a task is done again whose process died
STORE_BYTES = 64 * 2**20  # of the object store, a process; Ray takes no less than 75 MB in all
LOCAL = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # the second means loopback


@contextlib.contextmanager
def crew(kind, *arguments, workers, address=None, cpus=1, gpus=0):
    """A Crew of processes, each with an object kind(*arguments); they end with the block.

    Args:
        workers: how many.
        address: of a cluster; None is Ray on this machine: that which runs in this process, or one for this block.
        cpus, gpus: what a process takes of its machine.
    Raises:
        MissingDependency: if Ray is not installed.
        ConnectionError: if there is no cluster at the address.
    """
    with _connected(address, workers, cpus) as ray:
        actor = ray.remote(kind).options(num_cpus=cpus, num_gpus=gpus, max_restarts=-1, max_task_retries=RETRIES,
                                         max_concurrency=AHEAD)
        members = [actor.remote(*arguments) for _ in range(workers)]
        try:
            yield Crew(ray, members)
        finally:
            for member in members:
                ray.kill(member)


class Crew:
    """Processes with one object each."""

    def __init__(self, ray, members):
        self._ray, self._members = ray, members

    def __len__(self):
        return len(self._members)

    def first(self, n):
        """The first n of these processes."""
        return Crew(self._ray, self._members[:n])

    def ask(self, method):
        """What a method without arguments returns, of every process."""
        return [self._answer(asked, "nothing yet") for asked in
                [getattr(member, method).remote() for member in self._members]]

    def map(self, method, tasks, *, name=str):
        """Yields (number of the task, what the method returned for it), in the order in which they are done.

        A task whose process died is done again by the one that takes its place.

        Args:
            tasks: iterable; read as processes have room.
            name: what to call a task in a message.
        Raises:
            RuntimeError: if processes keep dying over a task.
        """
        waiting, running = iter(enumerate(tasks)), {}

        def begin(member):
            for number, task in waiting:
                running[getattr(member, method).remote(task)] = member, number, name(task)
                break

        for member in self._members * AHEAD:
            begin(member)
        while running:
            (done,), _ = self._ray.wait(list(running), num_returns=1)
            member, number, called = running.pop(done)
            yield number, self._answer(done, called)
            begin(member)

    def _answer(self, done, called):
        errors = self._ray.exceptions
        try:
            return self._ray.get(done)
        except errors.RayActorError as error:
            if getattr(error, "actor_init_failed", False):
                raise RuntimeError(f"a worker could not start: {str(error).strip().splitlines()[-1]}") from error
            raise RuntimeError(f"a worker died {RETRIES + 1} times with {called} at hand: a picture there may crash "
                               "it, or memory is short; the same call goes on behind what is done") from error
        except errors.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None


@contextlib.contextmanager
def _connected(address, workers, cpus):
    """The package, connected; what was started for the block is ended with it."""
    with _environment({} if address else LOCAL):
        ray = require("ray", "ray")
        if ray.is_initialized():
            yield ray
            return
        with contextlib.ExitStack() as block:
            if address:
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            else:
                folder = block.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
                ray.init(num_cpus=max(workers * cpus, os.cpu_count() or 1), include_dashboard=False, _temp_dir=folder,
                         object_store_memory=max(2 * STORE_BYTES, workers * STORE_BYTES), log_to_driver=False,
                         logging_level=logging.ERROR)
            block.callback(ray.shutdown)
            yield ray


@contextlib.contextmanager
def _environment(values):
    """Environment variables for the block, where they are not set; Ray hands them to its processes."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
