"""The application: the API with its OpenAPI document, the page, and the guard around both."""

import asyncio
import contextlib
import hashlib
import logging
import mimetypes
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from devise import __version__
from devise.errors import require
from devise.machine import cpus
from devise.web import reference, routes
from devise.web.answers import Failure, Problem, Refused
from devise.web.guard import LOOPBACK, Guard
from devise.web.limits import Gate, Limits, body, busy, check_length
from devise.web.service import Service

if TYPE_CHECKING:
    from devise.search import Search

LOG = logging.getLogger("devise.web")
PAGE = Path(__file__).parent / "page"
ABOUT = """Pictures by words, words by pictures, pictures by pictures, over one index.

Scores are cosines, higher is better, best first. An error has the body
`{"error": {"code", "message", "suggestions"}}`."""
CODES = {400: "bad_request", 404: "unknown_address", 405: "wrong_method", 415: "wrong_type", 422: "wrong_value"}
PICTURES_AT_ONCE, QUERIES_AT_ONCE = 2, min(4, cpus())  # threads
WAITING_AT_ONCE = 16  # threads that wait for a database, or for a picture behind a URL
HEALTH_SECONDS = 5  # for a sign of life of the index
RELOAD = 3  # the exit code of a process that can't begin: uvicorn starts no other in its place


