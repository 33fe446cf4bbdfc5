"""Serves a small index on a free port of 127.0.0.1: `python serves.py HOME` prints the port."""

import sys
import threading
from pathlib import Path

import acts

from devise import web
from devise.search import Search

if __name__ == "__main__":
    world = acts.World(Path(sys.argv[1]))
    server = web.Server(web.app(Search.build(acts.Build(world).model, world.table, engine="exact")), port=0)
    threading.Thread(target=lambda: (sys.stdin.read(), server.stop()), daemon=True).start()  # until we are let go
    print(server.port, flush=True)
    server.run()
