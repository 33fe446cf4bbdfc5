"""Mutates picture files and extracts them: `python pictures.py HOME FILES SEED [ordinary]` ends with a line of JSON.

A file that takes longer than the limit ends the process with a traceback. Told are the files, how
many became rows and how many were listed with a reason, the slowest one and the peak of memory.
"""

import contextlib
import faulthandler
import io
import json
import os
import random
import socket
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import rights
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from conftest import ThumbnailBackbone  # noqa: E402

from devise import features  # noqa: E402
from devise.datasets import (
    base,  # noqa: E402
    from_folder,  # noqa: E402
)
from devise.machine import memory  # noqa: E402

LIMIT = 120  # seconds for a file, on a busy machine
BATCH = 250
ENDINGS = ("jpg", "png", "gif", "webp", "bmp", "tif", "jpeg", "tiff")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height, rows=2000):
    """A PNG of nothing but zeros, transparent ones, a thousandth of the memory that it asks for."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(4 * width + 1)) for _ in range(min(height, rows))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def seeds():
    """Whole files of every kind that is read, small so that a mutation hits something."""
    rng = np.random.default_rng(0)
    plain = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [(plain, "JPEG", {}), (plain, "JPEG", {"progressive": True, "exif": exif}),
             (plain.convert("CMYK"), "JPEG", {}), (plain, "PNG", {}), (plain.quantize(), "PNG", {"transparency": 3}),
             (Image.fromarray(rng.integers(0, 2**16, (24, 32), dtype=np.uint16)), "PNG", {}),
             (plain.convert("RGBA"), "PNG", {"exif": exif}), (plain, "BMP", {}),
             *((plain, kind, {"save_all": True, "append_images": [plain]}) for kind in ("PNG", "GIF", "WEBP", "TIFF")),
             (plain.quantize(), "BMP", {}), (plain, "WEBP", {}), (plain, "WEBP", {"lossless": True, "exif": exif}),
             (plain, "TIFF", {}),
             (plain.convert("1"), "TIFF", {"compression": "group4"}), (plain.convert("F"), "TIFF", {}),
             *((plain, "TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"))]
    for image, kind, options in kinds:
        file = io.BytesIO()
        image.save(file, kind, **options)
        yield file.getvalue()


def mutated(whole, dice):
    """A damaged file: bits, bytes, fields, blocks, its head on another's body, or none of a picture at all."""
    data = bytearray(dice.choice(whole))
    for _ in range(dice.choice((1, 1, 2, 5))):
        place, n = dice.randrange(max(1, len(data))), dice.choice((1, 4, 16, 200))
        match dice.randrange(9):
            case 0:
                for _ in range(dice.choice((1, 8, 64))):
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            case 1:
                del data[place:]
            case 2:
                del data[place:place + n]
            case 3:
                data[place:place] = dice.randbytes(n)
            case 4:
                data[place:place + n] = dice.randbytes(n)
            case 5:
                data[place:place + 4] = dice.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff"))
            case 6:
                data[place:place] = data[place:place + n] * dice.choice((2, 50))
            case 7:
                other = dice.choice(whole)
                data = bytearray(other[:place]) + data[place:]
            case 8:
                head = min(place, 200)
                data[head:head + 2] = struct.pack(dice.choice("<>") + "H", dice.choice((0, 1, 30_000, 65_535)))
        data = data or bytearray(b"\0")
    return bytes(data)


ODD = [b"", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
       b"<!doctype html><script>alert(1)</script>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a\xff\xff\xff\xff",
       b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"BM" + b"\xff" * 50, b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 200,
       b"MM\0*\0\0\0\x08\0\0", b"PK\x03\x04" + bytes(100), bytes(100_000)]


