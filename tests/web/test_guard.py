"""Who may ask, what an upload may be, and that no path from a request is opened."""

import asyncio
import contextlib
import functools
import json
import re
import socket
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import pytest

from devise import web

PAGE = Path(web.__file__).parent / "page"
PNG = {"content-type": "image/png"}
TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("address", [
    "/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/....//app.py", "/page//etc/passwd",
    "/page/%2fetc%2fpasswd", "/page/", "/page/app.py", "/page/page.js%00.css", "/..%5capp.py", "/etc/passwd",
    "/api/pictures/..%2f..%2fsetup.py/image", "/api/pictures/0/image/../../../../etc/passwd",
    "/api/pictures/%2fetc%2fpasswd/image", "/api/pictures/cat%2f0.png/image"])
def test_no_path_from_a_request_is_opened(reader, address, monkeypatch):
    client = reader()
    client.get("/api/pictures/0/image")
    opened = []
    monkeypatch.setattr("devise.web.renditions.read_image", lambda path, **options: opened.append(path))
    answer = client.get(address)
    assert answer.status_code in (404, 422) and answer.json()["error"] and not opened
    assert "import" not in answer.text and "root:" not in answer.text


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("localhost:8000", 200), ("LOCALHOST", 200), ("[::1]:80", 200), ("evil.example", 421),
    ("localhost.evil.example", 421), ("10.0.0.7", 421), ("", 421), ("127.0.0.1.evil.example:8000", 421)])
def test_only_its_own_names_are_answered_to(reader, host, status):
    assert reader().get("/api/health", headers={"host": host}).status_code == status


@pytest.mark.parametrize("host, status", [("10.0.0.7:8000", 200), ("[fe80::1]", 200), ("pictures.example.org", 200),
                                          ("evil.example", 421), ("10.0.0.7.evil.example", 421)])
def test_bound_wider_addresses_and_given_names_are_answered_to(reader, host, status):
    client = reader(hosts=("localhost", "Pictures.example.org"), any_address=True)
    assert client.get("/api/health", headers={"host": host}).status_code == status


def test_without_the_token_there_is_a_door(ask):
    client = ask(token=TOKEN)
    for address in ("/api/info", "/api/by-text?text=cat", "/api/pictures/0/image", "/openapi.json", "/page/page.js",
                    "/nothing"):
        answer = client.get(address)
        assert answer.status_code == 401 and answer.json()["error"]["code"] == "no_token"
        assert "Bearer" in answer.headers["www-authenticate"]
    door = client.get("/")
    assert door.status_code == 401 and 'name="token"' in door.text
    assert client.get("/page/page.css").status_code == client.get("/api/health").status_code == 200
    assert client.post("/api/by-picture", content=b"x", headers=PNG).status_code == 401


@pytest.mark.parametrize("headers, status", [
    ({"authorization": f"Bearer {TOKEN}"}, 200), ({"authorization": f"bearer  {TOKEN}"}, 200),
    ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401), ({"authorization": TOKEN}, 401),
    ({"authorization": "Bearer "}, 401), ({"cookie": f"devise={TOKEN}"}, 401), ({"cookie": "\"';=;;"}, 401),
    ({"authorization": "Bearer \xff\xfe"}, 401)])
