"""Folders and files that were damaged, swapped or made to harm: refused by name, and nothing in them runs."""

import copy
import functools
import io
import json
import os
import pickle
import shutil
import tarfile
import warnings
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest

from devise import index, storage

ENGINES = [engine for engine in ("exact", "annoy", "faiss", "hnswlib", "usearch")
           if engine == "exact" or find_spec(engine)]
NAMED = ("ValueError", "FileNotFoundError")  # what a refusal is, with the path in its message


class Canary:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory, program):
    """{kind: folder}, one whole artefact of each kind."""
    home = tmp_path_factory.mktemp("whole")
    assert program("makes.py", home, *ENGINES).wait() == 0
    return {path.name: path for path in home.iterdir() if path.name != "pictures"}


KINDS = ("features", "words", "model", "search", *(f"index-{engine}" for engine in ENGINES))


def manifest_of(folder, kind):
    return folder / f"{kind.partition('-')[0]}.json"


def places(document, path=()):
    """Every place in a JSON document."""
    if path:
        yield path
    if isinstance(document, dict):
        for key in document:
            yield from places(document[key], (*path, key))
    elif isinstance(document, list) and document:
        yield from places(document[0], (*path, 0))


def changed(document, path, value):
    """The document with another value at a place, or without it."""
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value == "gone":
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


VALUES = ["gone", None, -1, 3, 10**30, 1e308, "x", "../../../etc/passwd", [], {}, [["a"]], {"file": "x"}, True]


