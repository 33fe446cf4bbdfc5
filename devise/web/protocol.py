"""HTTP over h11 as uvicorn speaks it, with patience that ends: each process of a server loads it by its name."""

import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10  # for the head of a request; uvicorn alone would wait for ever


class Impatient(H11Protocol):
    """Closes a connection whose request does not get on."""

    _late = None

    def connection_made(self, transport):
        super().connection_made(transport)
        # asyncio does so only where the listening socket names its protocol, and uvicorn's does not: the body of
        # an answer, written after its head, would wait 40 ms for the asker to confirm the head
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
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
