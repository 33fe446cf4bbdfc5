// The page: the address is read, the question asked, the answer shown.

import { Problem, address, ask, posted } from "./api.js";
import { ROOT, changes, href, question, read } from "./address.js";
import { by, changer, chip, chips, count, element, named, number, tagList, title } from "./elements.js";
import * as intake from "./intake.js";
import * as tiles from "./tiles.js";
import * as viewer from "./viewer.js";

const SPACES = { raw: "the network’s features", shared: "pictures and words", hidden: "the head’s last layer", learnt: "the trained distance" };
const KEPT = 5;
const MOST = 96;
const SLOW = 150;  // milliseconds after which a wait is said; the bar of page.css begins then too

let info = null;
let asked = null;  // the question that is shown or under way
let answer = null;  // {pictures, found, tags}; null while it is under way
let turn = null;  // the AbortController of the last question: what comes for an earlier one is dropped
let leaving = false;
const mine = new Map();  // pictures of one's own, by the key that history holds; they leave with the page
let latest = 0;

const state = () => read();
const wanted = (now) => question(now) + (now.mine ? ` ${history.state?.mine}` : "");
const addresses = {
  text: (q) => href({ q, k: state().k, where: state().where }),
  like: (like) => href({ like, k: state().k, where: state().where, space: state().q || changes(state()) ? null : state().space }),
  view: (view) => href({ ...state(), view }),
};

function go(to, { replace = false, held = history.state } = {}) {
  const same = new URL(to, location).href === location.href && held?.mine === history.state?.mine;
  history[replace || same ? "replaceState" : "pushState"](held, "", to);
  render();
}

function render() {
  const now = state();
  if (wanted(now) !== asked) load(now);
  else if (answer) show(now);
}

// Asks what the address says. The pictures of the question before stay to be seen, and can't be used: they would lead back.
async function load(now) {
  turn?.abort();
  const own = turn = new AbortController();
  if (now.q || asked !== null) by("text").value = now.q ?? "";  // what was typed while the page came stays
  by("condition").value = now.where ?? "";
  asked = wanted(now);
  answer = null;
  viewer.hide();
  wait(true);
  try {
    const known = info ?? await ask(`${ROOT}api/info`, { signal: own.signal });
    if (turn !== own) return;
    if (!info) meet(known);
    const [found, extra] = await answers_to(now, own.signal);
    if (turn !== own) return;
    answer = { found, pictures: found.matches ?? found.pictures, ...extra };
    by("problem").replaceChildren();
    introduce(now);
    show(state());  // the slider may have moved meanwhile
  } catch (error) {
    if (turn !== own) return;
    by("query").replaceChildren();
    by("results").replaceChildren();
    by("line").hidden = error.code !== "wrong_condition";  // it is corrected there
    document.title = "devise";
    complain(error, now);
  } finally {
    if (turn === own) wait(false);
  }
  if (turn === own) scrollTo(0, 0);
}

let slow = null;

function wait(going) {
  clearTimeout(slow);
  by("results").setAttribute("aria-busy", going);
  by("results").inert = going;
  by("wait").textContent = "";
  if (going) slow = setTimeout(() => { by("wait").textContent = "Searching…"; }, SLOW);
}

// What does not change while the page is open.
function meet(known) {
  info = known;
  by("about").textContent = [`${count(info.pictures)} pictures`, info.classes ? `${count(info.classes)} classes` : null,
    info.network, info.words].filter(Boolean).join(" · ");
  by("text").maxLength = info.limits.text;
  if (!info.words) {
    by("text").disabled = true;
    by("text").placeholder = "Drop a picture, or choose one";
    by("ask").querySelector("button").hidden = true;
  }
}

// The requests that a state needs: [what was found, {tags or words beside it}].
async function answers_to(now, signal) {
  const k = Math.min(MOST, info.limits.k), { where } = now;
  const optional = (promise) => promise.catch(() => null);
  if (now.q) {
    const near = optional(ask(address("by-word", { word: now.q, k: 6 }), { signal }));
    return [await ask(address("by-text", { text: now.q, k, where }), { signal }), { near: (await near)?.words }];
  }
  if (now.like !== null) {
    const tags = info.tags ? optional(ask(address("tags", { id: now.like, k: 8 }), { signal })) : null;
    const [path, more] = changes(now) ? ["by-change", { plus: now.plus, minus: now.minus }] : ["by-picture", { space: now.space }];
    return [await ask(address(path, { id: now.like, k, where, ...more }), { signal }), { tags: (await tags)?.tags }];
  }
  if (now.mine) {
    const file = mine.get(history.state?.mine);
    if (!file) throw new Problem("gone", "A picture of yours stays in the page that you gave it to. Give it again.");
    if (file.size > info.limits.upload_bytes) {
      throw new Problem("too_large", `The picture has ${(file.size / 1e6).toFixed(1)} MB. The server takes up to ${info.limits.upload_bytes / 1e6} MB.`);
    }
    const found = await ask(address("by-picture", { k, where, space: now.space }), posted(file, signal));
    // asked second, so that the server knows the picture's features by then
    const tags = info.tags ? await optional(ask(address("tags", { k: 8 }), posted(file, signal))) : null;
    return [found, { tags: tags?.tags, file }];
  }
  return [await ask(address("pictures", { k, seed: now.seed }), { signal }), {}];
}

