// The classes over the picture: drawn, pointed at, and walked through by keyboard.

import { make, percent } from "./elements.js";
import { RunMask } from "./runs.js";

const DIMMED = [18, 20, 24, 200];

export class Overlay {
  /** onRegion: told of what is pointed at, {class_name, region or null}, or of null. */
  constructor({ frame, onRegion }) {
    this.frame = frame;
    this.canvas = frame.querySelector("canvas");
    this.regions = frame.querySelector(".regions");
    this.onRegion = onRegion;
    this.alone = null;
    this.clear();
    new ResizeObserver(() => this.draw()).observe(frame);
    frame.addEventListener("pointermove", (event) => this.point(event));
    frame.addEventListener("pointerleave", () => this.leave());
    frame.addEventListener("click", (event) => this.press(event));
    this.regions.addEventListener("keydown", (event) => this.key(event));
    this.regions.addEventListener("focus", () => this.focus());
  }

  clear() {
    this.answer = null;
    this.masks = [];
    this.options = [];
    this.active = null;
    this.kept = false;
    this.toldKept = false;
    this.regions.replaceChildren();
    this.regions.hidden = true;
    this.canvas.width = 0;
  }

  /** Show an answer. colours: of each class of its list. */
  show(answer, colours) {
    this.clear();
    this.answer = answer;
    this.colours = colours;
    this.alone = null;
    this.masks = answer.masks.map((mask) => ({ ...mask, runs: new RunMask(mask.rle) }));
    this.options = this.inOrder(answer.regions).map((region, index) => this.option(region, index));
    this.regions.replaceChildren(...this.options.map(({ element }) => element));
    this.regions.hidden = false;
    this.draw();
  }

  /** Regions as they are walked through: class by class, large ones first. */
  inOrder(regions) {
    const place = (region) => this.answer.classes.indexOf(region.class);
    return [...regions].sort((a, b) => place(a) - place(b) || b.area - a.area);
  }

  option(region, index) {
    const [height, width] = this.answer.size;
    const [left, top, right, bottom] = region.box;
    const share = `${percent(region.area)} of the picture`;
    const element = make("div", {
      id: `region-${index}`,
      role: "option",
      "aria-selected": "false",
      "aria-label": `${region.class}, ${percent(region.score)} sure, ${share}`,
    });
    Object.assign(element.style, {
      left: `${(100 * left) / width}%`,
      top: `${(100 * top) / height}%`,
      width: `${(100 * (right - left)) / width}%`,
      height: `${(100 * (bottom - top)) / height}%`,
    });
    return { region, element };
  }

  /** Show one class alone, or all for null. */
  only(className) {
    this.alone = className;
    this.draw();
  }

  /** Draw at the size of the screen, whatever the picture's own. */
  draw() {
    if (!this.answer) return;
    const scale = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(this.frame.clientWidth * scale);
    const height = Math.round(this.frame.clientHeight * scale);
    if (width === 0 || height === 0) return;
    const classAt = new Uint16Array(width * height);
    this.masks.forEach(({ runs }, index) => runs.paint(classAt, width, height, index + 1));
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    const pixels = context.createImageData(width, height);
    this.colour(new Uint32Array(pixels.data.buffer), classAt, width, Math.round(scale));
    context.putImageData(pixels, 0, 0);
  }

  /** Fill colours in, with a light line where classes meet. */
  colour(target, classAt, width, line) {
    const shown = this.masks.map((mask) => {
      const [red, green, blue] = this.colours[this.answer.classes.indexOf(mask.class)];
      const hidden = this.alone !== null && this.alone !== mask.class;
      return packed(hidden ? DIMMED : [red, green, blue, 255]);
    });
    const white = packed([255, 255, 255, 255]);
    for (let at = 0; at < classAt.length; at += 1) {
      const here = shown[classAt[at] - 1] ?? 0;
      const beside = at % width >= line ? (shown[classAt[at - line] - 1] ?? 0) : here;
      const above = at >= line * width ? (shown[classAt[at - line * width] - 1] ?? 0) : here;
      target[at] = here === beside && here === above ? here : white;
    }
  }

  /** What lies at a pixel: the class, and the smallest region of that class with it in its box. */
  at(x, y) {
    const mask = this.masks.find(({ runs }) => runs.has(x, y));
    if (!mask) return null;
    const around = this.options
      .filter(({ region }) => region.class === mask.class && contains(region.box, x, y))
      .sort((a, b) => extent(a.region.box) - extent(b.region.box));
    return { mask, option: around[0] ?? null };
  }

  found(event) {
    const box = this.frame.getBoundingClientRect();
    const [height, width] = this.answer.size;
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return x >= 0 && y >= 0 && x < width && y < height ? this.at(x, y) : null;
  }

  point(event) {
    if (this.answer && !this.kept && event.pointerType !== "touch") this.tell(this.found(event));
  }

  /** A press keeps a region, so that its evidence can be read; another press lets it go. */
  press(event) {
    if (!this.answer) return;
    const chosen = this.options.find(({ element }) => element === event.target);
    const found = chosen ? this.of(chosen) : this.found(event);
    const same = this.kept && found?.option === this.active?.option;
    this.kept = Boolean(found) && !same;
    this.tell(found);
  }

  leave() {
    if (this.answer && !this.kept) this.tell(null);
  }

  of(option) {
    return { mask: this.masks.find((mask) => mask.class === option.region.class), option };
  }

  tell(found) {
    const unchanged = found?.option === this.active?.option && found?.mask === this.active?.mask;
    this.active?.option?.element.setAttribute("aria-selected", "false");
    this.active = found;
    found?.option?.element.setAttribute("aria-selected", "true");
    if (found?.option) this.regions.setAttribute("aria-activedescendant", found.option.element.id);
    else this.regions.removeAttribute("aria-activedescendant");
    this.frame.classList.toggle("kept", this.kept);
    if (!unchanged || this.toldKept !== this.kept) {
      this.toldKept = this.kept;
      this.onRegion(
        found && { className: this.classOf(found), region: found.option?.region ?? null },
      );
    }
  }

  classOf({ mask, option }) {
    return option?.region.class ?? mask.class;
  }

  focus() {
    if (!this.active && this.regions.matches(":focus-visible")) this.step(0, 0);
  }

  /** Go to a region: so many on from the active one, or from a place. */
  step(by, from) {
    const walked = this.options.filter(
      ({ region }) => this.alone === null || region.class === this.alone,
    );
    if (walked.length === 0) return;
    const now = walked.indexOf(this.active?.option);
    const next = from ?? (now < 0 ? 0 : now + by);
    this.tell(this.of(walked[(next + walked.length) % walked.length]));
  }

  key(event) {
    if (event.key === "ArrowRight" || event.key === "ArrowDown") this.step(1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") this.step(-1);
    else if (event.key === "Home") this.step(0, 0);
    else if (event.key === "End") this.step(0, -1);
    else if (event.key === "Enter" || event.key === " ") this.keep(!this.kept);
    else if (event.key === "Escape") this.keep(false);
    else return;
    event.preventDefault();
  }

  keep(kept) {
    this.kept = kept && this.active !== null;
    this.tell(this.active);
  }
}

const contains = ([left, top, right, bottom], x, y) =>
  x >= left && x < right && y >= top && y < bottom;

const extent = ([left, top, right, bottom]) => (right - left) * (bottom - top);

/** Red, green, blue and alpha in one number, in the byte order of the machine. */
const packed = (bytes) => new Uint32Array(Uint8Array.from(bytes).buffer)[0];
