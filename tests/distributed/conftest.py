"""Ray on this machine, started once for the folder's tests, and a network that its workers can load."""

import os
import sys
from functools import partial
from importlib.util import find_spec

import pytest

from devise.distributed import ray as cluster


@pytest.fixture(scope="session")
def ray(make_backbone):
    """The package, connected to two processors of this machine, whose workers are sent what the conftests hold."""
    if find_spec("ray") is None:
        pytest.skip("ray is not installed")  # importorskip would import it before it is told to stay on loopback
    with cluster._connected(None, workers=2, cpus=1) as package:
        for module in {make_backbone.__module__, __name__}:
            package.cloudpickle.register_pickle_by_value(sys.modules[module])
        yield package


@pytest.fixture
def load_backbone(ray, make_backbone, tmp_path):
    """A function that loads the stub network in a worker and leaves the worker's process id in `pids`."""
    (tmp_path / "pids").mkdir()
    return partial(_load, make_backbone, tmp_path / "pids")


def _load(make_backbone, pids):
    (pids / str(os.getpid())).touch()
    return make_backbone()
