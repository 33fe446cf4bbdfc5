// The JSON API as functions; what fails is a Problem.

import { ROOT } from "./address.js";

export class Problem extends Error {
  constructor(code, message, suggestions = []) {
    super(message);
    this.code = code;
    this.suggestions = suggestions;
  }
}

export async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("no_server", "The server does not answer. Is “devise serve” still running?");
  }
  let body = {};
  try {
    body = await response.json();
  } catch {
    // a proxy's page, or nothing
  }
  if (response.ok) return body;
  const { code = "failed", message = `the server answered ${response.status}`, suggestions } = body.error ?? {};
  throw new Problem(code, message, suggestions);
}

// The address of a verb; a list becomes the same name several times.
export function address(path, values) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") given.append(name, one);
  }
  return `${ROOT}api/${path}?${given}`;
}

export const posted = (file, signal) => ({
  method: "POST", body: file, signal,
  headers: { "content-type": file.type.startsWith("image/") ? file.type : "application/octet-stream" },
});
