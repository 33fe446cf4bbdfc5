"""The server on a port: uvicorn, with patience that ends."""

from typing import Any

from devise.errors import require
from devise.web.limits import Limits

HEADER_SECONDS = 10  # for the head of a request; uvicorn alone would wait for ever
GRACE = 3  # seconds for answers under way when the server is stopped


class Server:
    """An app on a port, which is held from the start, so that its number can be told.

    Args:
        app: what `devise.web.app` gave.
        port: 0 takes any that is free.
        limits: a Limits.
    Raises:
        OSError: if the port can't be had.
    """

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 8000, limits: Limits | None = None):
        uvicorn = require("uvicorn", "web")
        config = uvicorn.Config(app, host=host, port=port, http=_protocol(), ws="none", lifespan="on",
                                log_level="warning", access_log=False, server_header=False, proxy_headers=False,
                                limit_concurrency=(limits or Limits()).connections, timeout_graceful_shutdown=GRACE)
        try:
            self._listening = config.bind_socket()
        except SystemExit:  # which uvicorn raises once its log has said why
            raise OSError(f"{host}:{port} can't be had: is another server there? choose another --port") from None
        self._listening.listen()  # who asks before `run` waits
        self._server = uvicorn.Server(config)
        self.port = self._listening.getsockname()[1]

    def run(self) -> None:
        """Answer until `stop`, or a signal that comes to the main thread."""
        with self._listening:
            self._server.run(sockets=[self._listening])

    def stop(self) -> None:
        """Let `run` end, from any thread."""
        self._server.should_exit = True


def _protocol():
    """uvicorn's HTTP over h11, which closes a connection whose request does not get on."""
    h11 = require("h11", "web")
    base = require("uvicorn.protocols.http.h11_impl", "web").H11Protocol

    class Impatient(base):
        _late = None

        def connection_made(self, transport):
            super().connection_made(transport)
            self._watch()

        def data_received(self, data):
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:  # the head is complete
                self._forget()
            elif self._late is None:
                self._watch()

        def connection_lost(self, error):
            self._forget()
            super().connection_lost(error)

        def _watch(self):
            self._late = self.loop.call_later(HEADER_SECONDS, self.transport.close)

        def _forget(self):
            if self._late:
                self._late.cancel()
                self._late = None

    return Impatient
