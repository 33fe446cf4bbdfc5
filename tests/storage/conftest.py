"""A server on 127.0.0.1 that can be told to misbehave."""

import http.server
import re
import threading

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path; the attributes say what goes wrong, `seen` what was asked."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.modified = content, '"one"', None
        self.ranges = self.says_length = True
        self.cuts = []  # for each coming answer the number of bytes after which it is cut
        self.statuses = []  # for each coming answer an error in its place
        self.shift = 0  # by how many bytes an answer to a range is wrong
        self.redirect = None
        self.seen = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file"

    def handle_error(self, request, address):
        pass  # clients that hang up are the point


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.seen.append(dict(self.headers))
        if server.redirect and self.path == "/file":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.statuses and (status := server.statuses.pop(0)):
            self.send_error(status)
            return
        content, start = server.content, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        known = self.headers.get("If-Range") in (None, server.etag, server.modified)
        if asked and server.ranges and known:
            start = int(asked[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            start += server.shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.modified:
            self.send_header("Last-Modified", server.modified)
        if server.says_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(content[start:] if cut is None else content[start:start + cut])


@pytest.fixture
def serve():
    """A function that starts a server of some bytes; it stops with the test."""
    servers = []

    def start(content):
        servers.append(Server(content))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
