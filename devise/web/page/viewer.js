// One picture, large, with its words; the arrows go to its neighbours among the results.

import { address, ask } from "./api.js";
import { by, changer, named, number, tagList, title } from "./elements.js";

const dialog = by("viewer");
let shown = null;

// `change` asks for pictures like it, plus and minus words; null where there are none.
export function show(picture, { before, after, addresses, tags, change }) {
  const image = by("viewer-image");
  image.hidden = false;
  image.src = `${picture.image}&size=large`;
  image.alt = picture.alt;
  image.onerror = () => { image.hidden = true; };
  by("viewer-title").textContent = title(picture);
  by("viewer-name").textContent = picture.score === undefined ? named(picture)
    : `${named(picture)} · ${picture.strength}, cosine ${number(picture.score)}`;
  by("viewer-like").href = addresses.like(picture.id);
  by("before").disabled = before === null;
  by("after").disabled = after === null;
  if (shown !== picture.id) {
    shown = picture.id;
    by("viewer-tags").replaceChildren();
    by("viewer-change").replaceChildren(...(change ? [changer({}, change)] : []));
    if (tags) name(picture.id, addresses);
  }
  if (!dialog.open) dialog.showModal();
}

// The id of the picture that was shown, or null.
export function hide() {
  const left = shown;
  shown = null;
  if (dialog.open) dialog.close();
  return left;
}

export function listen({ step, leave }) {
  by("before").addEventListener("click", () => step(-1));
  by("after").addEventListener("click", () => step(1));
  by("close").addEventListener("click", leave);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); leave(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) leave(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.closest("input")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
    if (event.key.toLowerCase() === "m" && !event.ctrlKey && !event.metaKey) by("viewer-like").click();
  });
}

async function name(id, addresses) {
  try {
    const { tags } = await ask(address("tags", { id, k: 8 }));
    if (shown === id) by("viewer-tags").replaceChildren(tagList(tags, addresses.text));
  } catch {
    // the picture is worth showing without them
  }
}
