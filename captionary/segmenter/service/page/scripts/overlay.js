// The overlay: classes drawn over the picture, hit-tested by pointer, walked through by keyboard.

import { make, percent } from "./elements.js";
import { RleMask } from "./rle.js";

const DIMMED = [18, 20, 24, 200];

export class Overlay {
  /** onRegion: called with what is pointed at, {className, region or null}, or null. */
  constructor({ frame, onRegion }) {
    this.frame = frame;
    this.canvas = frame.querySelector("canvas");
    this.regions = frame.querySelector(".regions");
    this.onRegion = onRegion;
    this.soloClass = null;
    this.clear();
    new ResizeObserver(() => this.draw()).observe(frame);
    frame.addEventListener("pointermove", (event) => this.handlePointerMove(event));
    frame.addEventListener("pointerleave", () => this.handlePointerLeave());
    frame.addEventListener("click", (event) => this.handleClick(event));
    this.regions.addEventListener("keydown", (event) => this.handleKey(event));
    this.regions.addEventListener("focus", () => this.handleFocus());
  }

  clear() {
    this.segmentation = null;
    this.masks = [];
    this.options = [];
    this.active = null;
    this.pinned = false;
    this.reportedPinned = false;
    this.regions.replaceChildren();
    this.regions.hidden = true;
    this.canvas.width = 0;
  }

  /** Show a segmentation. colours: of each class of its list. */
  show(segmentation, colours) {
    this.clear();
    this.segmentation = segmentation;
    this.colours = colours;
    this.soloClass = null;
    this.masks = segmentation.masks.map((mask) => ({ ...mask, runs: new RleMask(mask.rle) }));
    const ordered = this.keyboardOrder(segmentation.regions);
    this.options = ordered.map((region, index) => this.buildOption(region, index));
    this.regions.replaceChildren(...this.options.map(({ element }) => element));
    this.regions.hidden = false;
    this.draw();
  }

  /** Regions as they are walked through: class by class, large ones first. */
  keyboardOrder(regions) {
    const place = (region) => this.segmentation.classes.indexOf(region.class);
    return [...regions].sort((a, b) => place(a) - place(b) || b.area - a.area);
  }

  buildOption(region, index) {
    const [height, width] = this.segmentation.size;
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
  showOnly(className) {
    this.soloClass = className;
    this.draw();
  }

  /** Draw at the size of the screen, whatever the picture's own. */
  draw() {
    if (!this.segmentation) return;
    const scale = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(this.frame.clientWidth * scale);
    const height = Math.round(this.frame.clientHeight * scale);
    if (width === 0 || height === 0) return;
    const classAt = new Uint16Array(width * height);
    this.masks.forEach(({ runs }, index) => runs.paint(classAt, width, height, index + 1));
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    const pixels = context.createImageData(width, height);
    this.fillColours(new Uint32Array(pixels.data.buffer), classAt, width, Math.round(scale));
    context.putImageData(pixels, 0, 0);
  }

  /** Fill colours in, with a light line where classes meet. */
  fillColours(target, classAt, width, line) {
    const shown = this.masks.map((mask) => {
      const [red, green, blue] = this.colours[this.segmentation.classes.indexOf(mask.class)];
      const hidden = this.soloClass !== null && this.soloClass !== mask.class;
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

  /** What lies at a pixel: its class, and the smallest region of that class whose box has it. */
  hitTest(x, y) {
    const mask = this.masks.find(({ runs }) => runs.has(x, y));
    if (!mask) return null;
    const around = this.options
      .filter(({ region }) => region.class === mask.class && contains(region.box, x, y))
      .sort((a, b) => extent(a.region.box) - extent(b.region.box));
    return { mask, option: around[0] ?? null };
  }

  hitAt(event) {
    const box = this.frame.getBoundingClientRect();
    const [height, width] = this.segmentation.size;
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return x >= 0 && y >= 0 && x < width && y < height ? this.hitTest(x, y) : null;
  }

  handlePointerMove(event) {
    if (!this.segmentation || this.pinned || event.pointerType === "touch") return;
    this.select(this.hitAt(event));
  }

  /** A click pins a region, so that its evidence can be read; another click lets it go. */
  handleClick(event) {
    if (!this.segmentation) return;
    const chosen = this.options.find(({ element }) => element === event.target);
    const hit = chosen ? this.hitOf(chosen) : this.hitAt(event);
    const same = this.pinned && hit?.option === this.active?.option;
    this.pinned = Boolean(hit) && !same;
    this.select(hit);
  }

  handlePointerLeave() {
    if (this.segmentation && !this.pinned) this.select(null);
  }

  hitOf(option) {
    return { mask: this.masks.find((mask) => mask.class === option.region.class), option };
  }

  select(hit) {
    const unchanged = hit?.option === this.active?.option && hit?.mask === this.active?.mask;
    this.active?.option?.element.setAttribute("aria-selected", "false");
    this.active = hit;
    hit?.option?.element.setAttribute("aria-selected", "true");
    if (hit?.option) this.regions.setAttribute("aria-activedescendant", hit.option.element.id);
    else this.regions.removeAttribute("aria-activedescendant");
    this.frame.classList.toggle("pinned", this.pinned);
    if (!unchanged || this.reportedPinned !== this.pinned) {
      this.reportedPinned = this.pinned;
      this.onRegion(
        hit && { className: this.classOf(hit), region: hit.option?.region ?? null },
      );
    }
  }

  classOf({ mask, option }) {
    return option?.region.class ?? mask.class;
  }

  handleFocus() {
    if (!this.active && this.regions.matches(":focus-visible")) this.step(0, 0);
  }

  /** Go to a region: so many on from the active one, or from a place. */
  step(by, from) {
    const walked = this.options.filter(
      ({ region }) => this.soloClass === null || region.class === this.soloClass,
    );
    if (walked.length === 0) return;
    const now = walked.indexOf(this.active?.option);
    const next = from ?? (now < 0 ? 0 : now + by);
    this.select(this.hitOf(walked[(next + walked.length) % walked.length]));
  }

  handleKey(event) {
    if (event.key === "ArrowRight" || event.key === "ArrowDown") this.step(1);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") this.step(-1);
    else if (event.key === "Home") this.step(0, 0);
    else if (event.key === "End") this.step(0, -1);
    else if (event.key === "Enter" || event.key === " ") this.pin(!this.pinned);
    else if (event.key === "Escape") this.pin(false);
    else return;
    event.preventDefault();
  }

  pin(pinned) {
    this.pinned = pinned && this.active !== null;
    this.select(this.active);
  }
}

const contains = ([left, top, right, bottom], x, y) =>
  x >= left && x < right && y >= top && y < bottom;

const extent = ([left, top, right, bottom]) => (right - left) * (bottom - top);

/** Red, green, blue and alpha in one number, in the byte order of the machine. */
const packed = (bytes) => new Uint32Array(Uint8Array.from(bytes).buffer)[0];
