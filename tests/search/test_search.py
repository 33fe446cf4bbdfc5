import shutil
import subprocess
import sys

import numpy as np
import pytest

from devise import features, index
from devise.arrays import unit_rows
from devise.checks import check
from devise.datasets import from_folder, read_image
from devise.errors import MissingDependency
from devise.heads import RidgeHead
from devise.model import Devise, train_labels
from devise.model.sources import Words
from devise.search import Search


@pytest.fixture
def table(model):
    return model.table


@pytest.fixture
def search(model, table):
    return Search.build(model, table, engine="exact")


def test_the_engine_is_chosen_by_the_widest_space(model, table, monkeypatch):
    asked = []

    def choose(n, dim, *, options=()):
        asked.append((n, dim, options))
        return "exact", "for the test"

    monkeypatch.setattr("devise.index.choose", choose)
    built = Search.build(model, table)
    assert asked == [(40, 24, ())] and {part.engine for part in built.indexes.values()} == {"exact"}
    Search.build(model, table, spaces=["shared"])
    assert asked[1] == (40, 12, ())


def cosines(search, vector, space):
    """All cosines of a vector with the indexed pictures, computed from the features anew."""
    matrix = search.model.table.matrix
    rows = matrix if space == "raw" else search.model.spaces["shared"].embed(matrix)
    return unit_rows(rows) @ unit_rows(vector[None])[0]


def test_a_word_finds_pictures_by_cosine_in_the_shared_space(search):
    expected = cosines(search, search.model.embed_text("cat")[0], "shared")
    found = search.by_text("cat", k=5)
    assert found.space == "shared"
    assert [match.row for match in found.matches] == list(np.argsort(-expected, kind="stable")[:5])
    assert {match.label for match in found.matches} == {"cat"}
    np.testing.assert_allclose([match.score for match in found.matches], np.sort(expected)[::-1][:5], atol=1e-5)


def test_a_phrase_is_the_mean_of_its_words(search):
    expected = cosines(search, search.model.embed_text("red cat")[0], "shared")
    assert search.by_text("red cat", k=1).matches[0].row == expected.argmax()


@pytest.mark.parametrize("space", ["raw", "shared"])
def test_an_indexed_picture_is_left_out_of_its_own_answer(search, space, table):
    row = 7
    expected = cosines(search, unit_rows(table.matrix[row:row + 1])[0] if space == "raw" else
                       search.model.spaces["shared"].embed(table.matrix[row:row + 1])[0], space)
    expected[row] = -2
    found = search.by_image(table.images.paths[row], k=4, space=space)
    assert [match.row for match in found.matches] == list(np.argsort(-expected, kind="stable")[:4])


def test_the_file_of_an_indexed_picture_is_that_picture(search, drawn_folder):
    assert (search.by_image(drawn_folder / "cat/1.png", k=3).matches == search.by_image("cat/1.png", k=3).matches)


def test_a_copy_elsewhere_finds_the_original_first(search, drawn_folder, tmp_path):
    shutil.copy(drawn_folder / "dog/4.png", tmp_path / "stray.png")
    [best] = search.by_image(tmp_path / "stray.png", k=1).matches
    assert best.path == "dog/4.png" and best.score == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("space", ["raw", "shared"])
def test_pixels_and_features_are_asked_as_the_file_is(search, drawn_folder, tmp_path, model, space):
    path = tmp_path / "elsewhere.png"
    path.write_bytes((drawn_folder / "dog" / "3.png").read_bytes())
    pixels, features = read_image(path), model.features([path]).matrix[0]
    wanted = search.by_image(path, k=5, space=space)
    for query in (pixels, features):
        found = search.by_image(query, k=5, space=space)
        assert found.matches == wanted.matches and found.query == "a picture"
        assert search.tag(query, k=2) == search.tag(path, k=2)


def test_similarity_is_the_cosine(search, table):
    a, b = unit_rows(table.matrix[[3, 15]])
    names = table.images.paths
    assert search.similarity(names[3], names[15]) == pytest.approx(float(a @ b), abs=1e-6)
    assert search.similarity(names[3], names[3], space="shared") == pytest.approx(1, abs=1e-6)