def is_refusal(told, folder):
    return told.get("error") in NAMED and folder.name in told["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_manifests_with_another_value_at_any_place(kind, artefacts, opened, tmp_path, size, count):
    """Whole, or refused by the folder's name: no other error, no crash."""
    folder = shutil.copytree(artefacts[kind], tmp_path / kind)
    manifest = manifest_of(folder, kind)
    whole = storage.read_json(manifest)
    cases = [(place, value) for place in places(whole) for value in VALUES]
    random = np.random.default_rng(0)
    if len(cases) > size(60, 10**6):
        cases = [cases[row] for row in random.choice(len(cases), size(60, 10**6), replace=False)]
    refused = 0
    assert opened(kind.partition("-")[0], folder).get("opened")
    for place, value in cases:
        manifest.write_text(json.dumps(changed(whole, place, value)), encoding="utf-8")
        told = opened(kind.partition("-")[0], folder)
        assert told.get("opened") or is_refusal(told, folder), (place, value, told)
        refused += "error" in told
    assert refused > len(cases) / 8
    count(f"changed manifests, {kind}", tried=len(cases), refused=refused, crashed=0)


BOMBS = {
    "nested": lambda: b"[" * 200_000 + b"]" * 200_000,
    "nested objects": lambda: b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "a number of a million digits": lambda: b'{"kind": ' + b"9" * 1_000_000 + b"}",
    "no JSON": lambda: b"\x80\x04K\x01.",
    "not UTF-8": lambda: b'{"kind": "\xff\xfe"}',
    "empty": lambda: b"",
    "null": lambda: b"null",
    "a list": lambda: b"[1, 2]",
    "NUL": lambda: bytes(1000),
}


@pytest.mark.parametrize("kind", KINDS)
def test_manifests_that_are_bombs_or_no_json(kind, artefacts, opened, tmp_path):
    folder = shutil.copytree(artefacts[kind], tmp_path / kind)
    for name, content in BOMBS.items():
        manifest_of(folder, kind).write_bytes(content())
        told = opened(kind.partition("-")[0], folder)
        assert is_refusal(told, folder), (name, told)
        assert told["grown"] < 500


def npy(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def giant_header():
    """A .npy whose header claims a terabyte."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": (2**38, 1)})
    return content.getvalue() + bytes(1000)


@functools.cache
def squeezed():
    """A .npz in which a gigabyte of zeros is a megabyte."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("kernel.npy", "w", force_zip64=True) as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**30,)}
            np.lib.format.write_array_header_1_0(member, header)
            for _ in range(2**6):
                member.write(bytes(2**24))
    return content.getvalue()


def hostile_contents(whole, canary):
    """{what: bytes} to put in the place of a data file."""
    objects = np.empty(3, object)
    objects[:] = [Canary(canary)] * 3
    archive = io.BytesIO()
    np.savez(archive, config=objects, kernel=objects)
    return {"empty": b"", "truncated": whole[:len(whole) // 2], "cut by a byte": whole[:-1],
            "a pickle": pickle.dumps(Canary(canary)), "objects": npy(objects, allow_pickle=True),
            "an archive of objects": archive.getvalue(), "text": npy(np.array(["a", "b"])),
            "other dims": npy(np.ones((3, 7), np.float32)), "no dims": npy(np.float32(3)),
            "complex": npy(np.ones((60, 8), complex)), "noise": np.random.default_rng(1).bytes(5000),
            "a terabyte": giant_header(), "nested": b"[" * 200_000 + b"]" * 200_000}


@pytest.mark.parametrize("kind", KINDS)
def test_data_files_that_are_damaged_or_hostile(kind, artefacts, opened, tmp_path, count):
    """Under their old digests, as what travelled; those that NumPy reads also under digests made to fit."""
    folder = shutil.copytree(artefacts[kind], tmp_path / kind)
    manifests = list(folder.rglob(f"{kind.partition('-')[0]}.json" if kind != "search" else "*.json"))
    tried, canary = 0, tmp_path / "canary"
    for manifest in manifests:
        before, document = manifest.read_bytes(), storage.read_json(manifest)
        for name, entry in document.get("files", {}).items() if isinstance(document, dict) else ():
            path = manifest.parent / entry["file"]
            whole = path.read_bytes()
            for what, content in hostile_contents(whole, canary).items():
                # without its last byte, a line break, a text is what it was
                legible = {".npy", ".npz"} | ({".json", ".txt"} if what != "cut by a byte" else set())
                for fitting in [False, *([True] if path.suffix in legible else [])]:
                    path.write_bytes(content)
                    told_document = changed(document, ("files", name, "sha256"), storage.digest(path))
                    manifest.write_text(json.dumps(told_document if fitting else document), encoding="utf-8")
                    told = opened(kind.partition("-")[0], folder)
                    assert is_refusal(told, folder), (name, what, fitting, told)
                    assert told["grown"] < 500, (name, what, told)
                    tried += 1
            path.write_bytes(whole)
            manifest.write_bytes(before)
    assert opened(kind.partition("-")[0], folder).get("opened")
    assert tried >= 26 and not canary.exists()
    count(f"hostile files, {kind}", tried=tried, refused=tried, executed=0)


def test_places_in_the_way_of_a_data_file(artefacts, opened, tmp_path):
    for what in ("loop", "folder", "fifo", "gone"):
        folder = shutil.copytree(artefacts["features"], tmp_path / f"features-{what}")
        path = next(folder.glob("features-*.npy"))
        path.unlink()
        {"loop": lambda path: path.symlink_to(path), "folder": lambda path: path.mkdir(), "fifo": os.mkfifo,
         "gone": lambda path: None}[what](path)
        assert is_refusal(opened("features", folder), folder), what


def test_swapped_models_are_refused(artefacts, opened, tmp_path):
    """The model of another training in the place of the one whose vectors are in the index."""
    folder = shutil.copytree(artefacts["search"], tmp_path / "search")
    model = next(folder.glob("*/model"))
    shutil.rmtree(model)
    shutil.copytree(artefacts["another-model"], model)
    told = opened("search", folder)
    assert is_refusal(told, folder) and "model" in told["message"]


def test_an_index_of_another_build_is_refused(artefacts, opened, tmp_path):
    folder = shutil.copytree(artefacts["search"], tmp_path / "search")
    [rows] = folder.glob("raw-0-rows-*.npy")
    index.make("exact").build(np.random.default_rng(0).normal(size=(16, 24))).save(tmp_path / "other")
    shutil.copy(next((tmp_path / "other").glob("0-rows-*.npy")), rows)
    assert is_refusal(opened("search", folder), folder)


def test_archives_of_weights_that_are_bombs(opened, tmp_path):
    path = tmp_path / "head.npz"
    path.write_bytes(squeezed())
    told = opened("head", path)
    assert is_refusal(told, path) and "compressed" in told["message"] and told["grown"] < 500


def doubled(levels, opcode):
    """A pickle of nested pairs, each the same object twice: 2**levels leaves in a few hundred bytes."""
    program = b"\x80\x02" + (b")" if opcode == b"\x86" else b"]") + b"q\x00"
    for level in range(levels):
        last = bytes([level])
        program += b"h" + last + b"h" + last + b"\x86" if opcode == b"\x86" else b"](h" + last + b"h" + last + b"e"
        program += b"q" + bytes([level + 1])
    return program


def pth(program):
    """A .pth in the zip layout whose data.pkl is this program."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", bytes(4000))
    return content.getvalue()


GLOBAL = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuM\xe8\x03tQ"
TENSOR = GLOBAL + b"(" + STORAGE + b"K\x00M\xe8\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"


def many_tensors(n):
    """A state dict with n copies of one storage of a megabyte: n megabytes, if each becomes an array."""
    big = GLOBAL + b"(" + STORAGE.replace(b"M\xe8\x03tQ", b"J\x00\x00\x04\x00tQ") + (
        b"K\x00J\x00\x00\x04\x00\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
    program = b"\x80\x02}q\x00(X\x01\x00\x00\x00a" + big + b"q\x01"
    for number in range(n):
        name = str(number).encode()
        program += b"X" + len(name).to_bytes(4, "little") + name + b"h\x01"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", program + b"u.")
        archive.writestr("archive/data/0", bytes(2**20))
    return content.getvalue()


@pytest.mark.parametrize("what, payload", [
    ("a key that takes years to hash", doubled(60, b"\x86") + b"}h\x3cK\x01s."),
    ("a reference that takes years to print", doubled(60, b"\x86") + b"h\x3cQ."),
    ("a list that takes years to print", doubled(60, b"e") + b"h\x3c\x85Q."),
    ("a name of a global that is not there", b"cos\nsystem\n(X\x02\x00\x00\x00lstR."),
    ("a tensor inside a tensor", b"\x80\x02}X\x01\x00\x00\x00a" + GLOBAL + b"(" + TENSOR + b"K\x00" + TENSOR
     + b"K\x01\x85\x89NtRs."),
    ("a build on a class", b"ccollections\nOrderedDict\n}X\x04\x00\x00\x00evilK\x01sb."),
], ids=["hash", "print", "print a list", "global", "nested", "build"])
def test_weights_whose_pickle_is_a_trap(what, payload, opened, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pth(payload))
    told = opened("tensors", path)
    assert is_refusal(told, path), (what, told)
    assert told["seconds"] < 20 and told["grown"] < 500


def test_weights_whose_tensors_are_one_storage_many_times(opened, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(many_tensors(3000))
    told = opened("tensors", path)
    assert is_refusal(told, path) and told["grown"] < 500


def test_tied_weights_are_no_trap(opened, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(many_tensors(2))
    assert opened("tensors", path).get("opened")


@pytest.mark.parametrize("name", ["weights.pth", "weights.npy", "words.kv", "words.model", "words.txt", "words.bin",
                                  "labels.csv", "labels.json", "captions.json", "a.zip"])
def test_pickles_under_any_name_are_not_run(name, opened, tmp_path):
    canary = tmp_path / "canary"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / name).write_bytes(pickle.dumps(Canary(canary), protocol=protocol))
        for kind in ("tensors", "head", "json", "open_words", "captions", "labels", "unpack"):
            told = opened(kind, tmp_path / name)
            assert told.get("error") == "ValueError", (kind, told)
            assert "tmp" in told["message"] or name in told["message"], (kind, told)
    assert not canary.exists()


def test_the_canary_sings_where_a_pickle_is_run(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary"))).close()
    assert (tmp_path / "canary").exists()


def zip_of(*names, link=None):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, warnings.catch_warnings(action="ignore"):
        for name in names:
            archive.writestr(name, "x")
        if link:
            record = zipfile.ZipInfo("link")
            record.external_attr = 0o120777 << 16
            archive.writestr(record, link)
    return content.getvalue()


def tar_of(name, kind=tarfile.REGTYPE, target=""):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        record = tarfile.TarInfo(name)
        record.type, record.linkname = kind, target
        archive.addfile(record)
    return content.getvalue()


ARCHIVES = {"zip ..": zip_of("../evil"), "zip deep ..": zip_of("a/../../evil"), "zip absolute": zip_of("/tmp/evil"),
            "zip drive": zip_of("C:\\evil"), "zip link": zip_of("a", link="/etc/passwd"), "tar ..": tar_of("../evil"),
            "tar absolute": tar_of("/evil"), "tar link": tar_of("a", tarfile.SYMTYPE, "/etc/passwd"),
            "tar link up": tar_of("a", tarfile.SYMTYPE, "../../evil"), "tar hard link": tar_of("a", tarfile.LNKTYPE,
                                                                                               "../evil"),
            "tar device": tar_of("a", tarfile.CHRTYPE), "tar fifo": tar_of("a", tarfile.FIFOTYPE),
            "zip bomb": None}


def test_archives_that_lead_out_or_swell(opened, tmp_path, count):
    home = tmp_path / "inner" / "most"
    home.mkdir(parents=True)
    for what, content in ARCHIVES.items():
        path = home / "archive"
        path.write_bytes(squeezed() if content is None else content)
        told = opened("unpack", path)
        assert is_refusal(told, path), (what, told)
        assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path], what
    count("hostile archives", tried=len(ARCHIVES), refused=len(ARCHIVES), written=0)


@pytest.mark.skipif(not find_spec("keras"), reason="keras is not installed")
@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras, of a file that is refused
def test_a_keras_file_with_a_lambda_is_not_run(tmp_path, size):
    import keras

    from devise import backbones

    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()"
    model = keras.Sequential([keras.Input((3,)),
                              keras.layers.Lambda(eval(f"lambda x: (exec({code!r}), x)[1]"))])
    model.save(tmp_path / "evil.keras")
    canary.unlink(missing_ok=True)  # building it has run it
    model.save_weights(tmp_path / "evil.weights.h5")
    for name in ("evil.keras", "evil.weights.h5")[:size(1, 2)]:
        with pytest.raises(ValueError, match=name):
            backbones.load("mobilenet_v3_small", weights=str(tmp_path / name))
    assert not canary.exists()
