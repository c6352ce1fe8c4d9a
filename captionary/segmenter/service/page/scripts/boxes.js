// Boxes on a picture: drawn with a mouse or pen, moved and sized with any pointer or by keys, named.

import { make } from "./elements.js";
import { nounField } from "./nounfield.js";

const SMALLEST = 0.02;
const STEP = 0.02;
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

export class Boxes {
  /**
   * frame:   of the picture; gets the boxes.
   * names:   the list that gets a field for the noun of each.
   * addButton: adds a box in the middle, for whoever cannot draw one.
   * suggest: completes a noun, as of `ClassField`.
   */
  constructor({ frame, names, addButton, suggest }) {
    Object.assign(this, { names, suggest, boxes: [], made: 0 });
    this.layer = make("div", { className: "boxes" });
    frame.append(this.layer);
    this.layer.addEventListener("pointerdown", (event) => this.press(event));
    addButton.addEventListener("click", () => this.add([0.3, 0.3, 0.4, 0.4]).element.focus());
  }

  clear() {
    this.boxes = [];
    this.layer.replaceChildren();
    this.names.replaceChildren();
  }

  /** The boxes in pixels of a picture, with their nouns, as the indexer takes them. */
  regions({ width, height }) {
    return this.boxes.map(({ shape: [x, y, w, h], input }) => ({
      noun: input.value.trim(),
      box: [x * width, y * height, w * width, h * height],
    }));
  }

  /** The field of the first box without a noun; undefined where each has one. */
  get unnamed() {
    return this.boxes.find(({ input }) => !input.value.trim())?.input;
  }

  /** Add a box; shape: left, top, width and height as shares of the picture. */
  add(shape) {
    this.made += 1;
    const corner = make("span", { className: "corner" });
    const element = make("div", { className: "box", tabIndex: 0, role: "group" }, corner);
    const id = `box-${this.made}`;
    const field = nounField({ id, label: "", suggest: this.suggest, onEnter: () => {} });
    const remove = make("button", { type: "button", className: "cross", textContent: "×" });
    const label = field.element.querySelector("label");
    const row = make("li", {}, field.element, remove);
    const box = { shape, element, row, input: field.input, label, remove };
    element.addEventListener("keydown", (event) => this.handleKey(event, box));
    remove.addEventListener("click", () => this.remove(box));
    this.boxes.push(box);
    this.layer.append(element);
    this.names.append(row);
    this.place(box, shape);
    this.number();
    return box;
  }

  remove(box) {
    this.boxes = this.boxes.filter((one) => one !== box);
    box.element.remove();
    box.row.remove();
    this.number();
    this.boxes.at(-1)?.input.focus();
  }

  number() {
    this.boxes.forEach(({ element, label, remove }, at) => {
      element.dataset.number = at + 1;
      const keys = "arrow keys move it, with Shift they size it, Delete removes it";
      element.setAttribute("aria-label", `Box ${at + 1}: ${keys}`);
      label.textContent = `Box ${at + 1} shows`;
      remove.setAttribute("aria-label", `Remove box ${at + 1}`);
    });
  }

  /** Put a box where it is wanted, within the picture. */
  place(box, [left, top, width, height]) {
    const w = Math.min(Math.max(width, SMALLEST), 1);
    const h = Math.min(Math.max(height, SMALLEST), 1);
    const x = Math.min(Math.max(left, 0), 1 - w);
    const y = Math.min(Math.max(top, 0), 1 - h);
    box.shape = [x, y, w, h];
    const [l, t, r, b] = [x, y, w, h].map((share) => `${100 * share}%`);
    Object.assign(box.element.style, { left: l, top: t, width: r, height: b });
  }

  press(event) {
    const box = this.boxes.find(({ element }) => element.contains(event.target));
    if (event.button !== 0 || (!box && event.pointerType === "touch")) return;
    event.preventDefault();
    const start = this.shareAt(event);
    if (!box) return this.follow(event, (now) => this.draw(start, now));
    box.element.focus({ preventScroll: true });
    const [x, y, w, h] = box.shape;
    const isCorner = event.target.classList.contains("corner");
    this.follow(event, (now) => {
      const [right, down] = [now[0] - start[0], now[1] - start[1]];
      if (isCorner) this.place(box, [x, y, Math.min(w + right, 1 - x), Math.min(h + down, 1 - y)]);
      else this.place(box, [x + right, y + down, w, h]);
    });
  }

  /** Draw a box from one point to another: a new one, or that which is being drawn. */
  draw([x0, y0], [x1, y1]) {
    const shape = [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
    if (this.drawn) this.place(this.drawn, shape);
    else if (Math.max(shape[2], shape[3]) >= SMALLEST) this.drawn = this.add(shape);
  }

  /** Follow the pointer until it is let go. */
  follow({ pointerId }, onMove) {
    const move = (event) => onMove(this.shareAt(event));
    const end = () => {
      this.layer.removeEventListener("pointermove", move);
      this.drawn?.input.focus({ preventScroll: true });
      this.drawn = null;
    };
    this.layer.setPointerCapture(pointerId);
    this.layer.addEventListener("pointermove", move);
    this.layer.addEventListener("lostpointercapture", end, { once: true });
  }

  /** Where the pointer is, as shares of the picture. */
  shareAt({ clientX, clientY }) {
    const { left, top, width, height } = this.layer.getBoundingClientRect();
    const within = (share) => Math.min(Math.max(share, 0), 1);
    return [within((clientX - left) / width), within((clientY - top) / height)];
  }

  handleKey(event, box) {
    const [x, y, w, h] = box.shape;
    if (event.key === "Delete" || event.key === "Backspace") this.remove(box);
    else if (event.key === "Enter") box.input.focus();
    else if (event.key in ARROWS) {
      const [right, down] = ARROWS[event.key];
      if (event.shiftKey) this.place(box, [x, y, Math.min(w + right, 1 - x), Math.min(h + down, 1 - y)]);
      else this.place(box, [x + right, y + down, w, h]);
    } else return;
    event.preventDefault();
  }
}
