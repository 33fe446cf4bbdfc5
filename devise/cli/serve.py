"""A page over an index: `devise serve`."""

from __future__ import annotations

import argparse
import contextlib
import re
import secrets
import time
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import Any

from devise.cli import Answer, Command, opening, options
from devise.cli.terminal import say
from devise.figures import counted
from devise.report import Report

ANYWHERE = ("0.0.0.0", "::")


def port(value: str) -> int:
    """An argument that is a port."""
    if not value.isdecimal() or int(value) > 65535:
        raise argparse.ArgumentTypeError(f"{value!r} is no port: expected 0 to 65535")
    return int(value)


def token(value: str) -> str:
    """An argument that a header and a cookie can hold as it is."""
    if not re.fullmatch(r"[A-Za-z0-9._~-]{8,200}", value):
        raise argparse.ArgumentTypeError("a token has 8 to 200 letters, digits or . _ ~ -")
    return value


def root_path(value: str) -> str:
    """An argument that is a path of a proxy: "/pictures", without a slash at its end."""
    path = "/" + value.strip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) or path.split("/")[1] in ("api", "page", "openapi.json"):
        raise argparse.ArgumentTypeError(f"{value!r} is no path below which a proxy can show the page: expected one "
                                         "such as /pictures, not /api or /page")
    return path


class Serve(Command):
    """A page over an index, or over several as one, and a JSON API beside it.

    Type a word, drop a picture, follow "more like this"; the API has the same verbs (its document:
    /openapi.json, to read: /api). It needs no other host. Only this machine can reach it unless --host says
    otherwise; then a token is asked for, which is printed. Uploads are looked at in memory and not kept.
    An index that is changed meanwhile is served as it was until the server is started again, which then says so.

    --json prints {"address", "seconds"} when it is stopped: where it was, and for how long.
    """

    example = """\
        devise serve index
        devise serve index --port 9000 --max-upload 50
        devise serve holidays archive --workers 4
        devise serve index --root-path /pictures
        devise serve index --host 0.0.0.0 --allow-host pictures.example.org"""
    waits = True

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_index(parser, "served")
        parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                            help="the address to listen at; 0.0.0.0 for all of this machine (default: 127.0.0.1)")
        parser.add_argument("--port", type=port, default=8000, metavar="N", help="0 for any free one (default: 8000)")
        parser.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                            help="another name under which it may be asked; may be given several times")
        parser.add_argument("--workers", type=options.count, default=1, metavar="N",
                            help="processes that answer, each with the model in its memory (default: 1)")
        parser.add_argument("--root-path", type=root_path, metavar="PATH",
                            help="below which a proxy shows the page, such as /pictures")
        parser.add_argument("--token", type=token, metavar="TOKEN",
                            help="that askers must show (default: none on 127.0.0.1, else one that is made)")
        parser.add_argument("--max-upload", type=options.count, default=20, metavar="MB",
                            help="of an uploaded picture (default: 20)")

    def run(self, args: Namespace) -> Answer:
        search = opening.search(args.index)
        from devise import web
        from devise.web.guard import LOOPBACK

        pictures, root = len(search.rows), args.root_path or ""
        limits = web.Limits(upload_bytes=args.max_upload * 1_000_000)
        secret = args.token or (None if args.host in LOOPBACK else secrets.token_urlsafe(24))
        guarded: dict[str, Any] = {
            "limits": limits.shared(args.workers), "hosts": (*LOOPBACK, args.host, *args.allow_host),
            "any_address": args.host in ANYWHERE, "token": secret, "root": root}
        app = web.app(search, **guarded) if args.workers == 1 else partial(
            web.opened, [Path(folder).expanduser().resolve() for folder in args.index], **guarded)
        del search  # where there are several workers each opens it itself
        server = web.Server(app, host=args.host, port=args.port, limits=limits, workers=args.workers)
        name = "127.0.0.1" if args.host in ANYWHERE else args.host
        address = f"http://{f'[{name}]' if ':' in name else name}:{server.port}{root}/"
        since = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            say(f"{counted(pictures, 'picture')} at {address}{f'?token={secret}' if secret else ''}")
            say(f"the API is told at {address}api; Ctrl-C stops the server")
            server.run()
        seconds = round(time.monotonic() - since, 1)
        return Answer(Report(f"stopped after {seconds:,} seconds"), {"address": address, "seconds": seconds})
