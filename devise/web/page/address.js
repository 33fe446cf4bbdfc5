// What is shown is what the address says: ?q= a text, ?like= a picture of the index (with plus= and minus= the words that
// it is changed by), ?mine a picture of one's own; where= is the condition on the pictures that may be found.

// "/", or the path below which a proxy shows the page: this file lies in it under page/.
export const ROOT = new URL("..", import.meta.url).pathname;
export const USUAL = 24;

export function read() {
  const values = new URLSearchParams(location.search);
  const number = (name) => (/^\d{1,9}$/.test(values.get(name) ?? "") ? Number(values.get(name)) : null);
  const texts = (name) => values.getAll(name).map((text) => text.trim()).filter(Boolean);
  return {
    q: values.get("q")?.trim() || null, like: number("like"), plus: texts("plus"), minus: texts("minus"),
    mine: values.has("mine"), k: number("k") || USUAL, space: values.get("space") || null, where: values.get("where")?.trim() || null, view: number("view"),
    seed: number("seed") ?? 0,
  };
}

export const changes = ({ plus = [], minus = [] }) => plus.length + minus.length > 0;

export function href({ q, like, plus = [], minus = [], mine, k, space, where, view, seed }) {
  const values = new URLSearchParams();
  const liked = !q && like !== null && like !== undefined;
  if (q) values.set("q", q);
  else if (liked) values.set("like", like);
  else if (mine) values.set("mine", "");
  else if (seed) values.set("seed", seed);
  if (liked) for (const [name, texts] of Object.entries({ plus, minus })) texts.forEach((text) => values.append(name, text));
  if (k && k !== USUAL) values.set("k", k);
  if (space && !q && !(liked && changes({ plus, minus }))) values.set("space", space);
  if (where && (q || liked || mine)) values.set("where", where);
  if (view !== null && view !== undefined) values.set("view", view);
  const text = values.toString().replace("mine=", "mine");
  return text ? `${ROOT}?${text}` : ROOT;
}

// What is asked, whatever part of the answer is shown.
export const question = (now) => href({ ...now, k: null, view: null });
