"""Coverage-guided fuzzing of one reader: `python fuzz.py READER FOLDER SECONDS [RUNS]`.

FOLDER/corpus is where inputs that reach new code are kept. An input for which the reader raises
anything but ValueError, or takes too long or too much memory, ends the process and lies in FOLDER.
"""

import io
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import atheris

READ_BY = ["devise.backbones.torch_weights", "devise.words.files", "devise.datasets.folders",
           "devise.datasets.captions", "pickletools", "zipfile", "csv", "json.decoder"]

with atheris.instrument_imports(include=READ_BY):
    import devise.backbones.torch_weights
    import devise.datasets.captions
    import devise.datasets.folders
    import devise.words.files


def torch_seeds():
    """The smallest .pth files of the two layouts, and their parts."""
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
              b"X\x03\x00\x00\x00cpuK\x03tQK\x00K\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
    state = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00a" + tensor + b"u."
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/data.pkl", state)
        archive.writestr("a/byteorder", b"little")
        archive.writestr("a/data/0", bytes(12))
    legacy = (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\x00\x00\x00little_endian\x88s."
              + state.replace(b"cpuK\x03tQ", b"cpuK\x03NtQ") + b"\x80\x02]X\x01\x00\x00\x000a.\x03" + bytes(19))
    return [packed.getvalue(), legacy]


READERS = {
    "pth": (devise.backbones.torch_weights.read_tensors, "a.pth", torch_seeds),
    "vectors": (lambda path: list(devise.words.files.VectorText(path).blocks()), "a.txt",
                lambda: [b"cat 1 2\ndog 3 4\n", b"2 2\ncat 1 2\ndog 3 4\n", b"\xef\xbb\xbfhot dog 1e3 -.5\r\n"]),
    "labels": (lambda path: devise.datasets.folders.from_folder(path.parent, labels=path, check=False), "a.csv",
               lambda: [b"path,label\na.png,cat\n", b'"a.png",dog\n', b"file,class,other\na.png,cat,1\n"]),
    "json-labels": (lambda path: devise.datasets.folders.from_folder(path.parent, labels=path, check=False), "a.json",
                    lambda: [b'{"a.png": "cat"}', b'[{"path": "a.png", "label": 3}]']),
    "captions": (devise.datasets.captions.read_captions, "captions.txt",
                 lambda: [b"a.jpg#0\ta cat\n", b"image_name| comment_number| comment\na.jpg| 0| a cat\n",
                          b"image,caption\na.jpg,a cat\n",
                          b'{"images": [{"id": 1, "file_name": "a"}], "annotations": '
                          b'[{"image_id": 1, "caption": "c"}]}']),
}


def main(reader, folder, seconds, runs="-1"):
    read, name, seeds = READERS[reader]
    folder = Path(folder)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    (place / "a.png").write_bytes(b"x")

    def one(data):
        (place / name).write_bytes(data)
        try:
            read(place / name)
        except ValueError as error:
            assert str(place) in str(error) or name in str(error) or "a.png" in str(error), error

    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-runs={runs}", "-max_len=4096",
                   "-timeout=60", "-rss_limit_mb=3000", f"-artifact_prefix={folder}/", "-print_final_stats=1"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
