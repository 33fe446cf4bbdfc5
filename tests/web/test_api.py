"""The API answers as the Python API does, and says why where it does not."""

import io
import statistics
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from devise.model import changed

PNG = {"content-type": "image/png"}


def rows(document):
    return [(match["id"], match["label"], pytest.approx(match["score"])) for match in document["matches"]]


def wanted(results):
    return [(match.row, match.label, match.score) for match in results.matches]


def problem(answer, status):
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    return answer.json()["error"]


def test_a_text_finds_what_the_search_finds(reader, drawn):
    document = reader().get("/api/by-text", params={"text": "Ocean", "k": 5}).json()
    assert rows(document) == wanted(drawn.by_text("Ocean", 5))
    assert (document["space"], document["total"], document["text"]) == ("shared", 40, "Ocean")
    assert document["threshold"] is document["known"] is document["picture"] is None


@pytest.mark.parametrize("space", [None, "raw", "shared"])
def test_an_indexed_picture_finds_others(reader, drawn, space):
    params = {"id": 7, "k": 6} | ({"space": space} if space else {})
    document = reader().get("/api/by-picture", params=params).json()
    assert rows(document) == wanted(drawn.by_image(drawn.images.paths[7], 6, space=space))
    assert 7 not in {match["id"] for match in document["matches"]}
    assert document["picture"]["id"] == 7 and document["space"] == (space or "raw")


@pytest.mark.parametrize(("plus", "minus"), [(["Ocean", "red cat"], ["dog"]), ([], ["dog"])])
def test_a_picture_changed_by_words_finds_what_the_search_finds(reader, drawn, plus, minus):
    document = reader().get("/api/by-change", params={"id": 7, "k": 6, "plus": plus, "minus": minus}).json()
    assert rows(document) == wanted(drawn.by_change(drawn.images.paths[7], 6, plus=plus, minus=minus))
    assert (document["picture"]["id"], document["space"]) == (7, "shared")
    assert (document["plus"], document["minus"]) == (plus, minus)


def test_signs_of_a_text_further_pictures_and_a_condition(reader, drawn):
    client = reader()
    where = "width=32 and name~7 or label=dog"
    asked = {"k": 9, "where": where}
    document = client.get("/api/by-text", params=asked | {"text": "cat -ocean", "also": [3, 17]}).json()
    assert rows(document) == wanted(drawn.by_text({"cat": 1, "ocean": -1}, 9, also=[3, 17], where=where))
    assert [picture["id"] for picture in document["also"]] == [3, 17]
    assert (document["where"], document["selected"], document["lacking"]) == (where, 13, {})
    document = client.get("/api/by-picture", params=asked | {"id": 7}).json()
    assert rows(document) == wanted(drawn.by_image(7, 9, where=where)) and document["selected"] == 13
    document = client.get("/api/by-change", params=asked | {"id": 7, "plus": "cat"}).json()
    assert rows(document) == wanted(drawn.by_change(7, 9, plus="cat", where=where))
    lacking = client.get("/api/by-text", params={"text": "cat", "where": "taken=2024"}).json()
    assert (lacking["matches"], lacking["selected"], lacking["lacking"]) == ([], 0, {"taken": 40})
    error = problem(client.get("/api/by-text", params={"text": "cat", "where": "takn=2024"}), 422)
    assert error["code"] == "wrong_condition" and "did you mean taken" in error["message"]
    assert problem(client.get("/api/by-text?text=cat&also=40"), 404)["code"] == "unknown_picture"
    assert client.get("/api/by-text", params={"text": "cat", "where": " "}).json()["where"] is None
    error = problem(client.get("/api/by-text", params={"text": "ocean -catz"}), 404)
    assert error["code"] == "unknown_word" and "ocean -cat" in error["suggestions"]


def test_a_change_that_can_not_be_made(client, ask, learnt):
    assert "nothing to change" in problem(client.get("/api/by-change?id=7"), 422)["message"]
    error = problem(client.get("/api/by-change?id=7&plus=ocean&minus=catz"), 404)
    assert error["code"] == "unknown_word" and "cat" in error["suggestions"]
    assert problem(client.get("/api/by-change?id=40&plus=cat"), 404)["code"] == "unknown_picture"
    assert "plus" in problem(client.get("/api/by-change?id=7" + "&plus=cat" * 9), 422)["message"]
    assert problem(ask(learnt).get("/api/by-change?id=7&plus=cat"), 409)["code"] == "no_words"


