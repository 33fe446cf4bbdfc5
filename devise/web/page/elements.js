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

export function bar(score) {
  const made = element("span", { className: "bar" });
  made.style.setProperty("--score", Math.max(0, Math.min(1, score)));
  return made;
}

export const number = (score) => score.toFixed(2).replace("-", "−");

export const count = (n) => n.toLocaleString("en");

export const title = (picture) => picture.label?.replaceAll("_", " ") || picture.name.split("/").pop();

export function tagList(tags, addressOf) {
  const rows = tags.map((tag) => element("li", {}, link(addressOf(tag.name), { className: tag.weak ? "tag weak" : "tag", title: tag.weak ? "weak: too low to be relied on" : "" },
    element("span", {}, tag.name), bar(tag.score), element("span", { className: "number" }, number(tag.score)))));
  return element("div", { className: "tags" }, element("h3", {}, "Tags"), element("ol", {}, ...rows));
}
