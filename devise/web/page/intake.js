// A picture of one's own: chosen, dropped or pasted.

import { by } from "./elements.js";

export function listen(take, refuse) {
  const field = by("file");
  field.addEventListener("change", () => {
    if (field.files.length) take(field.files[0]);
    field.value = "";  // the same file may be chosen again
  });

  let depth = 0;  // dragenter and dragleave come for every child
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  const show = (shown) => document.body.classList.toggle("dropping", shown);
  addEventListener("dragenter", (event) => { if (carries(event)) { depth += 1; show(true); event.preventDefault(); } });
  addEventListener("dragleave", (event) => { if (carries(event)) { depth -= 1; if (depth <= 0) show(false); } });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();  // else the browser opens the file in place of the page
    depth = 0;
    show(false);
    const file = event.dataTransfer.files[0];
    if (file) take(file);
    else refuse("That was no file: save the picture first, then drop it.");
  });

  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      take(file);
    }
  });
}