def test_the_token_is_shown_in_a_header(reader, headers, status):
    headers = {name: value.encode("latin-1") for name, value in headers.items()}
    assert reader(token=TOKEN).get("/api/info", headers=headers).status_code == status


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(ask):
    client = ask(token=TOKEN)
    answer = client.get(f"/?token={TOKEN}&q=red+cat&k=8", follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/?q=red+cat&k=8"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert client.get("/api/info").status_code == client.get("/").status_code == 200  # the client has kept it
    assert ask(token=TOKEN).get("/?token=wrong").status_code == 401
    other = ask(token=TOKEN + "2")
    other.cookies.update(client.cookies)
    assert other.get("/api/info").status_code == 401
    assert ask(token=TOKEN).get(f"/api/info?token={TOKEN}").status_code == 401  # only the page takes it there


@pytest.mark.parametrize("address", ["/", "/page/page.js", "/api", "/api/info", "/api/pictures/0/image", "/nothing",
                                     "/api/by-text"])
def test_every_answer_has_the_headers_that_browsers_heed(reader, address):
    client = reader()
    for answer in (client.get(address), client.get(address, headers={"host": "evil.example"})):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cache-control"] if answer.status_code == 200 else True


def test_the_page_asks_no_other_host():
    for file in PAGE.iterdir():
        hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}", file.read_text(encoding="utf-8")))
        assert hosts <= {"http://www.w3.org"}, file  # the name of SVG, which nothing fetches
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)  # the policy would refuse them


def test_a_file_that_is_too_large_is_refused_by_its_length_and_while_it_comes(ask):
    client = ask(limits=web.Limits(upload_bytes=1000))
    told = client.post("/api/by-picture", content=b"x" * 1001, headers=PNG)
    streamed = client.post("/api/by-picture", content=iter([b"x" * 600] * 2), headers=PNG)
    for answer in (told, streamed):
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large"
    assert client.post("/api/by-picture", content=b"x" * 1000, headers=PNG).status_code == 422


def test_a_small_file_of_too_many_pixels_is_refused_before_it_is_decoded(reader):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    answer = reader().post("/api/by-picture", content=b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b""), headers=PNG)
    assert answer.status_code == 422
    assert "60,000 x 60,000 pixels, more than 50,000,000" in answer.json()["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                                     b"\xff\xd8\xff\xe0" + b"\0" * 90])
def test_what_is_no_picture_is_refused_in_words(reader, content):
    answer = reader().post("/api/tags", content=content, headers=PNG)
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "unreadable_picture"


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
                                  ""])
def test_what_a_foreign_page_could_send_unasked_is_refused(reader, draw, kind):
    answer = reader().post("/api/by-picture", content=draw(), headers={"content-type": kind})
    assert answer.status_code == 415


def test_an_upload_touches_no_disk(client, monkeypatch, draw):
    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, lambda *asked, **options: pytest.fail("a temporary file"))
    large = draw(size=(1500, 1500), kind="BMP")  # 6.8 MB, beyond what frameworks hold in memory
    assert client.post("/api/by-picture", content=large, headers={"content-type": "image/bmp"}).status_code == 200


