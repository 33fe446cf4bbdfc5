"""What is interrupted: an act makes the numbered generation of an artefact, a look says which one lies there.

A look checks all that can be checked without the act: rows against the pictures they are of, a
model against one fitted anew. What is neither whole nor absent makes it raise.
"""

import os
import shutil
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from conftest import WORDS, ThumbnailBackbone, draw_pictures  # noqa: E402

from devise import arrays, backbones, features, index, storage, words  # noqa: E402
from devise.datasets import from_folder  # noqa: E402
from devise.features import extraction  # noqa: E402
from devise.heads import RidgeHead  # noqa: E402
from devise.model import Devise, train_labels  # noqa: E402
from devise.search import Search  # noqa: E402

extraction.PART_ROWS = extraction.BATCH = 4  # so that a small run has parts


class SlowBackbone(ThumbnailBackbone):
    """A network that takes a millisecond a picture."""

    def features(self, pictures):
        time.sleep(0.001 * len(pictures))
        return super().features(pictures)


class World:
    """Forty pictures of four classes, their features, and a vocabulary."""

    def __init__(self, home):
        self.backbone = SlowBackbone()
        self.images = from_folder(draw_pictures(home / "pictures"))
        self.table = features.compute(self.images, self.backbone)
        self.words = words.WordVectors(WORDS, np.random.default_rng(5).normal(size=(len(WORDS), 12)), name="small")
        self.rows = dict(zip(self.images.paths, self.table.matrix, strict=True))

    def chosen(self, number):
        return chosen(self.images, number)

    def table_of(self, number):
        images = self.chosen(number)
        return features.FeatureTable(np.stack([self.rows[path] for path in images.paths]), images,
                                     backbones.describe(self.backbone))


def chosen(images, number):
    """Twenty pictures, others in each generation; the number is a class that has no picture."""
    part = images.subset((7 * number + np.arange(20)) % len(images))
    return replace(part, label_names=(*part.label_names, f"generation {number}"))


def number_in(label_names):
    return int(label_names[-1].removeprefix("generation "))


class Extract:
    """Pictures → a feature table; what was computed before the end is not computed again."""

    def __init__(self, world):
        self.world = world

    def act(self, folder, number):
        return features.extract(self.world.chosen(number), self.world.backbone, folder, overwrite=True).computed

    def look(self, folder):
        try:
            table = features.load(folder)
        except FileNotFoundError:
            assert not (folder / "features.json").exists()
            return None
        number = number_in(table.images.label_names)
        assert table.images.paths == self.world.chosen(number).paths
        np.testing.assert_array_equal(table.matrix, self.world.table_of(number).matrix)
        return number

    def touch(self, folder):
        """Give every picture the date of today, as the clock shows it."""
        for row in range(len(self.world.images)):
            os.utime(self.world.images.file(row), (time.time(), time.time()))
        return len(self.world.images)

    def kept(self, folder):
        """How many rows wait in parts for the next run."""
        partial = folder / f"partial-{self.world.backbone.fingerprint[:12]}"
        return len(extraction.known_vectors(partial, None, "float32"))


class Train:
    """Features → a model's folder."""

    def __init__(self, world):
        self.world = world

    def fitted(self, number):
        return train_labels(self.world.table, self.world.words, backbone=self.world.backbone, seed=number,
                            head=RidgeHead(penalty=1 + number % 7))

    def act(self, folder, number):
        self.fitted(number).save(folder)

    def look(self, folder):
        try:
            model = Devise.load(folder, words=self.world.words)
        except FileNotFoundError:
            assert not (folder / "model.json").exists()
            return None
        expected = self.fitted(model.record["seed"])
        assert model.split.to_json(model.paths) == expected.split.to_json(expected.paths)
        np.testing.assert_allclose(model.embed_images(self.world.table), expected.embed_images(self.world.table),
                                   atol=1e-5)
        return model.record["seed"]


