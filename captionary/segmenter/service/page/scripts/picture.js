// Picture input: a picture that is chosen, dropped or pasted, shown as large as there is room.

import { Problem } from "./api.js";

/** Decode a file as a picture: the file, an address to show it from, its size in pixels. */
async function decodePicture(file) {
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

export class PictureInput {
  /** section: has a stage, buttons to choose and a file field; onPicture: called with a new one. */
  constructor({ section, problem, onPicture = () => {} }) {
    const find = (selector) => section.querySelector(selector);
    this.empty = find(".empty");
    this.frame = find(".frame");
    this.image = find("img.shown");
    this.name = find(".about-picture .name");
    this.changeButton = find(".about-picture .choose");
    this.problem = problem;
    this.onPicture = onPicture;
    this.picture = null;
    this.latestFile = null;
    const input = find(".file");
    for (const button of section.querySelectorAll("button.choose")) {
      button.addEventListener("click", () => input.click());
    }
    input.addEventListener("change", () => {
      if (input.files.length > 0) this.load(input.files[0]);
      input.value = "";
    });
  }

  /** Load a file; the picture there was stays where this one cannot be shown. */
  async load(file) {
    this.latestFile = file;
    this.problem.textContent = "";
    try {
      const picture = await decodePicture(file);
      if (this.latestFile === file) this.show(picture);
    } catch (error) {
      if (this.latestFile === file) this.problem.textContent = error.message;
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
    this.changeButton.hidden = false;
    if (hadFocus) this.changeButton.focus();
    this.onPicture(picture);
  }

  clear() {
    if (this.picture) URL.revokeObjectURL(this.picture.url);
    this.picture = null;
    this.image.removeAttribute("src");
    this.name.textContent = "";
    this.empty.hidden = false;
    this.frame.hidden = true;
    this.changeButton.hidden = true;
  }
}

/** Load pictures that are dropped anywhere, or pasted, into what `currentInput` returns. */
export function acceptAnywhere(currentInput) {
  // Entering a child element fires before leaving its parent: only the balance tells.
  let entered = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const showDropZone = () => document.body.classList.toggle("dropping-file", entered > 0);
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    entered += 1;
    showDropZone();
  });
  addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    entered = Math.max(0, entered - 1);
    showDropZone();
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    entered = 0;
    showDropZone();
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files.length > 0) currentInput().load(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    currentInput().load(file);
  });
}