def test_words_near_a_word(search, vocabulary):
    assert search.by_word("cat", k=1)[0][0] == "cats"


def test_tags_are_the_models_tags(search, drawn_folder, model):
    mine = search.tag("car/0.png", k=4, candidates="all")
    [theirs] = model.tag(drawn_folder / "car/0.png", k=4, candidates="all")
    assert [tag.name for tag in mine] == [tag.name for tag in theirs]
    np.testing.assert_allclose([tag.score for tag in mine], [tag.score for tag in theirs], atol=1e-5)


def test_k_above_the_size_gives_all(search):
    assert len(search.by_text("cat", k=1000).matches) == 40
    with pytest.raises(ValueError, match="at least 1"):
        search.by_text("cat", k=0)
    with pytest.raises(TypeError, match="the text is a list: expected one str, or .text: weight. .* by itself"):
        search.by_text(["cat", "dog"])
    with pytest.raises(ValueError, match="'cooked': expected raw, shared"):
        search.by_image("cat/0.png", space="cooked")


def test_saved_and_opened_in_a_new_process_it_answers_the_same(search, tmp_path, vocabulary, monkeypatch):
    search.save(tmp_path / "index")
    vocabulary.save(tmp_path / "words")
    code = ("import sys; from devise.search import Search; from devise.words import WordVectors;"
            "s = Search.load(sys.argv[1], words=WordVectors.load(sys.argv[2]));"
            "found = [*s.by_text('dog', k=6).matches, *s.by_image('cat/0.png', k=4).matches];"
            "print(*[match.row for match in found])")
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "index", tmp_path / "words"],
                         capture_output=True, text=True, check=True)
    expected = [*search.by_text("dog", k=6).matches, *search.by_image("cat/0.png", k=4).matches]
    assert run.stdout.split() == [str(match.row) for match in expected]


def test_saving_again_leaves_one_build(search, tmp_path):
    search.save(tmp_path / "index")
    search.save(tmp_path / "index")
    assert len([path for path in (tmp_path / "index").iterdir() if path.is_dir()]) == 1
    assert len(Search.load(tmp_path / "index")) == 40


