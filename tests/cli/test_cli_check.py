"""devise check: its exit code, and what it prints of a problem."""


def test_a_problem_changes_the_exit_code_and_says_what_to_do(devise, answer, index, picture_folder):
    assert answer("check", index)["ok"]
    (picture_folder / "cat/0.png").unlink()
    ran = devise("check", index)
    assert ran.code == 1
    told = " ".join(ran.out.split())
    assert told.startswith("1 place, 1 problem place kind ✗ ") and f"✗ {index} search - ✗ {picture_folder}: " in told
    assert "1 of 40 pictures are not where they were: cat/0.png: bring them back below" in told
    assert f"or devise sync {index} with the folder that they are in now" in told
    assert f"- {index}: pictures 40, spaces " in told
    [place] = answer("check", index, code=1)["places"]
    assert set(place["problems"][0]) == {"place", "what", "do"}


def test_a_place_that_is_none(devise):
    ran = devise("check", "nowhere")
    assert ran.code == 1 and ran.err == ("devise check: nowhere does not exist: expected a folder that devise wrote, "
                                         "or caltech37\n")
    assert "did you mean caltech37?" in devise("check", "caltech3").err


def test_every_kind_of_model_is_known(answer, learnt, learnt_index, told, told_index):
    for model, index in ((learnt, learnt_index), (told, told_index)):
        found = answer("check", model, index)
        assert [place["kind"] for place in found["places"]] == ["model", "search"] and found["ok"]


def test_repair_is_done_before_the_check_and_told(answer, index, monkeypatch):
    monkeypatch.setattr("devise.checks.contents.repair", lambda folder: [f"repaired {folder}"])
    assert f"repaired {index}" in answer("check", index, "--repair")["places"][0]["notes"]
    assert not any("repaired" in note for note in answer("check", index)["places"][0]["notes"])