// What was asked, above the pictures.
function introduce(now) {
  const { found, tags, near, file } = answer;
  const parts = [];
  if (now.q) {
    document.title = `${now.q} · devise`;
    parts.push(heading(`“${now.q}”`));
    if (near?.length) parts.push(chips("Near words", ...near.map(({ word }) => chip(word, addresses.text(word)))));
  } else if (found.picture || file) {
    const changed = [...now.plus.map((text) => ` + ${text}`), ...now.minus.map((text) => ` − ${text}`)].join("");
    const name = file ? "Your picture" : `${title(found.picture)}${changed}`;
    document.title = `like ${name} · devise`;
    const source = file ? URL.createObjectURL(file) : `${found.picture.image}&size=large`;
    const image = element("img", { src: source, alt: file ? `Your picture, ${file.name}` : found.picture.alt });
    image.addEventListener("load", () => { if (file) URL.revokeObjectURL(source); });
    image.addEventListener("error", () => image.replaceWith(element("p", { className: "quiet" }, "no preview")));
    const words = element("div", {}, heading(file ? name : `Like ${name}`),
      element("p", { className: "quiet" }, file ? `${file.name} · looked at and not kept; this address can’t be shared` : named(found.picture)),
      tags?.length ? tagList(tags, addresses.text) : null,
      !file && info.words ? changer(now, change(now.like)) : null);
    parts.push(element("div", { className: "asked" }, element("div", { className: "shown" }, image), words));
  } else {
    document.title = "devise";
    parts.push(element("div", { className: "start" }, heading(`${count(info.pictures)} pictures`),
      info.examples.length ? chips("Try", ...info.examples.map((text) => chip(text, addresses.text(text)))) : null,
      element("p", {}, element("label", { htmlFor: "file" }, info.words ? "or choose a picture of yours" : "Choose a picture of yours"))));
  }
  by("query").replaceChildren(...parts);
  if (found.known === false) warn(found);
  // the keyboard was among pictures that are no longer there
  if (document.activeElement === document.body && (now.q || now.like !== null || now.mine)) by("query").querySelector("h1").focus({ preventScroll: true });
}

// Goes to pictures like one, changed by words.
const change = (like) => (words) => go(href({ like, ...words, k: state().k }), { held: null });

const heading = (text) => element("h1", { tabIndex: -1 }, text);

function warn(found) {
  const best = found.matches.length ? `the best score, ${number(found.matches[0].score, 3)}, is below the threshold of ${number(found.threshold ?? Infinity, 3)}` : "there is nothing to compare with";
  const rate = info.false_accept_rate === null ? "" : ` (false accepts ${(100 * info.false_accept_rate).toFixed(1)} % on validation classes)`;
  by("problem").replaceChildren(element("div", { className: "note" }, element("strong", {}, "No match in this index"),
    element("p", {}, `${best[0].toUpperCase()}${best.slice(1)}${rate}. Below are the nearest pictures.`)));
}

// The pictures, as many as asked, and the knobs.
function show(now) {
  const { found, pictures } = answer;
  const n = Math.min(now.k, pictures.length);
  const shown = pictures.slice(0, n);
  lay(shown, found.threshold !== null);
  by("line").hidden = false;
  const browsing = !found.matches;
  by("status").textContent = browsing ? `${count(n)} of ${count(found.total)} shown, drawn at random`
    : `${count(n)} of ${count(found.selected ?? found.total)} pictures${lacking(found)}, best first, in the ${found.space} space${SPACES[found.space] ? ` (${SPACES[found.space]})` : ""}`;
  by("meaning").textContent = browsing || !n ? "" : found.threshold === null ? "Strong: stands out from the other pictures of the index."
    : "Weak: below the threshold, as unrelated pictures are.";
  by("only").hidden = browsing;
  by("k").max = Math.max(4, Math.min(MOST, Math.ceil(pictures.length / 4) * 4));
  by("k").value = now.k;
  by("shown").textContent = n;
  by("shuffle").hidden = !browsing || found.total <= MOST;
  by("where").hidden = browsing || Boolean(now.q) || changes(now) || info.spaces.length < 2;
  by("space").replaceChildren(...info.spaces.map((space) => element("option", { value: space, selected: space === found.space }, SPACES[space] ? `${space}: ${SPACES[space]}` : space)));
  look(now);
}

// Of how many pictures something that the condition asks for is not known.
const lacking = (found) => {
  const parts = Object.entries(found.lacking ?? {}).map(([field, n]) => `${count(n)} have no ${field}`);
  return parts.length ? ` (${parts.join(", ")})` : "";
};