@pytest.mark.parametrize("space", ["raw", "shared"])
def test_an_upload_finds_what_its_file_finds(reader, drawn, draw, tmp_path, space):
    client = reader()
    (tmp_path / "red.png").write_bytes(draw())
    document = client.post(f"/api/by-picture?k=5&space={space}", content=draw(), headers=PNG).json()
    assert rows(document) == wanted(drawn.by_image(tmp_path / "red.png", 5, space=space))
    tags = client.post("/api/tags?k=3", content=draw(), headers=PNG).json()["tags"]
    names = drawn.tag(tmp_path / "red.png", 3)
    assert [(tag["name"], pytest.approx(tag["score"]), tag["weak"]) for tag in tags] == [tuple(tag) for tag in names]


def test_an_upload_goes_through_the_network_once(client, search, draw):
    client.service.warm()
    before = search.model.backbone.calls
    for address in ("/api/by-picture", "/api/tags", "/api/by-picture?k=3"):
        assert client.post(address, content=draw((1, 2, 3)), headers=PNG).status_code == 200
    assert search.model.backbone.calls == before + 1


def test_tags_of_an_indexed_picture(reader, drawn):
    document = reader().get("/api/tags", params={"id": 3, "k": 4}).json()
    expected = drawn.tag(drawn.images.paths[3], 4)
    assert [(tag["name"], pytest.approx(tag["score"]), tag["weak"]) for tag in document["tags"]] == [
        tuple(tag) for tag in expected]
    assert "the" not in {tag["name"] for tag in document["tags"]} and document["candidates"] < 11


def test_words_near_a_word_and_the_similarity_of_two_pictures(reader, drawn):
    client = reader()
    words = client.get("/api/by-word", params={"word": "cat", "k": 2}).json()["words"]
    assert [(one["word"], pytest.approx(one["score"])) for one in words] == drawn.by_word("cat", 2)
    found = client.get("/api/similarity", params={"first": 0, "second": 12}).json()
    assert found == {"space": "raw", "score": pytest.approx(drawn.similarity(*np.take(drawn.images.paths, [0, 12])))}


@pytest.mark.parametrize(("address", "itself"), [
    ("/api/by-text?text=horse&k=40", ()), ("/api/by-picture?id=7&k=40", (7,)),
    ("/api/by-change?id=7&plus=cat&k=40", (7,))])
def test_a_score_means_how_far_it_stands_out(reader, drawn, address, itself):
    matches = reader().get(address).json()["matches"]
    scores = [match["score"] for match in matches]  # all of the 40 stand for the others
    if "change" in address:
        change = changed(drawn.model, drawn.vector(7, "shared")[1][None], plus=["cat"])[0]
        scores.append(float(change @ drawn.vector(7, "shared")[1]))
    else:
        scores += [1.0] * len(itself)
    middle = statistics.median(scores)
    spread = 1.4826 * statistics.median(abs(score - middle) for score in scores)
    at_chance = 1.959964  # one of 40 is higher
    levels = {"strong": at_chance, "fair": at_chance / 2, "weak": -np.inf}
    for match in matches:
        height = (match["score"] - middle) / spread
        assert match["strength"] == next(word for word, least in levels.items() if height >= least)
    assert [match["strength"] for match in matches] == sorted(
        (match["strength"] for match in matches), key=list(levels).index)


def test_a_score_means_what_a_threshold_says_of_it(ask, learnt):
    for threshold, word in ((2.0, "weak"), (-2.0, "strong")):
        space = replace(learnt.model.spaces["learnt"], threshold=threshold)
        model = type(learnt.model)(learnt.model.backbone, None, {"learnt": space})
        found = ask(type(learnt)(model, learnt.images, learnt.indexes)).get("/api/by-picture?id=7&k=40").json()
        assert {match["strength"] for match in found["matches"]} == {word}


def test_a_picture_is_said_in_words(ask, search):
    names = ["IMG_2031.png", "hubbleDeep_field-2.png", "seaside/old lighthouse.png", "DSC00012.png"]
    images = replace(search.images, paths=(*names, *search.images.paths[4:]), label_names=("grand_piano", "cat"),
                     labels=np.array([-1] * 3 + [0] + [1] * 36))
    client = ask(type(search)(search.model, images, search.indexes))
    said = [client.get(f"/api/pictures/{row}").json()["alt"] for row in range(5)]
    tags = " or ".join(tag.name for tag in search.tag(0, 2))
    assert said == [f"perhaps {tags}", "hubble Deep field", "old lighthouse", "grand piano", "cat"]


