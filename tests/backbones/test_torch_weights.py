import io
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest

from devise.backbones.torch_weights import MAGIC, PROTOCOL, read_tensors

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage",
            "int64": "LongStorage", "uint8": "ByteStorage", "bool": "BoolStorage"}
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def plain(value):
    """The opcodes that put a value on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key, dtype, n, offset, size, stride):
    """The opcodes of one tensor, as torch.save writes them."""
    storage = (b"(" + plain("storage") + b"ctorch\n" + STORAGES[dtype].encode() + b"\n" + plain(key)
               + plain("cpu") + plain(n) + b"NtQ")
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + plain(offset) + plain(size) + plain(stride)
            + plain(False) + ORDERED_DICT + b"tR")


def state_dict(entries):
    """The pickle of an ordered dictionary of opcodes, with the `_metadata` that PyTorch adds."""
    items = b"".join(plain(name) + opcodes for name, opcodes in entries.items())
    metadata = plain({"_metadata": {"": {"version": 1}}})
    return b"\x80\x02" + ORDERED_DICT + b"(" + items + b"u" + metadata + b"b."


def legacy(state, storages, *, magic=MAGIC, keys=None):
    """A file in the legacy layout from an object pickle and raw storages."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2}}
    head = b"".join(pickle.dumps(value, 2) for value in (magic, PROTOCOL, system))
    raw = b"".join(struct.pack("<q", values.size) + values.tobytes() for values in storages.values())
    return head + state + pickle.dumps(list(keys or storages), 2) + raw


def zipped(state, storages, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", state)
        archive.writestr("archive/byteorder", "little")
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())
    return file.getvalue()


def example():
    """Tensors that are strided, shared, scalar, empty, of several types; their file's parts and values."""
    numbers = np.random.default_rng(3).standard_normal(24).astype(np.float32)
    storages = {"7": numbers, "8": np.array([41], np.int64), "9": np.array([True, False]),
                "10": np.empty(0, np.float16)}
    entries = {"plain.weight": tensor("7", "float32", 24, 0, (2, 3, 4), (12, 4, 1)),
               "channels_last": tensor("7", "float32", 24, 0, (2, 3, 2, 2), (12, 1, 6, 3)),
               "tail": tensor("7", "float32", 24, 20, (4,), (1,)),
               "num_batches_tracked": tensor("8", "int64", 1, 0, (), ()),
               "mask": tensor("9", "bool", 2, 0, (2,), (1,)),
               "empty": tensor("10", "float16", 0, 0, (0, 3), (3, 1))}
    expected = {"plain.weight": numbers.reshape(2, 3, 4),
                "channels_last": numbers.reshape(2, 2, 2, 3).transpose(0, 3, 1, 2), "tail": numbers[20:],
                "num_batches_tracked": np.int64(41), "mask": np.array([True, False]),
                "empty": np.empty((0, 3), np.float16)}
    return state_dict(entries), storages, expected


@pytest.mark.parametrize("layout", [legacy, zipped])
def test_values_shapes_and_types_come_back(tmp_path, layout):
    state, storages, expected = example()
    (tmp_path / "w.pth").write_bytes(layout(state, storages))
    tensors = read_tensors(tmp_path / "w.pth")
    assert list(tensors) == list(expected)
    for name, values in expected.items():
        assert tensors[name].dtype == values.dtype and tensors[name].shape == values.shape
        assert tensors[name].flags.c_contiguous and tensors[name].flags.owndata
        np.testing.assert_array_equal(tensors[name], values)