def test_a_save_that_dies_leaves_the_old_index(search, tmp_path, monkeypatch):
    search.save(tmp_path / "index")

    def die(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(search.model, "save", die)
    with pytest.raises(KeyboardInterrupt):
        search.save(tmp_path / "index")
    assert len(Search.load(tmp_path / "index")) == 40


def test_pictures_without_any_feature_are_listed(model, table):
    matrix = np.array(table.matrix)
    matrix[5] = 0
    broken = features.FeatureTable(matrix, table.images, table.backbone)
    search = Search.build(model, broken, engine="exact")
    assert len(search) == 39
    assert search.images.skipped[-1] == (table.images.paths[5], "its features are all zero")


def test_features_of_another_backbone_are_refused(model, drawn_folder, make_backbone):
    with pytest.raises(ValueError, match="extract them with its backbone"):
        Search.build(model, features.compute(from_folder(drawn_folder), make_backbone(1)), engine="exact")


@pytest.mark.parametrize("engine", ["annoy", "usearch"])
def test_another_engine_answers_as_exact_does_on_a_small_set(engine, model, table, search):
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    other = Search.build(model, table, engine=engine)
    assert other.indexes["raw"].engine == engine
    for word in ("cat", "dog", "car"):
        found, expected = (each.by_text(word, k=3).matches for each in (other, search))
        assert {match.row for match in found} == {match.row for match in expected}


@pytest.fixture
def halves(model, table, tmp_path):
    """The folders of two indexes over the even and the odd pictures."""
    folders = [tmp_path / "even", tmp_path / "odd"]
    for start, folder in enumerate(folders):
        Search.build(model, table.subset(list(range(start, len(table), 2))), engine="exact").save(folder)
    return folders


def test_several_indexes_are_searched_as_one(halves, search, model, table):
    both = Search.load(*halves)
    both.model = model  # the one on disk can't know words that are in memory only
    assert sorted(both.images.paths) == sorted(table.images.paths) and len(both) == 40
    for found, expected in [(both.by_text("cat", 7), search.by_text("cat", 7)),
                            (both.by_image("dog/4.png", 7), search.by_image("dog/4.png", 7)),
                            (both.by_image("dog/5.png", 7, space="shared"),
                             search.by_image("dog/5.png", 7, space="shared"))]:
        assert [(match.path, match.label) for match in found.matches] == [
            (match.path, match.label) for match in expected.matches]
        np.testing.assert_allclose([match.score for match in found.matches],
                                   [match.score for match in expected.matches], atol=1e-6)
        assert all(both.images.file(match.row).is_file() for match in found.matches)


def test_a_picture_in_two_folders_is_found_once(halves, search, model, table, tmp_path):
    Search.build(model, table.subset([1, 2, 3]), engine="exact").save(tmp_path / "again")
    three = Search.load(*halves, tmp_path / "again")
    path = table.images.paths[1]
    found = [match.path for match in three.by_image(path, 40).matches]
    assert sorted([*found, path]) == sorted(table.images.paths)
    assert found == [match.path for match in search.by_image(path, 40).matches]


@pytest.fixture(params=[*index.engines(), "milvus with a uri"])
def kept(request, model, table, tmp_path):
    """The folders of two indexes that share pictures, below `kept`, and what reads the rows of their databases."""
    engine, options, folders = request.param.split()[0], {}, [tmp_path / "kept" / name for name in ("one", "two")]
    if request.param.endswith("uri"):
        options = {"uri": str(tmp_path / "pictures.db")}
    built = []
    try:
        for start, folder in zip((0, 15), folders, strict=True):
            built.append(Search.build(model, table.subset(list(range(start, start + 25))), engine=engine, **options))
            built[-1].save(folder)
    except MissingDependency as error:
        pytest.skip(str(error))
    return folders, lambda: [part.vectors(part.ids).tobytes() for search in built for part in search.indexes.values()]


def test_what_asks_changes_nothing(kept, model, table, tmp_path):
    """Not a byte of the folders, and not a row of a database, whatever the engine."""
    def contents():
        return {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()}

    folders, rows = kept
    before, rows_before = contents(), rows()
    for opened in (Search.load(folders[0]), Search.load(*folders), Search.load(*folders[::-1])):
        opened.model = model
        opened.by_text("cat", 30)
        opened.by_word("cat")
        opened.tag(table.images.paths[20])
        opened.similarity(*table.images.paths[18:20])
        opened.vector(table.images.paths[20], "shared")
        opened.by_change(table.images.paths[20], plus=["dog"])
        found = opened.by_image(table.images.paths[20], 100)
        assert len({match.path for match in found.matches}) == len(found.matches) == len(set(opened.images.paths)) - 1
    check(*folders)
    assert contents() == before and rows() == rows_before
    assert [len(Search.load(folder)) for folder in folders] == [25, 25]


def test_an_index_in_a_database_is_its_folders(model, table, tmp_path, monkeypatch):
    """Saved elsewhere it leaves the first as it is, built again it drops what it had, killed before the end nothing."""
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")

    def build(rows, folder):
        Search.build(model, table.subset(rows), engine="milvus", uri=str(tmp_path / "pictures.db")).save(folder)
        return collections()

    def collections():
        return set(Search.load(first).indexes["raw"]._client.list_collections())

    def of(folder):
        return {part.collection for part in Search.load(folder).indexes.values()}

    first, second = tmp_path / "first", tmp_path / "second"
    assert build(list(range(20)), first) == of(first)
    more = Search.load(first)
    more.model = model
    more.add(table.subset([30, 31]))
    more.save(second)  # devise index first … --add -o second
    assert [len(Search.load(folder)) for folder in (first, second)] == [20, 22] and not of(first) & of(second)
    assert build(list(range(25)), first) == of(first) | of(second)
    before = of(first)

    monkeypatch.setattr(model, "save", lambda folder: 1 / 0)  # after the indexes, before the end
    with pytest.raises(ZeroDivisionError):
        build(list(range(25)), first)
    monkeypatch.undo()
    assert of(first) == before and len(Search.load(first)) == 25
    assert len(collections()) == 6
    [found] = check(first, repair=True)
    assert found.ok and len([note for note in found.notes if "is dropped" in note]) == 2
    assert collections() == of(first) | of(second)

    copy = tmp_path / "copy"
    shutil.copytree(first, copy)
    Search.build(model, table.subset(list(range(25))), engine="exact").save(copy)  # in its place, and no more
    assert check(copy, repair=True)[0].ok and of(first) == before and len(Search.load(first)) == 25
    moved = first.rename(tmp_path / "moved")
    Search.load(moved).save(moved)
    assert of(moved) == before and len(Search.load(moved)) == 25


def test_a_joined_index_with_a_picture_twice_can_be_saved(model, table, tmp_path):
    for name, rows in (("one", [0, 1, 2]), ("two", [2, 3])):
        Search.build(model, table.subset(rows), engine="exact").save(tmp_path / name)
    both = Search.load(tmp_path / "one", tmp_path / "two")
    assert both.rows.tolist() == [0, 1, 2, 4] and len(both) == 5
    assert repr(both) == f"Search(4 pictures: {', '.join(both.indexes)})"
    both.save(tmp_path / "both")
    found = Search.load(tmp_path / "both").by_image(table.images.paths[0], 9).matches
    assert found == both.by_image(table.images.paths[0], 9).matches and len(found) == 3


def test_indexes_of_different_models_are_not_mixed(halves, table, backbone, vocabulary, tmp_path):
    other = train_labels(table, vocabulary, backbone=backbone, head=RidgeHead(), unseen=["cat"])
    Search.build(other, table, engine="exact").save(tmp_path / "other")
    with pytest.raises(ValueError, match="even and .*other are of different models or spaces"):
        Search.load(halves[0], tmp_path / "other")


def test_a_joined_index_can_be_saved_as_one(halves, tmp_path):
    both = Search.load(*halves)
    both.save(tmp_path / "both")
    again = Search.load(tmp_path / "both")
    assert again.indexes["raw"].engine == "sharded"
    assert again.by_image("dog/4.png", 5).matches == both.by_image("dog/4.png", 5).matches


def test_an_opened_index_needs_its_folder_no_more(search, tmp_path, drawn_folder, backbone, vocabulary):
    """Another process may save the index anew while a page answers from the old one."""
    search.save(tmp_path / "index")
    opened = Search.load(tmp_path / "index", words=vocabulary)
    search.save(tmp_path / "index")
    opened.model.network._backbone = backbone
    asked = next(drawn_folder.rglob("*.png"))
    assert opened.by_image(shutil.copy(asked, tmp_path / "new.png"), space="shared", k=1).matches
    assert opened.by_text("cat", k=1).matches


def test_weak_answers_to_a_text_are_marked_and_left_out_where_asked(drawn_space, backbone, vocabulary, drawn_folder):
    space = drawn_space(Words(vocabulary), 24, seed=2)
    search = Search.build(Devise(backbone, Words(vocabulary), {"shared": space}), drawn_folder, engine="exact",
                          spaces=["shared"])
    for rate in (None, 0.1, 0.05):
        for text in ("cat", "red car", "ocean"):
            found = search.by_text(text, len(search), false_accept_rate=rate)
            [threshold] = space.text.thresholds(space.text.embed(text), rate)
            assert found.threshold == pytest.approx(threshold)
            assert found.known == (found.matches[0].score >= threshold)
            assert list(found.weak) == [match.score < threshold for match in found.matches]
            assert list(found.to_frame()["weak"]) == list(found.weak)
            kept = search.by_text(text, len(search), reject=True, false_accept_rate=rate)
            assert kept.matches == tuple(match for match in found.matches if match.score >= threshold)
    assert not search.by_text("dollar bill", 3, reject=True, false_accept_rate=0.01).matches


def test_a_text_of_a_space_without_thresholds_is_never_weak(model, table):
    search = Search.build(model, table, engine="exact")
    found = search.by_text("cat", 3)
    assert found.threshold is None and found.known is None and found.weak == (False,) * 3
    for options in ({"reject": True}, {"false_accept_rate": 0.1}):
        with pytest.raises(ValueError, match="no threshold of texts to reject by"):
            search.by_text("cat", 3, **options)
