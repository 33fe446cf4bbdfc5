import json

import pytest

from devise.bench import start


def test_each_command_is_run_beside_the_import_and_the_first_round_left_out(monkeypatch):
    asked = []

    def took(what, seconds):
        asked.append(what)
        return {"seconds": seconds * len(asked), "cpu_seconds": seconds, "peak_mib": 9.0}

    monkeypatch.setattr(start, "_ran", lambda *argv: took(argv[-1] if argv[0] == "-c" else argv[2], 4.0
                                                          if argv[0] == "-c" else 1.0))
    monkeypatch.setattr(start, "_served", lambda index: took("serve", 2.0))
    steps = []
    document = start.run(n=2, progress=lambda *step: steps.append(step))
    assert asked == ["index", *3 * ["import tensorflow", "tag", "search", "search", "serve"]]
    assert steps[-1] == (15, 15) and json.loads(json.dumps(document)) == document
    assert [row["cpu_seconds"] for row in document["rows"]] == [4.0, 1.0, 1.0, 1.0, 2.0]
    assert document["rows"][0]["seconds"] == 4.0 * (7 + 12) / 2
    assert document["ratios"]["cpu_seconds"]["devise serve, first answer"] == 0.5
    assert document["ratios"]["seconds"]["devise tag"] == pytest.approx((8 / 28 + 13 / 48) / 2)


def test_a_process_is_measured_and_one_that_fails_is_named():
    found = start._ran("-c", "held = bytearray(50_000_000)")
    assert 0 < found["cpu_seconds"] and 47 < found["peak_mib"] and 0 < found["seconds"]
    with pytest.raises(RuntimeError, match="-c raise SystemExit.3. failed with 3"):
        start._ran("-c", "raise SystemExit(3)")
