// What is shown is what the address says: ?q= a text, ?like= a picture of the index, ?mine a picture of one's own.

export const USUAL = 24;

export function read() {
  const values = new URLSearchParams(location.search);
  const number = (name) => (/^\d{1,9}$/.test(values.get(name) ?? "") ? Number(values.get(name)) : null);
  return {
    q: values.get("q")?.trim() || null, like: number("like"), mine: values.has("mine"), k: number("k") || USUAL,
    space: values.get("space") || null, view: number("view"), seed: number("seed") ?? 0,
  };
}

export function href({ q, like, mine, k, space, view, seed }) {
  const values = new URLSearchParams();
  if (q) values.set("q", q);
  else if (like !== null && like !== undefined) values.set("like", like);
  else if (mine) values.set("mine", "");
  else if (seed) values.set("seed", seed);
  if (k && k !== USUAL) values.set("k", k);
  if (space && !q) values.set("space", space);
  if (view !== null && view !== undefined) values.set("view", view);
  const text = values.toString().replace("mine=", "mine");
  return text ? `/?${text}` : "/";
}

// What is asked, whatever part of the answer is shown.
export const question = ({ q, like, mine, space, seed }) => JSON.stringify([q, like, mine, q ? null : space, seed]);
