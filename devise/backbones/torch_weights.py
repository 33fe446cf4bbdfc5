"""The tensors of a PyTorch weights file (.pth), read without PyTorch and without running the file.

A .pth is a pickle, and a pickle is a program that may call anything. Here it may name an ordered
dictionary, a tensor and a storage; whatever else it names is refused before it is called. Every
size in the file is checked against the bytes that are there before an array is made of it.

Source: the two layouts that `torch.save` writes, as torch/serialization.py defines them.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import reprlib
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
SHARED = 8  # how often the tensors may use each byte of the file; tied weights use some of them twice
# what a pickle may refer back to: a tuple of twice the same tuple, sixty times over, takes years to hash
SHAREABLE = {"GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID", "EMPTY_TUPLE", "EMPTY_DICT",
             "EMPTY_LIST", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING",
             "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"}
DTYPES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
          "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
          "BoolStorage": "?"}


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """{name: array} of a file of `torch.save(model.state_dict(), path)`, legacy or zip, each its own copy.

    Raises:
        ValueError: if it names anything but tensors (the message says what), is truncated, or
            declares sizes that its bytes don't have.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        state, storages = _read_zip(data) if data.startswith(b"PK") else _read_legacy(data)
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise ValueError("it holds no dictionary of names and tensors")
        arrays, size = {}, 0
        for name, tensor in state.items():
            arrays[name] = _array(name, tensor, storages)
            size += arrays[name].nbytes
            if size > SHARED * len(data):  # one storage can be named a million times
                raise ValueError(f"its tensors would take {size:,} bytes and more, the file has {len(data):,}")
        return arrays
    except Exception as error:  # damaged bytes make an unpickler raise nearly anything
        raise ValueError(f"{path} can't be read as PyTorch weights: {error}. Expected a whole file "
                         "of torch.save(model.state_dict(), path)") from error


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    n: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple
    stride: tuple


class _Rebuild:
    """Stands for torch._utils._rebuild_tensor_v2 and only takes notes."""

    __slots__ = ()  # so that a pickle can't set attributes on it

    def __call__(self, storage, offset, size, stride, *_):
        if not isinstance(storage, _Storage) or not all(type(numbers) is tuple for numbers in (size, stride)):
            raise ValueError("a tensor has no storage, or sizes that are no tuples")
        if not all(map(_is_count, (offset, *size, *stride))) or len(size) != len(stride):
            raise ValueError(f"a tensor has size {reprlib.repr(size)}, stride {reprlib.repr(stride)}, "
                             f"offset {reprlib.repr(offset)}")
        return _Tensor(storage, offset, size, stride)


class _Unpickler(pickle.Unpickler):
    """Knows three kinds of names, and records the storages that the pickle refers to."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in DTYPES:
            return name
        raise ValueError(f"refused the global {module}.{name}, which is no tensor: "
                         "don't use this file, it may be hostile")

    def persistent_load(self, reference):
        kind, name, key, _location, n = reference[:5]
        if kind != "storage" or name not in DTYPES or not isinstance(key, str) or not _is_count(n):
            raise ValueError(f"the storage reference {reprlib.repr(reference)} is malformed")
        storage = _Storage(key, np.dtype(DTYPES[name]), n)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key} is declared twice, differently")
        return storage


def _read_legacy(data):
    """Four pickles (magic, protocol, system, object), the storage keys, then each storage's bytes."""
    stream = io.BytesIO(data)
    if _unpickle(stream)[0] != MAGIC:
        raise ValueError("it does not begin with PyTorch's magic number")
    protocol = _unpickle(stream)[0]
    if protocol != PROTOCOL:
        raise ValueError(f"its protocol is {reprlib.repr(protocol)}, expected {PROTOCOL}")
    if _unpickle(stream)[0].get("little_endian") is not True:
        raise ValueError("it was written on a big-endian machine")
    state, declared = _unpickle(stream)
    storages = {}
    for key in _unpickle(stream)[0]:
        n, = struct.unpack("<q", stream.read(8))
        if key not in declared or n != declared[key].n:
            raise ValueError(f"storage {key} has {n} elements, its tensors expect another number")
        values = np.frombuffer(data, declared[key].dtype, count=n, offset=stream.tell())
        storages[key] = values
        stream.seek(values.nbytes, io.SEEK_CUR)
    return state, storages


def _read_zip(data):
    """`data.pkl` and one uncompressed member `data/<key>` for each storage, under one folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is a compressed archive, which PyTorch never writes")
        name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if name is None:
            raise ValueError("it is a zip archive without data.pkl")
        folder = name.removesuffix("data.pkl")
        if folder + "byteorder" in archive.namelist() and archive.read(folder + "byteorder") != b"little":
            raise ValueError("it was written on a big-endian machine")
        state, declared = _unpickle(io.BytesIO(archive.read(name)))
        storages = {}
        for key, storage in declared.items():
            member = archive.getinfo(f"{folder}data/{key}")
            expected = storage.n * storage.dtype.itemsize
            if member.file_size != expected:
                raise ValueError(f"storage {key} has {member.file_size} bytes, expected {expected}")
            storages[key] = np.frombuffer(archive.read(member), storage.dtype)
    return state, storages


def _unpickle(stream):
    """The next object of the stream, and the storages it refers to."""
    start, size = stream.tell(), len(stream.getbuffer())
    before, kept, shareable = None, set(), set()
    for opcode, argument, _position in pickletools.genops(stream):
        # the unpickler makes room up to the largest memo index: five bytes could claim 64 GB
        if opcode.name in ("PUT", "LONG_BINPUT") and argument > size:
            raise ValueError(f"its pickle claims {argument} memo entries")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = len(kept) if argument is None else argument
            kept.add(place)
            (shareable.add if before in SHAREABLE else shareable.discard)(place)
        elif opcode.name == "DUP" or opcode.name in ("GET", "BINGET", "LONG_BINGET") and argument not in shareable:
            raise ValueError("its pickle refers back to what PyTorch writes once")
        else:
            before = opcode.name
    end = stream.tell()
    unpickler = _Unpickler(io.BytesIO(stream.getbuffer()[start:end]))
    return unpickler.load(), unpickler.storages


def _array(name, tensor, storages):
    """The array that a tensor describes, or ValueError where it leaves its storage."""
    if not isinstance(tensor, _Tensor):
        raise ValueError(f"{name!r} is no tensor")
    storage, offset, size, stride = tensor
    n = math.prod(size)
    end = offset + 1 + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    # n is checked too: with strides of zero one element could pose as a terabyte
    if n > storage.n or n and end > storage.n:
        raise ValueError(f"{name!r} of size {size} leaves its storage of {storage.n} elements")
    values = storages[storage.key]
    steps = tuple(step * values.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(values[offset:], size, steps).copy()


def _is_count(value):
    return type(value) is int and value >= 0
