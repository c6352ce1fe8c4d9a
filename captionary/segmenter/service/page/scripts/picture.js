// A place for a picture: chosen, dropped or pasted; shown as large as there is room.

import { Problem } from "./api.js";

/** Read a file as a picture: the file, an address to show it from, its size in pixels. */
async function readPicture(file) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    const name = file.name || "what was pasted";
    throw new Problem(`not a picture that can be shown: ${name}; give a JPEG, PNG or WebP file`);
  }
  return { file, url, width: image.naturalWidth, height: image.naturalHeight };
}

export class PicturePlace {
  /** section: holds a stage, buttons to choose and a file field; onPicture: told of a new one. */
  constructor({ section, problem, onPicture = () => {} }) {
    const find = (selector) => section.querySelector(selector);
    this.empty = find(".empty");
    this.frame = find(".frame");
    this.image = find("img.shown");
    this.name = find(".about-picture .name");
    this.again = find(".about-picture .choose");
    this.problem = problem;
    this.onPicture = onPicture;
    this.picture = null;
    this.newest = null;
    const input = find(".file");
    for (const button of section.querySelectorAll("button.choose")) {
      button.addEventListener("click", () => input.click());
    }
    input.addEventListener("change", () => {
      if (input.files.length > 0) this.take(input.files[0]);
      input.value = "";
    });
  }

  /** Take a file; the picture there was stays where this one cannot be shown. */
  async take(file) {
    this.newest = file;
    this.problem.textContent = "";
    try {
      const picture = await readPicture(file);
      if (this.newest === file) this.show(picture);
    } catch (error) {
      if (this.newest === file) this.problem.textContent = error.message;
    }
  }

  show(picture) {
    const hadFocus = this.empty.contains(document.activeElement);
    if (this.picture) URL.revokeObjectURL(this.picture.url);
    this.picture = picture;
    const { width, height } = picture;
    this.image.src = picture.url;
    this.image.alt = `The picture ${picture.file.name || ""}`.trim();
    this.frame.style.setProperty("--ratio", `${width / height}`);
    this.name.textContent = `${picture.file.name || "pasted"} · ${width} × ${height}`;
    this.empty.hidden = true;
    this.frame.hidden = false;
    this.again.hidden = false;
    if (hadFocus) this.again.focus();
    this.onPicture(picture);
  }

  clear() {
    if (this.picture) URL.revokeObjectURL(this.picture.url);
    this.picture = null;
    this.image.removeAttribute("src");
    this.name.textContent = "";
    this.empty.hidden = false;
    this.frame.hidden = true;
    this.again.hidden = true;
  }
}

/** Have pictures that are dropped anywhere, or pasted, taken by the place that `placeNow` tells. */
export function takeAnywhere(placeNow) {
  let inside = 0;
  const brings = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const mark = () => document.body.classList.toggle("takes", inside > 0);
  addEventListener("dragenter", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    inside += 1;
    mark();
  });
  addEventListener("dragleave", (event) => {
    if (!brings(event)) return;
    inside = Math.max(0, inside - 1);
    mark();
  });
  addEventListener("dragover", (event) => {
    if (brings(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    inside = 0;
    mark();
    if (!brings(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files.length > 0) placeNow().take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    placeNow().take(file);
  });
}