def test_an_unknown_word_comes_with_near_ones(reader):
    client = reader()
    error = problem(client.get("/api/by-text", params={"text": "red catz"}), 404)
    assert error["code"] == "unknown_word" and error["suggestions"][0] == "red cat"
    again = problem(client.get("/api/by-text", params={"text": "red catz", "k": 3}), 404)
    assert again == error
    assert problem(client.get("/api/by-word", params={"word": "oceann"}), 404)["suggestions"] == ["ocean"]
    assert problem(client.get("/api/by-text", params={"text": "zzzzqqqq"}), 404)["suggestions"] == []


@pytest.mark.parametrize("address, said", [
    ("/api/by-text", "text: field required"), ("/api/by-text?text=cat&k=0", "k: "),
    ("/api/by-text?text=cat&k=201", "k: "), ("/api/by-text?text=cat&k=many", "k: "), ("/api/by-text?text=", "text: "),
    (f"/api/by-text?text={'a' * 201}", "text: "),
    ("/api/by-text?text=%20%20", "expected one word or several"), ("/api/by-picture?id=-1", "id: "),
    ("/api/by-picture?id=1&space=nowhere", "space: input should be 'raw' or 'shared'"), ("/api/pictures/x", "id: "),
    ("/api/by-text?text=cat&wher=width>10", "there is no parameter 'wher': did you mean where?"),
    ("/api/by-picture?id=1&text=cat", "there is no parameter 'text': expected id, k, space, where"),
    ("/api/pictures/1?size=large", "there is no parameter 'size': this address takes none")])
def test_wrong_values_are_named(reader, address, said):
    assert said in problem(reader().get(address), 422)["message"]


@pytest.mark.parametrize("address", ["/api/by-picture?id=40", "/api/tags?id=40", "/api/similarity?first=0&second=40",
                                     "/api/pictures/40", "/api/pictures/40/image", f"/api/pictures/{10**30}/image"])
def test_a_picture_that_is_none(reader, address):
    assert problem(reader().get(address), 404)["code"] == "unknown_picture"


def test_other_addresses_and_methods(reader):
    client = reader()
    assert problem(client.get("/nothing"), 404)["code"] == "unknown_address"
    answer = client.put("/api/info")
    assert problem(answer, 405)["code"] == "wrong_method" and answer.headers["allow"] == "GET"


def test_an_index_without_words(ask, learnt, draw):
    client = ask(learnt)
    info = client.get("/api/info").json()
    assert (info["words"], info["tags"], info["examples"], info["spaces"]) == (None, False, [], ["learnt"])
    assert problem(client.get("/api/by-text?text=cat"), 409)["code"] == "no_words"
    assert problem(client.get("/api/tags?id=1"), 409)["code"] == "no_words"
    found = client.post("/api/by-picture", content=draw(), headers=PNG).json()
    assert found["known"] is False and found["threshold"] == 2 and found["matches"]  # nothing has a cosine of 2


def test_a_threshold_that_lets_all_in_is_null(ask, learnt):
    learnt.model = learnt.model.with_space("learnt", replace(learnt.model.spaces["learnt"], threshold=-np.inf))
    found = ask(learnt).get("/api/by-picture?id=1").json()
    assert found["known"] is True and found["threshold"] is None


def test_info_and_health(reader):
    client = reader()
    info = client.get("/api/info").json()
    assert (info["pictures"], info["classes"], info["spaces"]) == (40, 4, ["raw", "shared"])
    assert set(info["examples"]) == {"cat", "dog", "horse", "car"} and info["network"] == "thumbnail"
    assert info["limits"]["k"] == 200 and info["words"] == "11 words of small"
    client.service.warm()
    assert client.get("/api/health").json() == {"status": "ok", "network": "ready", "reason": None,
                                                "outdated": False}


def test_a_network_that_can_not_be_loaded(ask, search, draw, monkeypatch):
    def fail(self):
        raise ValueError("/secret/weights are gone")

    monkeypatch.setattr(type(search.model), "backbone", property(fail))
    client = ask()
    error = problem(client.post("/api/by-picture", content=draw(), headers=PNG), 503)
    assert error["code"] == "no_network" and "secret" not in error["message"]
    assert client.get("/api/by-text?text=cat").status_code == 200
    with pytest.raises(Exception, match="can't be loaded"):
        client.service.warm()
    assert client.get("/api/health").json()["network"] == "failed"


