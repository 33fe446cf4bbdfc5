"""Several processes at one artefact: readers beside a writer, and writers beside one another."""

import pytest

ACTS = ("extract", "train", "build", "save:exact", "convert")


@pytest.mark.parametrize("act", ACTS)
def test_readers_during_a_rebuild_see_whole_states(act, forks, memory, size, count):
    readers, looks = size(3, 50), size(4, 40)
    assert forks(act, "act", memory / "artefact", number=0)["exit"] == 0
    told = forks(act, "crowd", memory / "artefact", number=0, readers=readers, looks=looks)
    assert told["failed"] == 0 and told["alive"]
    assert told["answer"] > 0, "nothing was rebuilt meanwhile: the test proves nothing"
    count(f"readers during a rebuild, {act}", readers=readers, looks=readers * looks, failed=0,
          rebuilds=told["answer"])


@pytest.mark.parametrize("same", [True, False], ids=["the-same", "others"])
@pytest.mark.parametrize("act", ACTS)
def test_processes_that_build_one_artefact_at_once(act, same, forks, memory, size, count):
    writers, acts = size(2, 4), size(3, 25)
    told = forks(act, "race", memory / "artefact", number=0, writers=writers, acts=acts, same=same)
    assert told["exit"] == 0, told["answer"]
    assert told["failed"] == 0 and told["answer"] is not None
    count(f"writers at once, {act}, {'the same' if same else 'others'}", writers=writers, acts=writers * acts, failed=0)
