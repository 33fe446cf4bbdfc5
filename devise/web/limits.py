"""How much one asker may ask, and the bodies of uploads read within it."""

import asyncio
import contextlib
from dataclasses import dataclass, replace

from devise.errors import require
from devise.web.answers import Refused


@dataclass(frozen=True)
class Limits:
    """What the server bears.

    Attributes:
        k: pictures, tags or words in one answer.
        text: characters of a query.
        upload_bytes, upload_pixels: of an uploaded picture.
        seconds: for an upload to arrive, and again for its answer.
        uploads: uploads held in memory at once; others wait unread.
        cache_bytes: of small copies of pictures that are kept in memory.
        picture_bytes: of a picture of the index behind a URL, which is fetched to be shown.
        connections: open at once; more are sent away.
    """

    k: int = 200
    text: int = 200
    upload_bytes: int = 20_000_000
    upload_pixels: int = 50_000_000
    seconds: float = 20
    uploads: int = 16
    cache_bytes: int = 64_000_000
    picture_bytes: int = 100_000_000
    connections: int = 1000

    def shared(self, workers: int) -> "Limits":
        """What each of so many processes bears, for the whole to bear this."""
        return replace(self, **{name: -(-value // workers) for name, value in (
            ("uploads", self.uploads), ("cache_bytes", self.cache_bytes), ("connections", self.connections))})


class Gate:
    """So many inside at once; who waits too long is sent away."""

    def __init__(self, places, seconds):
        self._places, self._seconds = asyncio.Semaphore(places), seconds

    @contextlib.asynccontextmanager
    async def place(self):
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            raise busy() from None
        try:
            yield
        finally:
            self._places.release()


def check_length(request, limits):
    """Refuse a request that says itself that its body is too large, before it waits for a place."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.upload_bytes:
        raise _too_large(limits)


async def body(request, limits):
    """The body of a request, in memory, or a refusal as soon as it is known to be too large or too slow."""
    gone = require("starlette.requests", "web").ClientDisconnect
    held = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                held += part
                if len(held) > limits.upload_bytes:
                    raise _too_large(limits)
    except TimeoutError:
        raise Refused(408, "too_slow", f"the picture did not arrive within {limits.seconds:g} seconds") from None
    except gone:  # nobody is there to be told
        raise Refused(400, "gone", "the connection was closed before the picture had arrived") from None
    return bytes(held)


def busy():
    """The refusal of a server that has more to do than it can."""
    return Refused(503, "busy", "the server has more pictures to look at than it can: try again in a moment")


def _too_large(limits):
    return Refused(413, "too_large", f"the picture is larger than {limits.upload_bytes / 1e6:g} MB: send a smaller one")
