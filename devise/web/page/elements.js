// Elements from values. Text is only ever set as text.

export const by = (id) => document.getElementById(id);

export function element(name, values = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(values)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function icon(path) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}

export const link = (href, values, ...children) => {
  const made = element("a", { href, ...values }, ...children);
  made.dataset.go = "";
  return made;
};

// A score; what rounds to zero has no sign.
export const number = (score, digits = 2) => score.toFixed(digits).replace(/^-(?=0\.0*$)/, "").replace("-", "−");

export const count = (n) => n.toLocaleString("en");

// A picture by its file, and by the index that it is from where there are several.
export const named = (picture) => [picture.index, picture.name].filter(Boolean).join(" · ");

export const title = (picture) => picture.label?.replaceAll("_", " ") || picture.name.split("/").pop();

export const chip = (text, href, values = {}) => element("li", {}, link(href, { className: "chip", ...values }, text));

export const chips = (said, ...rest) => element("div", { className: "chips" }, element("span", {}, said), element("ul", {}, ...rest));

export const tagList = (tags, addressOf) => chips("Tags", ...tags.map(({ name, score, weak }) => chip(
  weak ? `${name}, weak` : name, addressOf(name),
  { className: weak ? "chip tag weak" : "chip tag", title: `score ${number(score)}${weak ? ", too low to be relied on" : ""}` })));

// Words by which a picture is changed: asks `go` for {plus, minus}.
export function changer({ plus = [], minus = [] }, go) {
  const field = (name, said, texts, example) => element("label", {}, element("span", {}, said),
    element("input", { name, type: "text", value: texts.join(", "), placeholder: example, spellcheck: false, autocomplete: "off" }));
  const form = element("form", { className: "change" }, field("plus", "plus", plus, "words: snow"),
    field("minus", "minus", minus, "words: people, trees"), element("button", { className: "button" }, "Find"));
  form.setAttribute("aria-label", "This picture, changed by words");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const texts = (name) => form.elements[name].value.split(",").map((text) => text.trim()).filter(Boolean);
    go({ plus: texts("plus"), minus: texts("minus") });
  });
  return form;
}