def test_an_application_may_be_ended_and_begun_again(ask, draw):
    client = ask()
    client.__exit__(None, None, None)
    client.__enter__()
    assert client.get("/api/by-text?text=cat").status_code == 200
    assert client.post("/api/by-picture", content=draw(), headers=PNG).status_code == 200


def test_the_sample_is_drawn_by_its_seed(reader):
    first, again, other = (reader().get(f"/api/pictures?k=10&seed={seed}").json() for seed in (1, 1, 2))
    assert first == again != other and first["total"] == 40
    assert len({picture["id"] for picture in first["pictures"]}) == 10


def test_an_error_nobody_foresaw_keeps_its_words_to_itself(client, monkeypatch):
    monkeypatch.setattr(client.service, "sample", lambda *asked: {}["/home/secret"])
    error = problem(client.get("/api/pictures"), 500)
    assert error["code"] == "internal" and "secret" not in str(error)


def test_the_openapi_document_tells_of_every_answer(reader):
    client = reader()
    document = client.get("/openapi.json").json()
    assert {"/api/by-text", "/api/by-picture", "/api/tags", "/api/health", "/api/info"} <= set(document["paths"])
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert {"200", "4XX", "503"} <= set(operation["responses"]), path
            assert operation["responses"]["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith("/Failure")
    page = client.get("/api").text
    assert all(f"<code>{path}</code>" in page for path in document["paths"])
    assert "<script" not in page


def test_a_copy_is_small_upright_and_bare(ask, search, tmp_path):
    root = tmp_path / "one"
    root.mkdir()
    tall = Image.new("RGB", (1600, 800), "blue")
    tall.paste("red", (0, 0, 800, 800))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    tall.save(root / "a.jpg", exif=exif)
    search.images.__dict__.update(root=root, paths=("a.jpg",) * 40)
    client = ask()
    for size, shape in [("small", (360, 720)), ("large", (800, 1600))]:
        answer = client.get(f"/api/pictures/0/image?size={size}")
        copy = Image.open(io.BytesIO(answer.content))
        assert (copy.format, copy.size) == ("JPEG", shape) and b"taken at home" not in answer.content
        assert not copy.getexif() and copy.getpixel((100, 40))[0] > 200 and copy.getpixel((100, shape[1] - 40))[2] > 200


def test_a_copy_is_asked_for_once(client, search):
    first = client.get("/api/pictures/3/image")
    assert first.status_code == 200 and "max-age" in first.headers["cache-control"]
    tag = {"if-none-match": first.headers["etag"]}
    again = client.get("/api/pictures/3/image", headers=tag)
    assert again.status_code == 304 and not again.content and again.headers["etag"] == first.headers["etag"]
    Image.new("RGB", (50, 50), "white").save(search.images.file(3))
    changed = client.get("/api/pictures/3/image", headers=tag)
    assert changed.status_code == 200 and changed.content != first.content


def test_a_file_that_is_gone_or_damaged_says_so_and_not_where_it_was(client, search, tmp_path):
    search.images.file(1).unlink()
    search.images.file(2).write_text("not a picture")
    for row, code in [(1, "missing_file"), (2, "unreadable_file")]:
        error = problem(client.get(f"/api/pictures/{row}/image"), 404)
        assert error["code"] == code and str(tmp_path) not in error["message"]


def test_the_place_of_a_picture_from_elsewhere_is_not_told(ask, search):
    search.images.__dict__["paths"] = ("/home/me/private/a.png", *search.images.paths[1:])
    client = ask()
    found = client.get("/api/pictures/0").json()
    assert found["name"] == "a.png" and "private" not in str(found)
    for where, selected in [("folder~private", 0), ("folder=/home", 0), ("folder=car", 9), ("name=a.png", 1)]:
        assert client.get("/api/by-picture", params={"id": 5, "where": where}).json()["selected"] == selected


def test_head_is_get_without_a_body(reader):
    client = reader()
    for address in ("/", "/api/health", "/api/pictures/0/image", "/api/by-text?text=cat"):
        got, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == str(len(got.content))
        assert head.headers["content-type"] == got.headers["content-type"]