def odd_places(home):
    """What only looks like a file, and names that are hard to write."""
    picture = next(seeds())
    (home / "loop.jpg").symlink_to("loop.jpg")
    (home / "a.jpg").symlink_to("b.jpg")
    (home / "b.jpg").symlink_to("a.jpg")
    (home / "nowhere.png").symlink_to("/nonexistent/a.png")
    (home / "up").symlink_to(home)
    (home / "folder.jpg").mkdir()
    os.mkfifo(home / "pipe.jpg")
    (home / "zero.png").symlink_to("/dev/zero")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(home / "socket.gif"))
    closed = home / "closed.jpg"
    closed.write_bytes(picture)
    closed.chmod(0)
    (home / "closed").mkdir()
    (home / "closed" / "a.jpg").write_bytes(picture)
    (home / "closed").chmod(0)
    for name in ("new\nline.jpg", "\x1b[31mred.jpg", "-rf.jpg", "ünï 🦩.jpg", "'; DROP TABLE.jpg", "a" * 250 + ".jpg",
                 "tab\t.jpg", "back\\slash.jpg", "%2e%2e.jpg", os.fsdecode(b"caf\xe9.jpg")):
        (home / name).write_bytes(picture)


def files_below(home):
    """The picture files below a folder by our own walk, each once, links to folders left out."""
    found = set()
    for folder, folders, names in os.walk(home):
        found |= {os.path.relpath(os.path.join(folder, name), home) for name in names
                  if name.lower().rpartition(".")[2] in ENDINGS}
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
    return {name.encode("utf-8", "backslashreplace").decode() for name in found}


class Slowest:
    """Stands for read_image and measures it."""

    def __init__(self, read):
        self.read, self.seconds, self.lock = read, 0.0, threading.Lock()

    def __call__(self, path):
        start = time.perf_counter()
        try:
            return self.read(path)
        finally:
            with self.lock:
                self.seconds = max(self.seconds, time.perf_counter() - start)
                faulthandler.dump_traceback_later(LIMIT, exit=True)


def main(home, n, seed, ordinary=False):
    home, n, dice, whole = Path(home), int(n), random.Random(int(seed)), list(seeds())
    base.read_image = slowest = Slowest(base.read_image)
    told = {"files": 0, "read": 0, "listed": 0}
    for batch in range(0, n, BATCH):
        folder = home / str(batch)
        folder.mkdir()
        for number in range(min(BATCH, n - batch)):
            content = mutated(whole, dice) if dice.random() < 0.95 else dice.choice(ODD)
            (folder / f"{number}.{dice.choice(ENDINGS)}").write_bytes(content)
        if batch == 0:
            odd_places(folder)
        if batch == 0 and ordinary:
            rights.give_up()
        elif batch == 0:
            (folder / "whole.png").write_bytes(whole[3])
            (folder / "refused.png").write_bytes(bomb(30_000, 30_000, 10))
            (folder / "cut.png").write_bytes(bomb(10_000, 9_900, 10))
            (folder / "large.png").write_bytes(bomb(6_000, 2_000))
            for number in range(8 if n >= 10_000 else 0):
                (folder / f"bomb-{number}.png").write_bytes(bomb(10_000, 9_900, 9_900) + bytes([number]))
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        found = files_below(folder)
        images = from_folder(folder)
        table = features.extract(images, ThumbnailBackbone(), home / f"features-{batch}")
        again = features.extract(from_folder(folder), ThumbnailBackbone(), home / f"features-{batch}")
        rows, skipped = set(table.images.paths), {item.path for item in table.images.skipped}
        assert found <= rows | skipped, sorted(found - rows - skipped)[:5]
        assert not rows & skipped and np.isfinite(table.matrix).all()
        assert all(item.reason.strip() for item in table.images.skipped)
        assert all(line.isprintable() for line in table.images.report().splitlines())
        assert again.computed == 0 and again.images.paths == table.images.paths
        told["files"] += len(found)
        told["read"] += len(rows)
        told["listed"] += len(found & skipped)
        told |= {"reasons": {item.path: item.reason for item in table.images.skipped}} if batch == 0 else {}
    peak = memory()[1] // 2**20
    print(json.dumps({**told, "slowest_ms": round(1000 * slowest.seconds), "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
