"""An index that is saved in the place of the one that it was opened from, and of one that others changed."""

import pytest

from devise import features
from devise.search import Search


@pytest.fixture
def table(model, picture_folder):
    return features.compute(picture_folder, model.backbone)


@pytest.fixture
def folder(model, table, tmp_path):
    Search.build(model, table.subset(range(20)), engine="exact").save(tmp_path / "index")
    return tmp_path / "index"


def lacking(search, paths):
    search.remove(paths)
    return search


def test_what_was_taken_out_of_an_index_goes_without_overwrite(folder, tmp_path):
    search = Search.load(folder)
    for row in range(2):
        first = search.images.paths[0]
        lacking(search, first).save(folder)
        assert len(Search.load(folder)) == 19 - row and first not in Search.load(folder).images.paths
    other = tmp_path / "other"
    search.save(other)
    with pytest.raises(FileExistsError, match="1 of 18 pictures, such as .* are not in the new one"):
        lacking(Search.load(folder), search.images.paths[0]).save(other)
    assert len(Search.load(other)) == 18


@pytest.mark.parametrize("change", ["add", "remove"])
@pytest.mark.parametrize("other", ["add", "remove"])
def test_a_change_is_not_saved_over_that_of_another(change, other, folder, table):
    def changed(how, start):
        search = Search.load(folder)
        if how == "add":
            search.add(table.subset(range(20 + start, 25 + start)))
        else:
            search.remove(search.images.paths[start:start + 5])
        return search

    mine, theirs = changed(change, 0), changed(other, 5)
    theirs.save(folder)
    with pytest.raises(FileExistsError, match=rf"changed by somebody else .*, {len(theirs)} pictures are in it now"):
        mine.save(folder)
    assert sorted(Search.load(folder).images.paths) == sorted(theirs.images.paths)
    mine.save(folder, overwrite=True)
    assert sorted(Search.load(folder).images.paths) == sorted(mine.images.paths)


def test_an_index_of_a_folder_that_was_renamed_is_saved_again(folder, table, model, picture_folder):
    moved = picture_folder.rename(picture_folder.with_name("renamed"))
    search = Search.load(folder)
    search.add(features.compute(moved, model.backbone))
    search.save(folder)
    assert {moved / path for path in Search.load(folder).images.paths} == {moved / path for path in table.images.paths}
