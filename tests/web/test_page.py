"""The page in a real browser: type, drop, follow, share, go back, by keyboard, on a phone, in the dark."""

import re
import shutil
import threading

import pytest

from devise import web

sync = pytest.importorskip("playwright.sync_api")
pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync"]
expect = sync.expect
DROP = """([place, name, bytes]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
    document.querySelector(place).dispatchEvent(event);
  }
}"""
PATHS = {"/": ".tile", "/?q=cat": ".tile", "/?like=3": "#query .tag", "/?q=oceann": ".note",
         "/?q=cat&view=0": "#viewer .tag", "/api": "section"}  # each with what is there once it is whole
PASTE = """(bytes) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
  dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def browser():
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(drawn):
    limits = web.Limits(upload_bytes=100_000)
    server = web.Server(web.app(drawn, limits=limits), port=0, limits=limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()
    thread.join()


SETTLED = """() => new Promise((done) => {
  const look = () => document.querySelector("#results")?.ariaBusy === "false" ? done() : requestAnimationFrame(look);
  look();
})"""


@pytest.fixture(scope="module")
def opened(browser):
    """Opens a tab; gives it, the list of what fails in it and the set of the hosts that it asks."""
    contexts = []

    def open_tab(**options):
        context = browser.new_context(**({"viewport": {"width": 1200, "height": 800}} | options))
        contexts.append(context)
        page, errors, asked = context.new_page(), [], set()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None)
        page.on("request", lambda request: asked.add(re.match(r"\w+:(?://[^/]+)?", request.url)[0]))
        return page, errors, asked

    expect.set_options(timeout=60_000)
    yield open_tab
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def tab(opened):
    """One for all tests, empty between them: to open another takes as long as what most of them do."""
    return opened()


@pytest.fixture
def visit(opened, tab, address):
    """Opens the page; at the end nothing may have failed in it, and no other host have been asked."""
    tabs, visited = [tab], set()

    def open_page(path="/", to=address, **options):
        if options:
            tabs.append(opened(**options))
        visited.add(to)
        page = tabs[-1][0]
        page.goto(to + path)
        page.evaluate(SETTLED)
        return page

    yield open_page
    for page, _, _ in tabs:
        page.unroute_all(behavior="ignoreErrors")
        page.goto("about:blank")
    for _, errors, asked in tabs:
        failed, hosts = errors.copy(), asked - {"about:"}
        errors.clear()
        asked.clear()
        assert failed == []
        assert {host for host in hosts if not host.startswith(("blob:", "data:"))} <= visited


def labels(page):
    return page.locator("#results .label").all_inner_texts()


def test_a_condition_is_kept_corrected_and_shared(visit):
    page = visit("/?q=cat&k=40")
    expect(page.locator(".tile")).to_have_count(40)
    page.locator("#condition").fill("label=dog or name~3")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(13)
    expect(page.locator("#status")).to_contain_text("13 of 13 pictures, best first")
    assert "where=label%3Ddog" in page.url
    page.locator("#condition").fill("takn=2024")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("did you mean taken")
    page.locator("#condition").fill("not taken=2024")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("40 of 40 pictures (40 have no taken)")
    page.go_back()
    page.go_back()
    expect(page.locator("#condition")).to_have_value("label=dog or name~3")
    page.locator("#text").fill("dog -cat")
    page.keyboard.press("Enter")
    expect(page.locator(".tile")).to_have_count(13)


def test_the_start_shows_pictures_and_words_to_try(visit):
    page = visit()
    expect(page.locator("h1")).to_have_text("40 pictures")
    expect(page.locator("#results .tile")).to_have_count(24)
    tops = page.evaluate("""["#ask", "h1", ".tile"].map((one) =>
        document.querySelector(one).getBoundingClientRect().top)""")
    assert tops == sorted(tops) and tops[2] < 200  # the pictures begin on the first quarter of the screen
    page.get_by_role("link", name="horse", exact=True).first.click()
    expect(page.locator("h1")).to_have_text("“horse”")


def test_type_a_word(visit, drawn):
    page = visit()
    page.get_by_role("searchbox", name="Search by words").fill("cat")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("“cat”")
    expect(page.locator("#status")).to_have_text("24 of 40 pictures, best first, in the shared space (pictures and "
                                                 "words)")
    found = drawn.by_text("cat", 24).matches
    assert labels(page) == [match.label for match in found]
    meant = page.locator("#results .strength")
    assert [one.get_attribute("title") for one in meant.all()] == [
        f"cosine {match.score:.2f}".replace("-", "−") for match in found]
    assert set(meant.all_inner_texts()) <= {"strong", "fair", "weak"} and meant.first.inner_text() == "strong"
    expect(page.locator("#meaning")).to_contain_text("stands out")
    assert [one.get_attribute("alt") for one in page.locator("#results img").all()] == [
        f"{match.label}, picture {place} of 24" for place, match in enumerate(found, start=1)]
    expect(page.get_by_role("link", name="cats", exact=True)).to_be_visible()  # a near word
    assert page.url.endswith("/?q=cat") and page.title() == "cat · devise"
    sizes = page.eval_on_selector_all("#results img", "all => all.map(one => one.complete && one.naturalWidth)")
    assert sizes[0] > 0


def test_an_address_is_shared(visit, drawn):
    page = visit("/?q=ocean&k=8")
    expect(page.locator("#results .tile")).to_have_count(8)
    expect(page.get_by_role("searchbox")).to_have_value("ocean")
    page = visit("/?like=12&space=shared&k=4")
    expect(page.locator("h1")).to_have_text("Like cat")
    expect(page.locator("#results .tile")).to_have_count(4)
    wanted = [match.row for match in drawn.by_image(drawn.images.paths[12], 4, space="shared").matches]
    assert page.eval_on_selector_all(".tile", "all => all.map(one => Number(one.dataset.id))") == wanted
    expect(page.locator("#space")).to_have_value("shared")


def test_more_like_this_and_back_and_forward(visit, drawn):
    page = visit("/?q=cat")
    first = page.locator(".tile").first
    row = first.get_attribute("data-id")
    first.hover()
    first.get_by_role("link", name=re.compile("^More like this")).click()
    expect(page.locator("h1")).to_have_text(re.compile("^Like "))
    assert page.url.endswith(f"/?like={row}")
    expect(page.locator("#query .tag")).to_have_count(len(drawn.tag(drawn.images.paths[int(row)], 8)))
    page.go_back()
    expect(page.locator("h1")).to_have_text("“cat”")
    expect(page.get_by_role("searchbox")).to_have_value("cat")
    page.go_forward()
    expect(page.locator("h1")).to_have_text(re.compile("^Like "))
    page.locator("#query .tag").first.click()  # a tag is a word to search by
    expect(page.locator("h1")).to_have_text(re.compile("^“"))


def test_the_slider_says_how_many(visit):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    slider = page.get_by_role("slider", name="Show")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tile")).to_have_count(20)
    assert page.url.endswith("/?q=cat&k=20")
    page.keyboard.press("End")
    expect(page.locator(".tile")).to_have_count(40)


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_a_picture_of_ones_own(visit, drawn, draw, how):
    page = visit()
    expect(page.locator(".tile")).to_have_count(24)
    content = draw((40, 60, 220))
    if how == "choose":
        page.set_input_files("#file", {"name": "blue.png", "mimeType": "image/png", "buffer": content})
    elif how == "drop":
        page.evaluate(DROP, ["#results", "blue.png", list(content)])
    else:
        page.evaluate(PASTE, list(content))
    expect(page.locator("h1")).to_have_text("Your picture")
    expect(page.locator("#status")).to_contain_text("in the raw space")
    assert set(labels(page)[:5]) == {"horse"}  # which are drawn in blue
    expect(page.locator("#query .tag").first).to_be_visible()
    assert page.locator("#query img").evaluate("one => one.decode().then(() => one.naturalWidth)") == 32
    page.locator("#space").select_option("shared")
    expect(page.locator("#status")).to_contain_text("in the shared space")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("no longer here")  # nobody kept it


@pytest.mark.parametrize("content, said", [
    (b"root:x:0:0", "That file can’t be read as a picture"), (b"x" * 100_001, "That picture is too large")])
def test_a_wrong_file_is_told_and_the_page_goes_on(visit, draw, content, said):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    page.set_input_files("#file", {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": content})
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.locator(".tile")).to_have_count(0)
    page.go_back()
    expect(page.locator(".tile")).to_have_count(24)
    expect(page.get_by_role("alert")).to_be_empty()


def test_an_unknown_word_is_answered_with_near_ones(visit):
    page = visit("/?q=oceann")
    expect(page.get_by_role("alert")).to_contain_text("“oceann” is not among the words this index knows")
    page.get_by_role("link", name="ocean", exact=True).click()
    expect(page.locator("h1")).to_have_text("“ocean”")
    expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize("path, said", [("/?like=4000", "There is no such picture"), ("/?mine", "no longer here"),
                                        ("/?like=1&space=nowhere", "space: input should be 'raw' or 'shared'")])
def test_an_address_that_leads_nowhere_says_so(visit, path, said):
    expect(visit(path).get_by_role("alert")).to_contain_text(said, ignore_case=True)


def test_text_is_only_ever_text(visit):
    page = visit("/?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    expect(page.get_by_role("alert")).to_contain_text("“<img src=x onerror=alert(1)>”")
    assert page.locator("#problem img").count() == 0


def test_all_of_it_by_keyboard(visit):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    shots = page.locator(".shot")
    expect(shots.first).to_be_focused()
    across = page.locator("#results").evaluate("one => getComputedStyle(one).gridTemplateColumns.split(' ').length")
    for key, place in [("ArrowRight", 1), ("ArrowDown", 1 + across), ("ArrowLeft", across), ("ArrowUp", 0),
                       ("ArrowUp", 0), ("End", 23), ("Home", 0)]:
        page.keyboard.press(key)
        expect(shots.nth(place)).to_be_focused()
    assert shots.first.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"  # the focus is seen
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    title = page.locator("#viewer-name").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).not_to_have_text(title)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#viewer-name")).to_have_text(title)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("h1")).to_have_text("“cat”")
    page.keyboard.press("m")
    expect(page.locator("h1")).to_have_text(re.compile("^Like "))


def test_one_picture_large_with_its_tags(visit, address):
    page = visit("/?q=cat")
    page.locator(".shot").nth(2).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".tag").first).to_be_visible()
    assert "view=" in page.url
    shared = page.url.removeprefix(address)
    page.go_back()  # as a phone's back does
    expect(dialog).to_be_hidden()
    page.locator(".shot").nth(2).click()
    dialog.get_by_role("link", name="More like this").click()
    expect(page.locator("h1")).to_have_text(re.compile("^Like "))
    expect(dialog).to_be_hidden()
    page = visit(shared)
    expect(dialog).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


@pytest.fixture
def hold():
    """Makes requests of an address wait; gives the list of those that do."""
    def make(page, address):
        held = []
        page.route(address, lambda route: held.append(route))
        return held

    return make


def arrived(page, held, n=1):
    while len(held) < n:
        page.wait_for_timeout(10)


def search_for(page, text):
    page.get_by_role("searchbox").fill(text)
    page.keyboard.press("Enter")


def test_a_click_during_a_search_keeps_its_query(visit, hold):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    held = hold(page, "**/api/by-text?text=dog**")
    search_for(page, "dog")
    arrived(page, held)
    page.locator(".shot").nth(1).click(force=True)  # a picture of the question before
    assert page.url.endswith("/?q=dog")
    page.get_by_role("slider", name="Show").press("ArrowLeft")
    held[0].continue_()
    expect(page.locator("h1")).to_have_text("“dog”")
    expect(page.locator(".tile")).to_have_count(20)
    assert page.url.endswith("/?q=dog&k=20") and page.get_by_role("searchbox").input_value() == "dog"
    page.locator(".shot").nth(1).click()  # now it is one of this question
    assert re.search(r"q=dog&k=20&view=\d+$", page.url)


def test_what_is_typed_during_a_search_stays(visit, hold):
    page = visit()
    expect(page.locator(".tile")).to_have_count(24)
    held = hold(page, "**/api/by-text?text=dog**")
    search_for(page, "dog")
    arrived(page, held)
    page.get_by_role("searchbox").fill("dogs and")
    held[0].continue_()
    expect(page.locator("h1")).to_have_text("“dog”")
    expect(page.get_by_role("searchbox")).to_have_value("dogs and")


def test_an_answer_that_comes_late_is_nobodys(visit, hold):
    page = visit()
    expect(page.locator(".tile")).to_have_count(24)
    # the page can't drop these: the answer of the first comes whole, after that of the second
    page.evaluate("() => { AbortController.prototype.abort = () => {}; }")
    held = hold(page, "**/api/by-text?text=dog**")
    search_for(page, "dog")
    arrived(page, held)
    search_for(page, "cat")
    expect(page.locator("h1")).to_have_text("“cat”")
    with page.expect_response("**/api/by-text?text=dog**"):
        held[0].continue_()
    page.wait_for_timeout(50)
    expect(page.locator("h1")).to_have_text("“cat”")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert page.locator(".shot").first.get_attribute("href").startswith("/?q=cat&view=")


def test_a_question_that_is_asked_again_waits_for_its_own_answer(visit, hold):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    held = hold(page, "**/api/by-text?**")
    page.evaluate("""() => ["dog", "horse", "dog"].forEach((text) => {
        document.getElementById("text").value = text;
        document.getElementById("ask").requestSubmit();
    })""")
    arrived(page, held)
    page.wait_for_timeout(50)
    expect(page.get_by_role("alert")).to_be_empty()  # that the first was dropped is no news
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    held[-1].continue_()
    expect(page.locator("h1")).to_have_text("“dog”")


def test_a_wait_is_shown_and_nothing_moves(visit, hold):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    places = "() => [...document.querySelectorAll('h1, .line, .tile')].map(one => one.getBoundingClientRect().top)"
    before = page.evaluate(places)
    held = hold(page, "**/api/by-text?text=dog**")
    search_for(page, "dog")
    arrived(page, held)
    results, waits = page.locator("#results"), page.locator("#wait")
    expect(results).to_have_attribute("aria-busy", "true")
    expect(waits).to_have_text("Searching…")
    assert page.evaluate("getComputedStyle(document.querySelector('.top'), '::after').animationName") == "wait"
    assert page.evaluate(places) == before
    held[0].continue_()
    expect(results).to_have_attribute("aria-busy", "false")
    expect(waits).to_be_empty()
    assert page.evaluate("getComputedStyle(document.querySelector('.top'), '::after').animationName") == "none"


def test_closing_twice_leaves_the_picture_and_not_the_question(visit):
    page = visit()
    expect(page.locator(".tile")).to_have_count(24)
    search_for(page, "cat")
    expect(page.locator("h1")).to_have_text("“cat”")
    page.locator(".shot").nth(2).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate("() => { document.getElementById('close').click(); document.getElementById('close').click(); }")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.wait_for_url("**/?q=cat")
    expect(page.locator("h1")).to_have_text("“cat”")
    expect(page.locator(".shot").nth(2)).to_be_focused()


def test_a_picture_plus_and_minus_words(visit, drawn):
    page = visit("/?q=cat")
    page.locator(".shot").nth(2).click()
    row = int(page.locator(".tile").nth(2).get_attribute("data-id"))
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="plus").fill("Ocean, red cat")
    dialog.get_by_role("textbox", name="minus").fill("dog")
    page.keyboard.press("m")  # a letter, and not the key
    dialog.get_by_role("textbox", name="minus").fill("dog")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Like cat + Ocean + red cat − dog")
    expect(dialog).to_be_hidden()
    assert page.url.endswith(f"/?like={row}&plus=Ocean&plus=red+cat&minus=dog")
    found = drawn.by_change(row, 24, plus=["Ocean", "red cat"], minus=["dog"])
    ids = "all => all.map(one => Number(one.dataset.id))"
    assert page.eval_on_selector_all(".tile", ids) == [match.row for match in found.matches]
    expect(page.locator("#where")).to_be_hidden()  # words are compared in their own space
    form = page.locator("#query .change")
    expect(form.get_by_role("textbox", name="plus")).to_have_value("Ocean, red cat")
    form.get_by_role("textbox", name="plus").fill("catz")
    form.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("not among the words")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Like cat + Ocean + red cat − dog")
    form.get_by_role("textbox", name="plus").fill("")
    form.get_by_role("textbox", name="minus").fill(" , ")
    form.get_by_role("button").click()
    expect(page.locator("h1")).to_have_text("Like cat")
    assert page.url.endswith(f"/?like={row}")


def test_a_phone_shows_it_without_scrolling_sideways(visit, address):
    page = visit("/?q=cat", viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    expect(page.locator(".tile")).to_have_count(24)
    assert page.locator(".like").first.evaluate("one => getComputedStyle(one).opacity") == "1"  # nothing hovers here
    tops = page.eval_on_selector_all(".tile", "all => all.slice(0, 3).map(one => one.offsetTop)")
    assert tops[0] == tops[1] != tops[2]
    for path, there in PATHS.items():
        page.goto(address + path)
        expect(page.locator(there).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


CONTRAST = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = {};
  const rgb = (colour) => known[colour] ??= painted(colour);
  const painted = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) low.push(`${one.tagName}.${one.className} ${one.textContent.slice(0, 30)}`);
  }
  return low;
}"""


