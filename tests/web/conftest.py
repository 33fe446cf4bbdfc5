"""A page over a tiny drawn index, its network the stub, asked in this process."""

import contextlib
import functools
import io
import shutil
import threading
from dataclasses import replace

import pytest
from PIL import Image

from devise import features
from devise.datasets import from_folder
from devise.heads import RawHead, RidgeHead
from devise.model import Devise, Space, train_labels
from devise.search import Search


@pytest.fixture(scope="session")
def drawn(drawn_folder, make_backbone, vocabulary):
    """A Search over 40 pictures of four classes, in the spaces raw and shared."""
    network = make_backbone()
    table = features.compute(from_folder(drawn_folder), network)
    model = train_labels(table, vocabulary, backbone=network, head=RidgeHead(), unseen=["horse"])
    return Search.build(model, table, engine="exact")


@pytest.fixture
def search(drawn, tmp_path):
    """The index over a copy of the pictures, so that a test may spoil them."""
    root = shutil.copytree(drawn.images.root, tmp_path / "copied")
    return Search(drawn.model, replace(drawn.images, root=root), drawn.indexes)


@contextlib.contextmanager
def clients():
    """Makes clients of new apps over a Search; they end with it."""
    testclient = pytest.importorskip("fastapi.testclient")
    from devise import web

    with contextlib.ExitStack() as opened:
        def make(over, **options):
            app = web.app(over, **options)
            client = opened.enter_context(
                testclient.TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False))
            client.service = app.service
            return client

        yield make


@pytest.fixture
def ask(search):
    """Makes a client of a new app: `ask(token=…, limits=…)`."""
    with clients() as make:
        yield lambda over=search, **options: make(over, **options)


@pytest.fixture(scope="module")
def reader(drawn):
    """Gives a client of an app over `drawn`, of the same app for the same options; for what changes nothing of it."""
    with clients() as make:
        yield functools.cache(functools.partial(make, drawn))


@pytest.fixture
def client(ask):
    return ask()


@pytest.fixture
def served(search):
    """A real server on a free port of this machine; gives its address."""
    pytest.importorskip("uvicorn")
    from devise import web

    running = []

    def start(over=search, **options):
        server = web.Server(web.app(over, **options), port=0)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server, thread in running:
        server.stop()
        thread.join()


@pytest.fixture
def learnt(search):
    """The same pictures in a space that has a threshold and no words, as `train_classes` makes one."""
    network = search.model.backbone
    space = Space(RawHead(network.dim), threshold=2.0, calibration={"asked": 0.01})
    return Search(Devise(network, None, {"learnt": space}), search.images, {"learnt": search.indexes["raw"]})


@pytest.fixture
def folders(search, tmp_path):
    """Two indexes of the same pictures by name, in other folders."""
    for name in ("one", "two"):
        root = shutil.copytree(search.images.root, tmp_path / f"pictures-{name}")
        images = replace(search.images, root=root)
        Search(search.model.with_space("raw", search.model.spaces["raw"]), images, {"raw": search.indexes["raw"]}).save(
            tmp_path / name)
    return [tmp_path / "one", tmp_path / "two"]


@pytest.fixture
def both(folders, search, vocabulary):
    opened = Search.load(*folders, words=vocabulary)
    opened.model = search.model
    return opened


@pytest.fixture
def draw():
    """The bytes of a drawn picture."""
    def make(colour=(220, 40, 40), size=(32, 24), kind="PNG", **options):
        held = io.BytesIO()
        Image.new("RGB", size, colour).save(held, kind, **options)
        return held.getvalue()
    return make