def post(app, receive):
    """The status and the document of an upload whose body is what `receive` gives, straight to the app."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
             "path": "/api/by-picture", "raw_path": b"/api/by-picture", "query_string": b"", "root_path": "",
             "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"image/png")], "client": ("127.0.0.1", 1),
             "server": ("127.0.0.1", 80)}
    return app(scope, receive, send), sent


def outcome(sent):
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent[1:]))["error"]["code"]


def test_an_upload_that_does_not_come_is_given_up(search):
    pytest.importorskip("fastapi")
    app = web.app(search, limits=web.Limits(seconds=0.05))

    async def never():
        await asyncio.sleep(3600)

    async def run():
        asking, sent = post(app, never)
        await asking
        return outcome(sent)

    assert asyncio.run(run()) == (408, "too_slow")


def test_uploads_beyond_the_places_wait_and_are_sent_away(search, draw, monkeypatch):
    pytest.importorskip("fastapi")
    app = web.app(search, limits=web.Limits(uploads=1, seconds=600))
    picture, acquire = {"type": "http.request", "body": draw(), "more_body": False}, asyncio.Semaphore.acquire

    async def run():
        held, asked, free, read = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

        async def slow():
            held.set()
            await free.wait()
            return picture

        async def whole():
            read.append(free.is_set())
            return picture

        async def noted(places):
            asked.set()
            return await acquire(places)

        first, said = post(app, slow)
        holder = asyncio.create_task(first)
        await held.wait()
        monkeypatch.setattr(asyncio.Semaphore, "acquire", noted)
        second, answer = post(app, whole)
        waiting = asyncio.create_task(second)
        await asyncio.wait_for(asked.wait(), 60)
        for _ in range(100):  # turns in which the second could have gone on
            await asyncio.sleep(0)
        free.set()
        await holder
        await waiting
        return said[0]["status"], answer[0]["status"], read[0]

    assert asyncio.run(run()) == (200, 200, True)  # the second is read when the first is done

    async def stuck():
        gate = web.limits.Gate(1, 0.05)
        async with gate.place():
            with pytest.raises(web.answers.Refused) as refused:
                async with gate.place():
                    pass
        async with gate.place():
            return refused.value.status

    assert asyncio.run(stuck()) == 503


def test_a_head_that_does_not_come_is_given_up(served, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    monkeypatch.setattr("devise.web.protocol.HEADER_SECONDS", 0.2)
    monkeypatch.setattr(uvicorn, "Config", functools.partial(uvicorn.Config, timeout_keep_alive=0.2))
    port = int(served().rpartition(":")[2])

    async def run():
        ends = []
        whole = b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for start in (b"", b"GET / HTTP/1.1\r\nHost: 127", whole + b"GET /api"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start)
            ends.append(await asyncio.wait_for(reader.read(), 10))  # until the server closes
            writer.close()
        return ends

    nothing, half, second = asyncio.run(run())
    assert nothing == half == b"" and second.startswith(b"HTTP/1.1 200") and second.count(b"HTTP/1.1") == 1


def test_the_body_of_an_answer_does_not_wait_for_its_head(served, monkeypatch):
    """The head and the body are two packets, of which the second would wait for the confirmation of the first."""
    pytest.importorskip("uvicorn")
    from devise.web.protocol import Impatient

    at_once, made = [], Impatient.connection_made

    def noted(protocol, transport):
        made(protocol, transport)
        asked = transport.get_extra_info("socket")
        at_once.append(asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Impatient, "connection_made", noted)
    with socket.create_connection(("127.0.0.1", int(served().rpartition(":")[2]))) as asker:
        asker.sendall(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert asker.recv(12) == b"HTTP/1.1 200"
    assert at_once and all(at_once)


@pytest.mark.parametrize("processors, share", [(1, 1), (5, 2)])
def test_queries_share_the_processors(search, monkeypatch, processors, share):
    """The products of each by a share of them; when the server ends, the process has them all again."""
    testclient, module = pytest.importorskip("fastapi.testclient"), sys.modules["devise.web.app"]
    held = []

    @contextlib.contextmanager
    def limits(threads, *, user_api):
        held.append((threads, user_api))
        yield
        held.pop()

    monkeypatch.setattr(module, "threadpool_limits", limits)
    monkeypatch.setattr(module, "cpus", lambda: processors)
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", 2)
    with testclient.TestClient(web.app(search)):
        assert held == [(share, "blas")]
    assert held == []


def test_a_port_that_is_taken(search, served):
    port = int(served().rpartition(":")[2])
    with pytest.raises(OSError, match=f"127.0.0.1:{port} can't be had"):
        web.Server(web.app(search), port=port)


def test_a_client_that_hangs_up_is_no_error_of_the_server(ask):
    async def hung_up():
        sent = []
        messages = [{"type": "http.request", "body": b"\x89PNG", "more_body": True}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/api/by-picture", "raw_path": b"/api/by-picture",
                 "query_string": b"", "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"image/png")]}
        await ask().app(scope, receive, send)
        return sent[0]["status"]

    assert asyncio.run(hung_up()) == 400


def test_a_file_that_says_it_is_too_large_is_refused_while_all_places_are_taken(ask):
    client = ask(limits=web.Limits(uploads=0, seconds=30, upload_bytes=1000))
    answer = client.post("/api/by-picture", content=bytes(2000), headers=PNG)
    assert answer.status_code == 413
