"""The server on a port: uvicorn, in one process or in several behind the same port."""

from collections.abc import Callable
from functools import partial
from typing import Any

from devise.errors import require
from devise.web.limits import Limits

GRACE = 3  # seconds for answers under way when the server is stopped
STUCK = 60  # seconds after which a process that says nothing is replaced


class Server:
    """An app on a port, which is held from the start, so that its number can be told.

    Args:
        app: what `devise.web.app` gave; for several processes a function that gives it, which each of them calls and
            pickle can send there.
        port: 0 takes any that is free.
        limits: a Limits, of the whole server.
        workers: processes; each has its own copy of the app, and one that dies is replaced.
    Raises:
        OSError: if the port can't be had.
    """

    def __init__(self, app: Any | Callable[[], Any], *, host: str = "127.0.0.1", port: int = 8000,
                 limits: Limits | None = None, workers: int = 1):
        uvicorn = require("uvicorn", "web")
        require("h11", "web")
        connections = (limits or Limits()).shared(workers).connections
        config = uvicorn.Config(app, factory=workers > 1, workers=workers, host=host, port=port,
                                http="devise.web.protocol:Impatient", ws="none", lifespan="on", log_level="warning",
                                access_log=False, server_header=False, proxy_headers=False,
                                limit_concurrency=connections, timeout_graceful_shutdown=GRACE,
                                timeout_worker_healthcheck=STUCK)
        try:
            self._listening = config.bind_socket()
        except SystemExit:  # which uvicorn raises once its log has said why
            raise OSError(f"{host}:{port} can't be had: is another server there? choose another --port") from None
        self._listening.listen()  # who asks before `run` waits
        self.port = self._listening.getsockname()[1]
        if workers > 1:
            self._processes = require("uvicorn.supervisors", "web").Multiprocess(config, [self._listening])
            self._run, self._stop = self._processes.run, self._processes.should_exit.set
        else:
            server = uvicorn.Server(config)
            self._run = partial(server.run, [self._listening])
            self._stop = partial(setattr, server, "should_exit", True)

    def run(self) -> None:
        """Answer until `stop`, or a signal that comes to the main thread."""
        with self._listening:
            self._run()

    def stop(self) -> None:
        """Let `run` end, from any thread."""
        self._stop()
