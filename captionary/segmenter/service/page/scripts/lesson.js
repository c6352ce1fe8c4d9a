// A line of what was taught: the picture, its captions, and how far it is.

import { count, make, nounHref } from "./elements.js";

const THUMBNAIL_SIDE = 96;

export class Lesson {
  constructor({ image, captions, onSegment }) {
    this.onSegment = onSegment;
    this.state = make("p", { className: "state", textContent: "Waiting its turn…" });
    this.progress = make("progress", { "aria-label": "Being learned" });
    this.nouns = make("ul", { className: "chips", hidden: true });
    const text = make("p", { className: "caption", textContent: captions.join(" / ") });
    this.body = make("div", {}, text, this.state, this.progress, this.nouns);
    this.element = make("li", { className: "lesson" }, thumbnailCanvas(image), this.body);
  }

  showState(text) {
    this.state.textContent = text;
  }

  fail(reason) {
    this.progress.remove();
    this.state.className = "problem";
    this.showState(reason);
  }

  complete(text, nouns) {
    this.progress.remove();
    this.showState(text);
    this.nouns.replaceChildren(...nouns.map(chip));
    this.nouns.hidden = nouns.length === 0;
    if (nouns.length > 0) this.body.append(this.segmentButton(nouns.map(({ noun }) => noun)));
  }

  segmentButton(nouns) {
    const words = "Segment this picture";
    const button = make("button", { type: "button", className: "quiet", textContent: words });
    button.addEventListener("click", () => this.onSegment(nouns));
    return button;
  }
}

function chip({ noun, pictures }) {
  const known = pictures === 1 ? "new" : count(pictures, "picture");
  const link = make("a", { href: nounHref(noun) }, noun, " ");
  link.append(make("span", { className: "faint", textContent: known }));
  return make("li", {}, link);
}

/** A small copy of a picture that is shown. */
function thumbnailCanvas(image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = THUMBNAIL_SIDE / Math.max(width, height);
  const canvas = make("canvas", { "aria-hidden": "true" });
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}
