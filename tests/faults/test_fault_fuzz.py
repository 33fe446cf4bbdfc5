"""Coverage-guided fuzzing of the readers of foreign files (atheris), ten minutes each at full size."""

import re
import subprocess
from importlib.util import find_spec

import pytest

READERS = ("pth", "vectors", "labels", "json-labels", "captions")


@pytest.mark.skipif(not find_spec("atheris"), reason="atheris is not installed: pip install 'devise-vse[faults]'")
@pytest.mark.parametrize("reader", READERS)
def test_readers_refuse_by_name_or_read(reader, program, tmp_path, size, count):
    """Any other error than a ValueError that names the file, a hang or a swelling ends the run."""
    seconds, runs = size(20, 600), size(500, -1)
    with program("fuzz.py", reader, tmp_path, seconds, runs, stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT) as process:
        told, _ = process.communicate()
    found = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert process.returncode == 0 and not found, f"{found[:1]!r}\n{told[-3000:]}"
    runs = int(re.search(r"number_of_executed_units: *(\d+)", told)[1])
    assert runs > 100
    count(f"fuzzed, {reader}", inputs=runs, seconds=seconds, findings=0)
