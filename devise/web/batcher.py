"""One thread for the network: pictures that arrive together go through it together."""

import contextlib
import queue
import threading
from concurrent.futures import Future

import numpy as np

BATCH = 8  # a Backbone computes so many at a time, whether they are there or not
WAITING = 64
PATIENCE = 5  # seconds for what waits when it is closed


class Full(Exception):
    """More pictures wait than the batcher takes."""


class Batcher:
    """Features of pictures, a Future each, computed by one thread in batches.

    Args:
        backbone: a function that gives the Backbone, called by that thread for each batch.
        waiting: pictures that may wait.
    """

    def __init__(self, backbone, waiting=WAITING):
        self._backbone, self._waiting = backbone, waiting
        self._queue = self._thread = None
        self._starting = threading.Lock()

    def submit(self, picture):
        """The Future of the features, float32 (dim,), of a picture as the backbone's `prepare` gives it.

        Raises:
            Full: if too many wait already.
        """
        future = Future()
        with self._starting:
            if self._thread is None:
                self._queue = queue.Queue(self._waiting)
                thread = threading.Thread(target=self._work, args=[self._queue], name="devise-network", daemon=True)
                thread.start()  # before it has its name here, since `close` can come from another thread
                self._thread = thread
            try:
                self._queue.put_nowait((picture, future))
            except queue.Full:
                raise Full from None
        return future

    def close(self):
        """End the thread, once what waits is done; one that is loading a network is left to itself."""
        with self._starting:
            thread, jobs, self._thread = self._thread, self._queue, None
        if thread:
            jobs.put(None)
            thread.join(PATIENCE)

    def _work(self, waiting):
        ended = False
        while not ended:
            jobs = [waiting.get()]
            with contextlib.suppress(queue.Empty):
                while jobs[-1] is not None and len(jobs) < BATCH:
                    jobs.append(waiting.get_nowait())
            ended = jobs[-1] is None
            self._answer([job for job in jobs if job is not None and job[1].set_running_or_notify_cancel()])

    def _answer(self, jobs):
        if not jobs:
            return
        try:
            rows = self._backbone().features(np.stack([picture for picture, _ in jobs]))
        except Exception as error:  # whatever it is, those who wait must hear of it
            for _, future in jobs:
                future.set_exception(error)
            return
        for (_, future), row in zip(jobs, rows, strict=True):
            future.set_result(row)
