"""Pictures in a bucket of an S3 server of this machine: from `devise extract s3://…` to the page.

s3fs and moto want different botocores, so that the commands run by another Python: S3FS_PYTHON names one that has s3fs
and, on a path of its own, all that this one has; `make test-servers` makes it.
"""

import io
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from devise.datasets import samples
from devise.search.pictures import SMALL

PYTHON = os.environ.get("S3FS_PYTHON") or (sys.executable if find_spec("s3fs") else None)
pytestmark = pytest.mark.skipif(not PYTHON, reason="s3fs is not installed, and S3FS_PYTHON names no Python that has it")
NAMES = ("coffee.png", "grass.png", "moon.png", "rocket.jpg")
PAGE = """
import json, sys
from fastapi.testclient import TestClient
from devise import web
from devise.search import Search

def get(address):
    answer = client.get(address)
    return answer.status_code, answer.headers.get("cache-control"), answer.content.hex()

with TestClient(web.app(Search.load(sys.argv[1])), base_url="http://127.0.0.1") as client:
    asked = [get(f"/api/pictures/0/image?size={size}") for size in ("small", "large")]
    print(json.dumps(asked), flush=True)
    sys.stdin.readline()  # the server is gone now
    print(json.dumps([get(f"/api/pictures/1/image?size={size}") for size in ("small", "large")]))
"""


@pytest.fixture
def server(monkeypatch, tmp_path):
    """An S3 server; what runs meanwhile finds it in the environment."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("ray", reason="ray is not installed")
    started = moto.ThreadedMotoServer(port=0, verbose=False)
    started.start()
    for name, value in (("AWS_ENDPOINT_URL", "http://{}:{}".format(*started.get_host_and_port())),
                        ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"),
                        ("AWS_DEFAULT_REGION", "us-east-1"), ("DEVISE_HOME", str(tmp_path / "home")),
                        ("PYTHONPATH", str(Path(__file__).parents[2]))):
        monkeypatch.setenv(name, value)
    yield started
    started.stop()


@pytest.fixture
def bucket(server):
    """The URL of a folder of four photographs and a file that is none."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    images, client = samples(), boto3.client("s3")
    client.create_bucket(Bucket="shop")
    for row, path in enumerate(images.paths):
        if path in NAMES:
            client.upload_file(str(images.file(row)), "shop", f"photographs/{path[0]}/{path}")
    client.put_object(Bucket="shop", Key="photographs/broken.jpg", Body=b"no picture")
    return "s3://shop/photographs"


def answer(*argv):
    ran = subprocess.run([PYTHON, "-m", "devise", *map(str, argv), "--json"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def size(answered):
    status, _, content = answered
    assert status == 200
    return Image.open(io.BytesIO(bytes.fromhex(content))).size


def test_from_a_bucket_to_the_page(bucket, server, tmp_path):
    features, index, sheet = tmp_path / "features", tmp_path / "index", tmp_path / "sheet.png"
    extracted = answer("extract", bucket, "--workers", 1, "-o", features)
    assert [lost["path"] for lost in extracted["skipped"]] == [f"{bucket}/broken.jpg"]
    assert answer("index", features, "--thumbnails", "-o", index)["n"] == len(NAMES)
    found = answer("search", index, "--text", "coffee", "-k", 2, "--save", sheet)["results"][0]
    assert found["matches"][0]["path"] == f"{bucket}/c/coffee.png" and found["matches"][0]["label"] == "c"
    assert Image.open(sheet).width > 500
    page = subprocess.Popen([PYTHON, "-c", PAGE, index], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    small, large = json.loads(page.stdout.readline())
    server.stop()
    kept, standing_in = json.loads(page.communicate("\n")[0])
    assert min(size(small)) == min(size(kept)) == SMALL < min(size(large))
    assert size(standing_in) == size(kept) and standing_in[1] == "no-store" != large[1]