def test_every_text_can_be_read_in_the_light_and_in_the_dark(visit, address):
    page = visit(color_scheme="light")
    for path, there in PATHS.items():
        page.goto(address + path)
        expect(page.locator(there).first).to_be_visible()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == (scheme == "dark")
            assert page.evaluate(CONTRAST) == [], (path, scheme)


def test_every_control_has_a_name_and_every_picture_a_text(visit):
    page = visit("/?like=3&view=3")
    expect(page.locator("#viewer .tag").first).to_be_visible()
    nameless = page.evaluate("""() => [...document.querySelectorAll("a, button, input, select")].filter(one =>
        !(one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent || one.title ||
          one.querySelector("img")?.alt || "").trim())
        .map(one => one.outerHTML)""")
    assert nameless == []
    assert page.evaluate("[...document.images].filter(one => !one.hasAttribute('alt')).length") == 0
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("h1").count() == 1


def test_no_match_is_said(visit, learnt, served):
    page = visit("/?like=3", to=served(learnt))
    expect(page.get_by_role("alert")).to_contain_text("No match in this index")
    expect(page.get_by_role("alert")).to_contain_text("is below the threshold of 2.000 (false accepts 1.0 % on "
                                                      "validation classes)")
    expect(page.get_by_role("searchbox")).to_be_disabled()  # there are no words to ask by
    assert page.locator("#query .tag").count() == 0


