"""devise check: its exit code, and what it prints of a problem."""


def test_a_problem_changes_the_exit_code_and_says_what_to_do(devise, answer, index, picture_folder):
    assert answer("check", index)["ok"]
    (picture_folder / "cat/0.png").unlink()
    ran = devise("check", index)
    assert ran.code == 1
    assert f"✗ {index} (search): pictures 40" in ran.out
    assert "1 of 40 pictures are not where they were: cat/0.png\n    → bring them back below" in ran.out
    [place] = answer("check", index, code=1)["places"]
    assert set(place["problems"][0]) == {"place", "what", "do"}


def test_a_place_that_is_none(devise):
    ran = devise("check", "nowhere")
    assert ran.code == 1 and ran.err == ("devise check: nowhere does not exist: expected a folder that devise wrote, "
                                         "or caltech37\n")
