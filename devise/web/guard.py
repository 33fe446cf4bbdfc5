"""At the door: which host was asked, who asks, and the headers that every answer has."""

import hmac
import ipaddress
import json
from dataclasses import asdict
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from devise.web.answers import Failure, Problem

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN = ("/api/health", "/page/page.css", "/page/icon.svg")  # without a token
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI around an app: refuses foreign hosts and askers without the token, answers HEAD as GET.

    A page of another site can make a browser ask here under that site's name (DNS rebinding): only the
    names that are given are answered to.

    Args:
        app: what is guarded.
        hosts: names and addresses under which it may be asked.
        any_address: answer to every address too; it is a name that rebinding needs.
        token: that an asker must show, as `Authorization: Bearer …` or once as `/?token=…`, which a
            cookie remembers; None for none.
        door: HTML for those who come to the page without it.
        root: the path below which a proxy shows the server, "/pictures"; whether it strips that or not.
        service: what answers behind the app, for those who hold the Guard.
    """

    def __init__(self, app, *, hosts=LOOPBACK, any_address=False, token=None, door=b"", root="", service=None):
        self.app, self.token, self.door, self.root, self.service = app, token, door, root, service
        self.hosts, self.any_address = frozenset(host.lower() for host in hosts), any_address
        self.cookie = f"devise_{sha256((token or '').encode()).hexdigest()[:8]}"  # of several servers on one host

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        send = _dressed(send, head=scope["method"] == "HEAD")
        if scope["method"] == "HEAD":
            scope = scope | {"method": "GET"}
        if not self._is_ours(headers.get("host", "")):
            return await _refuse(send, 421, "wrong_host", "this server does not answer under that name: use the "
                                 "address that `devise serve` printed, or start it with --allow-host NAME")
        if self.root and scope["path"] == self.root:
            return await _answer(send, 308, b"", {"location": f"{self.root}/", "cache-control": "no-store"})
        if self.root and scope["path"].startswith(f"{self.root}/"):
            scope = scope | {"path": scope["path"].removeprefix(self.root)}
        if self.token and scope["path"] not in OPEN:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            if scope["path"] == "/" and self._is_token(query.pop("token", "")):
                return await self._welcome(send, query)
            if not self._is_known(headers):
                return await self._turn_away(scope, send)
        return await self.app(scope, receive, send)

    def _is_ours(self, host):
        name = _host_name(host)
        return name in self.hosts or (self.any_address and _is_address(name))

    def _is_token(self, value):
        return hmac.compare_digest(value.encode(), self.token.encode())

    def _is_known(self, headers):
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(shown.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    async def _welcome(self, send, query):
        """Remember the token and go on without it in the address, which may be shared."""
        place = f"{self.root}/?{urlencode(query)}" if query else f"{self.root}/"
        cookie = f"{self.cookie}={self.token}; Path={self.root}/; HttpOnly; SameSite=Lax; Max-Age=2592000"
        await _answer(send, 303, b"", {"location": place, "set-cookie": cookie, "cache-control": "no-store"})

    async def _turn_away(self, scope, send):
        asks = {"www-authenticate": 'Bearer realm="devise"', "cache-control": "no-store"}
        if scope["path"] == "/":
            return await _answer(send, 401, self.door, asks | {"content-type": "text/html; charset=utf-8"})
        return await _refuse(send, 401, "no_token", "show the token that `devise serve` printed, as the header "
                             "Authorization: Bearer TOKEN", asks)


def _host_name(host):
    """The name in a Host header, without the port; an address of IPv6 is in brackets."""
    host = host.strip().lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_address(name):
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _dressed(send, *, head):
    """`send` with the headers that every answer has, and without a body for HEAD."""
    async def dressed(message):
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            new = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there]
            message = message | {"headers": [*message["headers"], *new]}
        elif head and message["type"] == "http.response.body":
            message = message | {"body": b""}
        await send(message)
    return dressed


async def _refuse(send, status, code, message, headers=None):
    body = json.dumps(asdict(Failure(Problem(code, message, [])))).encode()
    await _answer(send, status, body, {"content-type": "application/json", "cache-control": "no-store",
                                       **(headers or {})})


async def _answer(send, status, body, headers):
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status,
                "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
