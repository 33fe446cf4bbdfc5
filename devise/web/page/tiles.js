// The grid of pictures: tiles, and the arrow keys among them.

import { element, icon, link, named, number, title } from "./elements.js";

const SIMILAR = "M4 6.5h9v9H4zM16 9.5h4v9h-9v-1.5";

export function tile(picture) {
  const image = element("img", { src: picture.image, loading: "lazy", decoding: "async", width: 180, height: 180,
    draggable: false });
  const shot = link("/", { className: "shot" }, image);
  image.addEventListener("error", () => {
    shot.classList.add("gone");
    shot.replaceChildren(`${picture.name.split("/").pop()} can’t be shown: its file is gone or damaged`);
  });
  const under = element("div", { className: "under" }, element("span", { className: "label", title: named(picture) },
    ...title(picture).split(/(?<=[_-])/).flatMap((part) => [part, element("wbr")])));  // where a long name may be broken
  if (picture.strength) under.append(element("span", { className: `strength ${picture.strength}`, title: `cosine ${number(picture.score)}` }, picture.strength));
  const from = picture.index ? element("div", { className: "from" }, picture.index) : null;
  const made = element("li", { className: "tile" }, shot, under, from,
    link("/", { className: "like" }, icon(SIMILAR), element("span", {}, "More like this")));
  made.dataset.id = picture.id;
  return made;
}

// Where a tile leads from the page as it is now, and which of how many it is.
export function lead(made, picture, place, n, addresses, faded) {
  const [shot, like] = [made.querySelector(".shot"), made.querySelector(".like")];
  shot.href = addresses.view(picture.id);
  shot.querySelector("img")?.setAttribute("alt", `${picture.alt}, picture ${place + 1} of ${n}`);
  like.href = addresses.like(picture.id);
  like.setAttribute("aria-label", `More like this: ${picture.alt}, picture ${place + 1}`);
  made.classList.toggle("below", faded && picture.strength === "weak");
}

// Arrows go from picture to picture as they lie on the screen; M asks for more like the one in focus.
export function listen(grid) {
  grid.addEventListener("keydown", (event) => {
    const here = event.target.closest?.(".tile");
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "m") return here.querySelector(".like").click();
    const tiles = [...grid.children];
    const there = target(event.key, tiles.indexOf(here), tiles.length, columns(tiles));
    if (there === null) return;
    event.preventDefault();
    tiles[there].querySelector(".shot").focus();
  });
}

export function target(key, place, n, across) {
  const steps = { ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - across, ArrowDown: place + across,
    Home: 0, End: n - 1 };
  if (!(key in steps)) return null;
  return steps[key] >= 0 && steps[key] < n ? steps[key] : place;
}

function columns(tiles) {
  const top = tiles[0].offsetTop;
  const next = tiles.findIndex((tile) => tile.offsetTop !== top);
  return next < 0 ? tiles.length : next;
}