def app(search: "Search", *, limits: Limits | None = None, hosts: Iterable[str] = LOOPBACK,
        any_address: bool = False, token: str | None = None, root: str = "") -> Guard:
    """An ASGI application over a Search.

    Args:
        search: a `devise.search.Search`, which must not change while it is served.
        limits: a `devise.web.Limits`.
        hosts, any_address, token, root: see `devise.web.guard.Guard`.
    Returns:
        the application; its attribute `service` is the Service behind it.
    Raises:
        MissingDependency: if FastAPI is not installed.
    """
    fastapi = require("fastapi", "web")
    limits = limits or Limits()
    service = Service(search, limits, root)
    desk = Desk(service)

    @contextlib.asynccontextmanager
    async def lifespan(api):
        # a product by all processors, under each of several queries at once, is mostly threads that wait for others
        with contextlib.closing(desk), threadpool_limits(max(1, cpus() // QUERIES_AT_ONCE), user_api="blas"):
            warming = asyncio.get_running_loop().run_in_executor(desk.pictures, service.warm)
            # health tells of a failure; asked for, so that asyncio does not print it
            warming.add_done_callback(lambda done: done.cancelled() or done.exception())
            yield

    api = fastapi.FastAPI(
        title="devise", version=__version__, description=ABOUT, docs_url=None, redoc_url=None, lifespan=lifespan,
        servers=[{"url": root}] if root else None,
        responses={"4XX": {"model": Failure, "description": "Not answered"},
                   503: {"model": Failure, "description": "Busy, or the index does not answer"}})
    api.add_exception_handler(Refused, lambda request, error: _failure(fastapi, error.status, error.problem))
    api.add_exception_handler(fastapi.exceptions.RequestValidationError, lambda request, error: _failure(
        fastapi, 422, Problem("wrong_value", _wrong(error.errors()), [])))
    api.add_exception_handler(404, lambda request, error: _plain(fastapi, error))
    api.add_exception_handler(405, lambda request, error: _plain(fastapi, error))
    api.add_exception_handler(Exception, lambda request, error: _failure(fastapi, 500, Problem(
        "internal", "something went wrong here; the server's log says what", [])))
    api.include_router(routes.of(desk))
    _add_page(api, root)
    return Guard(api, hosts=hosts, any_address=any_address, token=token, root=root, service=service,
                 door=_below(root, (PAGE / "door.html").read_text(encoding="utf-8")).encode())


def opened(folders: Sequence[str | Path], **options: Any) -> Guard:
    """The `app` over the index in a folder, or in several as one, for a process that begins with it.

    Raises:
        SystemExit: if they can't be opened; the log says why.
    """
    from devise.search import Search

    try:
        return app(Search.load(*folders), **options)
    except (OSError, ValueError) as error:
        LOG.error("%s", error)
        raise SystemExit(RELOAD) from None


class Desk:
    """Where requests to a Service wait for one of few threads, and uploads for room in memory."""

    def __init__(self, service):
        self.service, self.limits = service, service.limits
        self._open()
        self._gate = Gate(self.limits.uploads, self.limits.seconds)

    def _open(self):
        self.pictures = ThreadPoolExecutor(PICTURES_AT_ONCE, "devise-picture")
        self._queries = ThreadPoolExecutor(WAITING_AT_ONCE if self.service.asks_database else QUERIES_AT_ONCE,
                                           "devise-query")
        self._fetches = ThreadPoolExecutor(WAITING_AT_ONCE, "devise-fetch")
        self._probes, self._probe = ThreadPoolExecutor(1, "devise-health"), None

    def close(self):
        """Drop what waits, and end the threads; what is asked afterwards begins new ones."""
        ended = self.pictures, self._queries, self._fetches, self._probes
        self._open()
        for pool in ended:
            pool.shutdown(wait=False, cancel_futures=True)
        self.service.close()

    async def ask(self, verb, *args):
        """What a verb of the service answers."""
        return await asyncio.get_running_loop().run_in_executor(self._queries, self.service.asked, verb, *args)

    async def copy(self, row, size):
        """A small copy of a picture."""
        renditions = self.service.renditions
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await asyncio.get_running_loop().run_in_executor(
                    self._fetches if renditions.is_far(row) else self.pictures, renditions.get, row, size)
        except TimeoutError:
            raise Refused(503, "unreachable_picture", f"picture {row} could not be had within "
                          f"{self.limits.seconds:g} seconds") from None

    async def health(self):
        """Health; it waits for a sign of life of the index, and not for long."""
        if self._probe is None or self._probe.done():  # one that hangs is not asked again
            self._probe = self._probes.submit(self.service.probe)
        waiting = asyncio.wrap_future(self._probe)
        done, _ = await asyncio.wait([waiting], timeout=HEALTH_SECONDS)
        reason = waiting.result() if done else f"the index has said nothing for {HEALTH_SECONDS} seconds"
        return self.service.health(reason)

    async def features(self, request):
        """The features of the picture in the body of a request; nothing of it is kept but these."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (kind.startswith("image/") or kind == "application/octet-stream"):
            raise Refused(415, "wrong_type", f"the content-type is {kind or 'missing'}: send the picture's file as "
                          "the body, with a content-type such as image/jpeg")
        check_length(request, self.limits)
        async with self._gate.place():
            content = await body(request, self.limits)
            try:
                async with asyncio.timeout(self.limits.seconds):
                    digest, picture = await asyncio.get_running_loop().run_in_executor(
                        self.pictures, self.service.prepared, content)
                    features = picture if picture is None else await asyncio.wrap_future(
                        self.service.computing(picture))
            except TimeoutError:
                raise busy() from None
        return self.service.remembered(digest, features)


def _below(root, html):
    """HTML whose addresses begin with the path below which a proxy shows the server."""
    return html.replace('="/', f'="{root}/')


def _add_page(api, root):
    """The page's few files, held in memory: no path from a request is ever opened."""
    import fastapi

    files = {path.name: (path.read_bytes(), mimetypes.guess_type(path.name)[0]) for path in PAGE.iterdir()}
    files |= {name: (_below(root, content.decode()).encode(), kind) for name, (content, kind) in files.items()
              if name.endswith(".html")}
    etags = {name: f'"{hashlib.sha256(content).hexdigest()[:20]}"' for name, (content, _) in files.items()}

    def file(request, name):
        headers = {"etag": etags[name], "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == etags[name]:
            return fastapi.Response(status_code=304, headers=headers)
        content, kind = files[name]
        return fastapi.Response(content, media_type=kind, headers=headers)

    @api.get("/", include_in_schema=False)
    def page(request: fastapi.Request):
        return file(request, "index.html")

    @api.get("/page/{name}", include_in_schema=False)
    def part(request: fastapi.Request, name: str):
        if name not in files:
            raise Refused(404, "unknown_address", "there is no such file")
        return file(request, name)

    @api.get("/api", include_in_schema=False)
    def documentation():
        html = _below(root, reference.page(api.openapi()))
        return fastapi.responses.HTMLResponse(html, headers={"cache-control": "no-cache"})


def _failure(fastapi, status, problem, headers=None):
    headers = {"cache-control": "no-store", **({"retry-after": "1"} if status == 503 else {}), **(headers or {})}
    return fastapi.responses.JSONResponse(asdict(Failure(problem)), status, headers)


def _plain(fastapi, error):
    """An error that the framework raised by itself, in the form of ours."""
    message = "there is nothing at this address: /api lists what is" if error.status_code == 404 else str(error.detail)
    return _failure(fastapi, error.status_code, Problem(CODES[error.status_code], message, []), error.headers)


def _wrong(errors):
    """Validation errors in a line."""
    return "; ".join(f"{error['loc'][-1]}: {error['msg'][:1].lower()}{error['msg'][1:]}" for error in errors[:3])