class Hostile:
    """Unpickles by calling something."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(canary):
    """Opcodes that would create the file `canary`, and the global that must be named in the refusal."""
    command, code = plain(f"touch {canary}"), plain(f"open({str(canary)!r}, 'w').close()")
    call = b"tR"
    return {
        "os.system": (b"cos\nsystem\n(" + command + call, "os.system"),
        "posix.system": (b"cposix\nsystem\n(" + command + call, "posix.system"),
        "eval": (b"cbuiltins\neval\n(" + code + call, "builtins.eval"),
        "exec, by INST": (b"(" + code + b"ibuiltins\nexec\n", "builtins.exec"),
        "exec, by OBJ": (b"(cbuiltins\nexec\n" + code + b"o", "builtins.exec"),
        "protocol 4": (b"\x8c\x02os\x8c\x06system\x93(" + command + call, "os.system"),
        "dotted name": (b"\x8c\x05torch\x8c\x16FloatStorage.__class__\x93" + b"0N", "FloatStorage.__class__"),
        "getattr": (b"cbuiltins\ngetattr\n(ccollections\nOrderedDict\n" + plain("__init__") + call,
                    "builtins.getattr"),
        "another function of torch": (b"ctorch.storage\n_load_from_bytes\n(" + command + call,
                                      "torch.storage._load_from_bytes"),
        "neighbour of the admitted": (b"ccollections\nnamedtuple\n(" + command + call,
                                      "collections.namedtuple"),
        "argument of the admitted": (b"ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\n(" + command + call
                                     + call, "os.system"),
        "inside a persistent id": (b"(" + plain("storage") + b"cos\nsystem\n(" + command + call + b"tQ",
                                   "os.system"),
        "state of an object": (ORDERED_DICT + b"cos\nsystem\n(" + command + call + b"b", "os.system"),
    }


@pytest.mark.parametrize("attack", attacks("").keys())
@pytest.mark.parametrize("layout", [legacy, zipped])
def test_a_hostile_file_is_refused_by_name_and_runs_nothing(tmp_path, attack, layout):
    canary = tmp_path / "canary"
    opcodes, name = attacks(canary)[attack]
    (tmp_path / "w.pth").write_bytes(layout(state_dict({"weight": opcodes}), {}))
    with pytest.raises(ValueError, match=f"refused the global .*{name}"):
        read_tensors(tmp_path / "w.pth")
    assert not canary.exists()


@pytest.mark.parametrize("position", range(5))
def test_every_pickle_of_the_file_is_guarded(tmp_path, position):
    canary = tmp_path / "canary"
    state, storages, _ = example()
    hostile = pickle.dumps(Hostile(eval, f"open({str(canary)!r}, 'w').close()"), 2)
    parts = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {"little_endian": True})]
    parts += [state, pickle.dumps(list(storages), 2)]
    parts[position] = hostile
    (tmp_path / "w.pth").write_bytes(b"".join(parts))
    with pytest.raises(ValueError, match="eval"):
        read_tensors(tmp_path / "w.pth")
    assert not canary.exists()
    pickle.loads(hostile)  # the same bytes do run in an unguarded unpickler
    assert canary.exists()


@pytest.mark.parametrize("target", [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n",
                                    b"ctorch\nFloatStorage\n"])
def test_what_is_admitted_can_not_be_altered(tmp_path, target):
    path = tmp_path / "w.pth"
    attributes = {"__call__": 1, "__setstate__": 2}
    for change in (plain(attributes), b"N" + plain(attributes) + b"\x86"):  # by __dict__, and by setattr
        path.write_bytes(legacy(state_dict({"weight": target + change + b"b"}), {}))
        with pytest.raises(ValueError):
            read_tensors(path)
    state, storages, expected = example()
    path.write_bytes(legacy(state, storages))
    assert list(read_tensors(path)) == list(expected)


@pytest.mark.parametrize("wrong", [
    tensor("0", "float32", 4, 0, (2, 3), (3, 1)), tensor("0", "float32", 4, 1, (4,), (1,)),
    tensor("0", "float32", 4, -1, (4,), (1,)), tensor("0", "float32", 4, 0, (4,), (-1,)),
    tensor("0", "float32", 4, 0, (2**20,), (0,)), tensor("0", "float32", 4, 0, (2,), (2**62,)),
    tensor("0", "float32", 4, 0, (-2, -2), (1, 1)), tensor("0", "float32", 4, 0, (2, 2), (1,)),
    tensor("0", "float32", 4, 0, (2.0,), (1,)), tensor("0", "float32", 4, 0, (True,), (1,)),
    tensor("0", "float32", 5, 0, (5,), (1,)), tensor("0", "float64", 4, 0, (4,), (1,)),
    tensor("1", "float32", 4, 0, (4,), (1,)), tensor("0", "float32", -1, 0, (4,), (1,)),
    plain("text"), plain(3), plain({"nested": 1}), ORDERED_DICT])
@pytest.mark.parametrize("layout", [legacy, zipped])
def test_sizes_that_the_bytes_do_not_have_are_refused(tmp_path, wrong, layout):
    storages = {"0": np.arange(4, dtype=np.float32)}
    (tmp_path / "w.pth").write_bytes(layout(state_dict({"weight": wrong}), storages))
    with pytest.raises(ValueError, match="can't be read as PyTorch weights"):
        read_tensors(tmp_path / "w.pth")


def test_one_storage_can_not_have_two_types(tmp_path):
    entries = {"a": tensor("0", "float32", 4, 0, (4,), (1,)), "b": tensor("0", "int64", 4, 0, (4,), (1,))}
    (tmp_path / "w.pth").write_bytes(legacy(state_dict(entries), {"0": np.zeros(4, np.float32)}))
    with pytest.raises(ValueError, match="declared twice"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("n", [-1, 3, 2**62])
def test_the_length_before_a_storage_is_checked(tmp_path, n):
    state = state_dict({"weight": tensor("0", "float32", 4, 0, (4,), (1,))})
    raw = legacy(state, {"0": np.zeros(4, np.float32)})
    (tmp_path / "w.pth").write_bytes(raw[:-24] + struct.pack("<q", n) + raw[-16:])
    with pytest.raises(ValueError, match=f"storage 0 has {n} elements"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("opcodes", [b"r\xff\xff\xff\x7f", b"p99999999999\n", b"X\xff\xff\xff\x7f",
                                     b"\x8b\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 7 + b"\x7f"])
def test_a_few_bytes_can_not_claim_gigabytes(tmp_path, opcodes):
    (tmp_path / "w.pth").write_bytes(legacy(b"\x80\x02N" + opcodes + b"0.", {}))
    with pytest.raises(ValueError):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("layout", [legacy, zipped])
def test_truncation_is_refused(tmp_path, layout):
    state, storages, _ = example()
    whole = layout(state, storages)
    path = tmp_path / "w.pth"
    for length in [*range(0, len(whole), 7), *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="w.pth"):
            read_tensors(path)


def test_damage_gives_tensors_or_value_error_and_nothing_else(tmp_path):
    state, storages, _ = example()
    whole, path = legacy(state, storages), tmp_path / "w.pth"
    dice = random.Random(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            read_tensors(path)
        except ValueError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [
    b"", b"PK", b"text", zipped(state_dict({}), {}, zipfile.ZIP_DEFLATED),
    legacy(state_dict({}), {}, magic=1), legacy(pickle.dumps([1, 2], 2), {}),
    legacy(pickle.dumps({1: 2}, 2), {})])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match="can't be read as PyTorch weights"):
        read_tensors(tmp_path / "w.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        read_tensors(tmp_path / "nowhere.pth")