def test_a_server_that_has_gone_can_be_asked_again(visit):
    page = visit("/?q=cat")
    expect(page.locator(".tile")).to_have_count(24)
    page.route("**/api/**", lambda route: route.abort())
    search_for(page, "dog")
    expect(page.get_by_role("alert")).to_contain_text("Is “devise serve” still running?")
    page.unroute("**/api/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("h1")).to_have_text("“dog”")


def test_the_door_takes_the_token(browser, drawn, served):
    page = browser.new_page()
    page.goto(served(drawn, token="a-token-of-some-length") + "/")
    page.get_by_label("Token").fill("a-token-of-some-length")
    page.get_by_role("button", name="Enter").click()
    expect(page.locator(".tile")).to_have_count(24)
    assert "token" not in page.url
    page.close()


def test_a_picture_says_which_of_several_indexes_it_is_from(visit, both, served):
    page = visit("/?like=7&k=4", to=served(both))
    expect(page.locator(".tile")).to_have_count(4)
    parts = [both.part_of(match.row) for match in both.by_image(7, 4).matches]
    assert page.locator(".tile .from").all_inner_texts() == parts and set(parts) == {"one", "two"}
    page.locator(".tile .shot").first.click()
    expect(page.locator("#viewer-name")).to_contain_text(f"{parts[0]} · ")


def test_a_score_that_rounds_to_zero_has_no_sign(visit):
    said = visit().evaluate("""async () => { const { number } = await import("/page/elements.js");
        return [-0.004, 0, -0.5, 0.254, -0.0004].map((score) => number(score)).concat(number(-0.0004, 3)); }""")
    assert said == ["0.00", "0.00", "−0.50", "0.25", "0.00", "0.000"]


def test_a_picture_whose_file_is_gone_has_a_place_and_says_why(visit, search, served):
    search.images.file(3).unlink()
    page = visit("/?like=4&k=40", to=served())
    gone = page.locator(".tile[data-id='3'] .shot")
    gone.scroll_into_view_if_needed()
    expect(gone).to_have_text(re.compile("its file is gone or damaged"))
