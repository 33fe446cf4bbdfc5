"""A process that opens what may be hostile: `kind path` a line in, one line of JSON out.

{"opened": true} where it was taken for whole, else {"error": type, "message": …}; with the seconds
and the megabytes by which the process has grown. Memory is limited, so a bomb ends the process.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from conftest import WORDS  # noqa: E402

from devise import features, index, storage, words  # noqa: E402
from devise.backbones.torch_weights import read_tensors  # noqa: E402
from devise.datasets import from_folder  # noqa: E402
from devise.datasets.captions import read_captions  # noqa: E402
from devise.heads import load_head  # noqa: E402
from devise.machine import memory  # noqa: E402
from devise.model import Devise  # noqa: E402
from devise.search import Search  # noqa: E402
from devise.words.files import VectorText  # noqa: E402

CEILING = 6 * 2**30
VOCABULARY = words.WordVectors(WORDS, np.random.default_rng(5).normal(size=(len(WORDS), 12)), name="small")


def features_of(path):
    return features.load(path).matrix.sum()


def words_of(path):
    found = words.WordVectors.load(path)
    return found.neighbours(found.words[0], k=3), found.near_spellings("cat")


def index_of(path):
    found = index.load(path)
    return found.search(np.ones((2, found.dim)), k=3), found.vectors(found.ids)


def model_of(path):
    model = Devise.load(path, words=VOCABULARY)
    probe = np.ones((1, model.network.record["dim"]))
    return {name: space.embed(probe) for name, space in model.spaces.items()}, model.history


def search_of(path):
    search = Search.load(path, words=VOCABULARY)
    return search.by_text("cat", k=3), [search.images.label_of(row) for row in range(len(search))]


def labels_of(path):
    return from_folder(path.parent, labels=path.name, check=False)


def words_in(path):
    words.convert(path, f"{path}.words")
    return len(words.WordVectors.load(f"{path}.words"))


KINDS = {"features": features_of, "words": words_of, "index": index_of, "model": model_of,
         "search": search_of, "labels": labels_of, "tensors": read_tensors, "head": load_head,
         "json": storage.read_json, "captions": read_captions, "text": lambda path: list(VectorText(path).blocks()),
         "open_words": words.open_words, "converted": words_in,
         "unpack": lambda path: storage.unpack(path, f"{path}.unpacked")}


def megabytes():
    return memory()[1] / 2**20


def told(kind, path):
    start, before = time.perf_counter(), megabytes()
    try:
        found = KINDS[kind](Path(path))
        answer = {"opened": found if isinstance(found, int) else True}
    except Exception as error:
        answer = {"error": type(error).__name__, "message": str(error)[:2000]}
    return {**answer, "seconds": time.perf_counter() - start, "grown": megabytes() - before}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (CEILING, CEILING))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(told(*json.loads(line))), flush=True)
