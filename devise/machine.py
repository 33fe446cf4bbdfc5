"""What a measurement has to say about the machine it was made on, and the memory a process holds."""

import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "gensim", "keras", "tensorflow", "tensorflow-cpu", "annoy", "faiss-cpu", "hnswlib",
            "usearch", "pymilvus", "milvus-lite", "onnxruntime", "openvino")


def machine() -> dict[str, Any]:
    """Processors, system and versions, ready for JSON; nothing that names the machine.

    >>> sorted(machine())
    ['architecture', 'cpus', 'python', 'system', 'versions']
    """
    return {"cpus": cpus(), "system": platform.system(), "architecture": platform.machine(),
            "python": platform.python_version(), "versions": _versions()}


def cpus() -> int:
    """The number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory(pid: int | None = None) -> tuple[int, int]:
    """What a process holds in RAM now, and the most it has held, in bytes; mapped pages count.

    Where the system does not tell the first, it is the second too.

    Args:
        pid: of the process; None for this one, of which alone every system tells.
    """
    status = Path("/proc") / str(pid or "self") / "status"
    if status.exists():  # getrusage would count what the process was before it became this program
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        now, most = (int(fields[field].split()[0]) * 1024 for field in ("VmRSS", "VmHWM"))
        return now, most
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, peak


def proportional() -> int | None:
    """This process's share of the memory it holds (Pss: a page that three processes hold counts a third), in bytes.

    None where the system does not tell.
    """
    pages = Path("/proc/self/smaps_rollup")
    if not pages.exists():
        return None
    fields = dict(line.split(":", 1) for line in pages.read_text().splitlines()[1:])
    return int(fields["Pss"].split()[0]) * 1024


def _versions():
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
