// Correcting a segmentation: what a region is, or is not; before and after; and the way back.

import { sleep } from "./api.js";
import { undoLine } from "./corrections.js";
import { byId, make } from "./elements.js";
import { nounField } from "./nounfield.js";
import { maskWithin } from "./rle.js";

const MAX_ATTEMPTS = 5;
const RETRY_MS = 150;

export class RegionCorrector {
  /**
   * corrections: of the dictionary.
   * view:        the segment view: its picture, its segmentation, and how to have another.
   */
  constructor({ corrections, view }) {
    Object.assign(this, { corrections, view, running: null });
    this.line = byId("corrected");
    this.problem = byId("correct-problem");
  }

  /** What a region of the result can be told to be; null where it cannot. */
  form(hit) {
    if (!this.corrections.possible || !hit.region) return null;
    const { className } = hit;
    const { element, input } = nounField({
      id: "this-is",
      label: "This is",
      suggest: (typed, options) => this.view.suggest(typed, options),
      onEnter: () => this.say(hit, input, false),
    });
    const teach = make("button", { type: "submit", className: "main", textContent: "Teach" });
    const words = `Not ${withArticle(className)}`;
    const refuse = make("button", { type: "button", className: "refuse", textContent: words });
    refuse.addEventListener("click", () => this.say(hit, null, true));
    const form = make("form", { className: "correct", noValidate: true }, element, teach, refuse);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say(hit, input, false);
    });
    return form;
  }

  /** Say what a region is, or that it is not what it was found to be. */
  async say({ className, region }, input, refused) {
    const noun = refused ? className : input.value.trim();
    if (!noun) {
      this.problem.textContent = "no noun is named; write what it is";
      input.focus();
      return;
    }
    const { segmentation, overlay, pictureInput } = this.view;
    const { runs } = overlay.masks.find((mask) => mask.class === className);
    const area = { rle: maskWithin(runs, region.box) };
    const { file } = pictureInput.picture;
    await this.run("Learning…", async (options) => {
      const number = await this.corrections.point(file, { noun, area, refused }, options);
      if (!refused) this.view.field.add(noun);
      const after = await this.segmentAnew(segmentation.revision, options);
      this.compare(segmentation, after, refused ? `Not ${withArticle(noun)}.` : `Learned: ${noun}.`, number);
    });
  }

  async undo(number) {
    const { revision } = this.view.segmentation;
    await this.run("Undoing…", async (options) => {
      await this.corrections.undo(number, options);
      this.view.show(await this.segmentAnew(revision, options));
      this.line.replaceChildren(make("p", { className: "done", role: "status", textContent: "Undone." }));
    });
  }

  /** Segment the picture again; a segmenter beside the indexer may need a moment to notice. */
  async segmentAnew(revision, options) {
    for (let left = MAX_ATTEMPTS; ; left -= 1) {
      const found = await this.view.request(options);
      if (left === 0 || revision === null || found.revision !== revision) return found;
      await sleep(RETRY_MS, options.signal);
    }
  }

  /** Show what came of it, with the way to what was before. */
  compare(before, after, words, number) {
    this.view.show(after);
    const versions = [["Before", before], ["After", after]];
    const buttons = versions.map(([name, segmentation]) => {
      const pressed = String(segmentation === after);
      const button = make("button", { type: "button", "aria-pressed": pressed, textContent: name });
      button.addEventListener("click", () => {
        for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
        this.view.show(segmentation);
      });
      return button;
    });
    const line = undoLine(words, () => this.undo(number));
    if (number === null) line.querySelector("button").remove();
    const label = "Which result is shown";
    const versus = make("div", { className: "versus", role: "group", "aria-label": label }, ...buttons);
    this.line.replaceChildren(line, versus);
    buttons[1].focus({ preventScroll: true });
  }

  async run(words, task) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.problem.textContent = "";
    this.line.replaceChildren(make("p", { className: "faint", role: "status", textContent: words }));
    this.view.showBusy(true);
    try {
      await task({ signal: running.signal });
    } catch (error) {
      if (this.running !== running) return;
      this.line.replaceChildren();
      this.problem.textContent = error.message;
    } finally {
      if (this.running === running) this.view.showBusy(false);
    }
  }

  /** Forget what was corrected: there is another picture, or another result. */
  reset() {
    this.running?.abort();
    this.running = null;
    this.line.replaceChildren();
    this.problem.textContent = "";
  }
}

const withArticle = (noun) => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