class Build:
    """A model and features → an index of pictures, in a folder that was another index before."""

    engine = "exact"

    def __init__(self, world):
        self.world = world
        self.model = train_labels(world.table, world.words, backbone=world.backbone, head=RidgeHead(penalty=1))

    def act(self, folder, number):
        Search.build(self.model, self.world.table_of(number), engine=self.engine).save(folder, overwrite=True)

    def look(self, folder):
        try:
            search = Search.load(folder, words=self.world.words)
        except FileNotFoundError:
            assert not (folder / "search.json").exists()
            return None
        number = number_in(search.images.label_names)
        self.check(search, number)
        return number

    def expected(self, number):
        return self.world.chosen(number).paths

    def check(self, search, number):
        assert search.images.paths == self.expected(number)
        rows = np.stack([self.world.rows[path] for path in search.images.paths])
        ids = np.arange(len(rows))
        for space, embed in (("raw", arrays.unit_rows), ("shared", self.model.spaces["shared"].embed)):
            np.testing.assert_allclose(search.indexes[space].vectors(ids), embed(rows), atol=1e-5)
        assert search.by_text("cat", k=3).matches and search.by_image(search.images.paths[0], k=3).matches


class Add(Build):
    """Two pictures more in an index; every eighth generation begins a new one."""

    engine = "annoy"
    spare = 8

    def act(self, folder, number):
        if number % self.spare == 0:
            search = Search.build(self.model, self.part(number, slice(0, 4)), engine=self.engine)
        else:
            search = Search.load(folder, words=self.world.words)
            start = 4 + 2 * (number % self.spare - 1)
            search.add(self.part(number, slice(start, start + 2)))
        search.save(folder, overwrite=True)

    def part(self, number, rows):
        """Some of the pictures of the round that a generation is in; the class says which generation."""
        table = self.world.table_of(number // self.spare)
        part = table.subset(np.arange(20)[rows])
        names = (*part.images.label_names[:-1], f"generation {number}")
        return replace(part, images=replace(part.images, label_names=names))

    def expected(self, number):
        return self.world.chosen(number // self.spare).paths[:4 + 2 * (number % self.spare)]


class Sync(Build):
    """An index after its folder, of which a generation renames a part, replaces one and lacks some."""

    def act(self, folder, number):
        os.environ["DEVISE_HOME"] = str(self.pictures.parent / "home")
        backbones.load = lambda name, **how: self.world.backbone
        self.show(number)
        if number == 0 or not (folder / "search.json").exists():
            search = Search.build(self.model, self.pictures, engine=self.engine)
        else:
            search = Search.load(folder, words=self.world.words)
            search.sync(self.pictures, allow_empty=True)
        search.save(folder, overwrite=True)

    @property
    def pictures(self):
        return Path(self.world.images.root).parent / "synced"

    def names(self, number):
        """{path: the picture of the world that lies there}; the class says which generation."""
        rows = (3 * number + np.arange(20)) % len(self.world.images)
        names = {f"{'even' if row % 2 else f'generation {number}'}/{row}.png": self.world.images.paths[row]
                 for row in rows}
        return names | {"even/replaced.png": self.world.images.paths[number % 40]}

    def show(self, number):
        shutil.rmtree(self.pictures, ignore_errors=True)
        for name, path in self.names(number).items():
            (self.pictures / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.world.images.root / path, self.pictures / name)

    def look(self, folder):
        try:
            search = Search.load(folder, words=self.world.words)
        except FileNotFoundError:
            assert not (folder / "search.json").exists()
            return None
        number = number_in([name for name, count in search.images.counts().items() if count and name != "even"])
        names = self.names(number)
        assert sorted(search.images.paths) == sorted(names)
        rows = np.stack([self.world.rows[names[path]] for path in search.images.paths])
        np.testing.assert_allclose(search.indexes["raw"].vectors(np.arange(len(rows))), arrays.unit_rows(rows),
                                   atol=1e-5)
        return number


class Save:
    """Vectors → the folder of one engine, with members added and removed behind the build."""

    def __init__(self, world, engine):
        self.engine = engine
        index.make(engine)  # its package is loaded once, before the copies are made

    def rows(self, number):
        return np.random.default_rng(number).normal(size=(60, 8)).astype(np.float32)

    def act(self, folder, number):
        rows = self.rows(number)
        made = index.make(self.engine).build(rows[:50])
        made.add(rows[50:], np.arange(50, 60))
        made.remove([3, 55])
        made.save(folder, document={"number": number})

    def look(self, folder):
        try:
            found = index.load(folder)
        except FileNotFoundError:
            assert not (folder / "index.json").exists()
            return None
        number = found.document["number"]
        rows, ids = self.rows(number), np.delete(np.arange(60), [3, 55])
        np.testing.assert_array_equal(found.ids, ids)
        np.testing.assert_allclose(found.vectors(ids), arrays.unit_rows(rows[ids]), atol=1e-6)
        np.testing.assert_array_equal(found.search(rows[ids], k=1).ids[:, 0], ids)
        return number


class Convert:
    """A text of word vectors → the folder that opens at once."""

    def __init__(self, world):
        self.home = Path(world.images.root).parent

    def rows(self, number):
        return np.random.default_rng(number).normal(size=(2500, 5)).astype(np.float32)

    def act(self, folder, number):
        text = self.home / f"{number}.txt"
        if not text.exists():
            with storage.atomic_path(text) as path:
                path.write_text("".join(f"w{place} {' '.join(map(str, row))}\n"
                                        for place, row in enumerate(self.rows(number))), encoding="utf-8")
        words.convert(text, folder, name=f"generation {number}", overwrite=True)

    def look(self, folder):
        try:
            found = words.WordVectors.load(folder)
        except FileNotFoundError:
            assert not (folder / "words.json").exists()
            return None
        number = number_in([found.name])
        np.testing.assert_array_equal(found.matrix, self.rows(number))
        assert found.words == tuple(f"w{place}" for place in range(2500))
        return number


class Unpack:
    """An archive → a folder that is there whole or not."""

    def __init__(self, world):
        self.home = Path(world.images.root).parent

    def act(self, folder, number):
        archive = self.home / f"{number}.zip"
        if not archive.exists():
            with storage.atomic_path(archive) as path, zipfile.ZipFile(path, "w") as file:
                for place in range(20):
                    file.writestr(f"{place}.txt", f"{number} " * 2000)
        storage.unpack(archive, folder / "unpacked")

    def look(self, folder):
        if not (folder / "unpacked").exists():
            return None
        texts = {path.read_text(encoding="utf-8") for path in (folder / "unpacked").iterdir()}
        assert len(texts) == 1 and len(list((folder / "unpacked").iterdir())) == 20
        return int(texts.pop().split()[0])


class Fetch:
    """A file from a server; what has arrived is not asked for again."""

    def __init__(self, world, url):
        self.url = url

    def act(self, folder, number):
        place = folder / str(number)  # a file that is there by another content is not replaced
        content = bytes_of(number)
        storage.fetch(f"{self.url}/{number}", place, checksum=f"sha256:{sha256(content)}", size=len(content))

    def look(self, folder):
        numbers = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
        for number in numbers:
            assert (folder / str(number)).read_bytes() == bytes_of(number)
        return max(numbers, default=None)

    def kept(self, folder):
        return sum(path.stat().st_size for path in folder.glob("*.part"))


class Plain:
    """No act of the package: a file written as one should not, which the suite must catch."""

    def __init__(self, world):
        pass

    def act(self, folder, number):
        folder.mkdir(exist_ok=True)
        with open(folder / "a.json", "w", encoding="utf-8") as file:
            file.write(f'{{"number": {number},')
            file.flush()
            (folder / "b.json").write_text("{}", encoding="utf-8")
            file.write('"end": true}')

    def look(self, folder):
        if not (folder / "a.json").is_file():
            return None
        return storage.read_json(folder / "a.json")["number"]


def bytes_of(number):
    """The content of a fetched file, 200 kB that begin with its number."""
    return number.to_bytes(4) + np.random.default_rng(number).bytes(200_000)


def sha256(content):
    import hashlib

    return hashlib.sha256(content).hexdigest()


def make(name, world):
    """An act by its name: "extract", "save:annoy", "fetch:http://127.0.0.1:8000" …"""
    kind, _, option = name.partition(":")
    kinds = {"extract": Extract, "train": Train, "build": Build, "add": Add, "sync": Sync, "save": Save,
             "convert": Convert, "unpack": Unpack, "fetch": Fetch, "plain": Plain}
    return kinds[kind](world, *([option] if option else []))