// Tiles that lie there already stay, so that the one in focus keeps it; their addresses follow the page's.
function lay(shown, faded) {
  const grid = by("results");
  const there = new Map([...grid.children].map((tile) => [tile.dataset.id, tile]));
  const laid = grid.dataset.of === asked;
  grid.dataset.of = asked;
  const made = shown.map((picture) => (laid && there.get(String(picture.id))) || tiles.tile(picture));
  if (made.length !== grid.children.length || made.some((tile, place) => tile !== grid.children[place])) grid.replaceChildren(...made);
  shown.forEach((picture, place) => tiles.lead(grid.children[place], picture, place, shown.length, addresses, faded));
}

function look(now) {
  if (now.view === null) return shut();
  const place = answer.pictures.findIndex((picture) => picture.id === now.view);
  const known = place >= 0 ? answer.pictures[place] : answer.found.picture?.id === now.view ? answer.found.picture : null;
  if (!known) return shut();
  viewer.show(known, { addresses, tags: info.tags, change: info.words ? change(known.id) : null, before: place > 0 ? place - 1 : null,
    after: place >= 0 && place < Math.min(now.k, answer.pictures.length) - 1 ? place + 1 : null });
}

// The keyboard goes on at the picture that was looked at.
function shut() {
  const left = viewer.hide();
  if (left !== null) by("results").querySelector(`[data-id="${left}"] .shot`)?.focus();
}

const SAID = {
  unknown_word: (error, now) => [`“${now.q ?? [...now.plus, ...now.minus].join(", ")}” is not among the words this index knows`, error.suggestions.length ? null : "Try another word, or drop a picture."],
  no_words: (error) => ["Words can’t be asked here", error.message],
  unknown_picture: (error) => ["There is no such picture", error.message],
  unreadable_picture: (error) => ["That file can’t be read as a picture", error.message.replace(/^[^:]*: /, "")],
  too_large: (error) => ["That picture is too large", error.message],
  no_server: (error) => ["No answer", error.message],
  gone: (error) => ["That picture is no longer here", error.message],
  busy: (error) => ["The server is busy", error.message],
};

function complain(error, now) {
  if (!(error instanceof Problem)) console.error(error);
  const [headline, sentence] = (SAID[error.code] ?? (() => ["That did not work", error.message]))(error, now);
  const note = element("div", { className: "note" }, element("strong", {}, headline), sentence ? element("p", {}, capital(sentence)) : null);
  const texts = error.suggestions?.length ? error.suggestions : error.code === "unknown_word" ? info?.examples ?? [] : [];
  if (texts.length) note.append(chips(error.suggestions.length ? "Did you mean" : "For example", ...texts.map((text) => chip(text, addresses.text(text)))));
  if (["no_server", "busy", "failed"].includes(error.code)) {
    const again = element("button", { className: "button", type: "button" }, "Try again");
    again.addEventListener("click", () => load(state()));
    note.append(again);
  }
  by("problem").replaceChildren(note);
}

const capital = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

// Leaving the viewer goes back where it was opened from here, so that Back does not open it again; once, since a
// second step back would leave the question too.
function leave() {
  shut();
  if (leaving) return;
  leaving = Boolean(history.state?.opened);
  if (leaving) history.back();
  else go(href({ ...state(), view: null }), { replace: true });
}

function listen() {
  addEventListener("popstate", () => { leaving = false; render(); });
  document.addEventListener("click", (event) => {
    const to = event.target.closest?.("a[data-go]");
    if (!to || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const opens = to.classList.contains("shot");
    go(to.href, { held: { mine: opens ? history.state?.mine : undefined, opened: opens } });
  });
  by("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    go(href({ q: by("text").value.trim(), k: state().k, where: state().where }), { held: null });
    by("text").blur();
  });
  by("k").addEventListener("input", () => go(href({ ...state(), k: Number(by("k").value) }), { replace: true }));
  by("condition").addEventListener("change", () => go(href({ ...state(), where: by("condition").value.trim(), view: null })));
  by("space").addEventListener("change", () => go(href({ ...state(), space: by("space").value, view: null })));
  by("shuffle").addEventListener("click", () => go(href({ k: state().k, seed: 1 + Math.floor(Math.random() * 1e6) }), { held: null }));
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest?.("input, select, dialog")) {
      event.preventDefault();
      by("text").select();
    }
    if (event.key === "ArrowDown" && event.target === by("text")) by("results").querySelector(".shot")?.focus();
  });
  tiles.listen(by("results"));
  viewer.listen({ leave, step: (by_) => {
    const now = state();
    const place = answer?.pictures.findIndex((picture) => picture.id === now.view) ?? -1;
    const next = answer?.pictures[place + by_];
    if (place >= 0 && next && place + by_ < now.k) go(href({ ...now, view: next.id }), { replace: true });
  } });
  intake.listen((file) => {
    latest += 1;
    mine.set(latest, file);
    mine.delete(latest - KEPT);
    go(href({ mine: true, k: state().k }), { held: { mine: latest } });
  }, (message) => complain(new Problem("no_file", message), state()));
}

listen();
render();
