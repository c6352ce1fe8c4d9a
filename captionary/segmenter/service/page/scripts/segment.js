// The first view: a picture and class names in, the overlay and its reasons out.

import { pause } from "./api.js";
import { colourOf, isRest } from "./colours.js";
import { ClassField } from "./completion.js";
import { MEANING, byId, make, percent } from "./elements.js";
import { showDetails, showPointed, swatch } from "./evidence.js";
import { Overlay } from "./overlay.js";
import { PicturePlace } from "./picture.js";
import { Work } from "./work.js";

const EVIDENCE = "2";
const BY_PROTOTYPES = ["prototypes", "both"];

export class SegmentView {
  constructor({ api, onRevision }) {
    this.api = api;
    this.onRevision = onRevision;
    this.answer = null;
    this.legend = byId("legend");
    this.status = byId("ask-status");
    this.place = new PicturePlace({
      section: byId("segment"),
      problem: byId("picture-problem"),
      onPicture: () => this.forget(),
    });
    this.overlay = new Overlay({
      frame: byId("stage").querySelector(".frame"),
      onRegion: (found) => this.explain(found),
    });
    this.field = new ClassField({
      input: byId("classes"),
      list: byId("completions"),
      heard: byId("completions-heard"),
      suggest: (typed, options) => this.suggest(typed, options),
      onEnter: () => this.segment(),
    });
    this.work = new Work({
      go: byId("go"),
      cancel: byId("cancel"),
      countdown: byId("ask-countdown"),
      problem: byId("ask-problem"),
      onBusy: (busy) => this.showBusy(busy),
    });
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.segment();
    });
    const opacity = byId("opacity");
    const fade = () => this.overlay.canvas.style.setProperty("opacity", opacity.value / 100);
    opacity.addEventListener("input", fade);
    fade();
  }

  /** Segment a picture into nouns, in place of what was there. */
  async segmentAs(file, nouns) {
    await this.place.take(file);
    if (this.place.picture?.file !== file) return;
    this.field.input.value = nouns.join(", ");
    await this.segment();
  }

  async suggest(typed, { limit, delay, signal }) {
    await pause(delay, signal);
    const query = new URLSearchParams({ q: typed, limit });
    const found = await this.api.ask(`/v1/vocabulary?${query}`, { signal, quiet: true });
    return found.nouns;
  }

  async segment() {
    this.field.close();
    if (!this.place.picture) {
      this.work.tell("there is no picture yet; choose one, drop one or paste one");
      this.place.empty.querySelector("button").focus();
      return;
    }
    if (!this.field.input.value.replace(/[\s,]/g, "")) {
      this.work.tell("no class is named; write at least one, as in dog, grass");
      this.field.input.focus();
      return;
    }
    const form = this.form(this.place.picture.file);
    const started = performance.now();
    this.status.textContent = "Segmenting…";
    await this.work.run(
      (options) => this.api.ask("/v1/segment", { ...options, body: form }),
      {
        onDone: (answer) => {
          this.show(answer, (performance.now() - started) / 1000);
          this.showByText(BY_PROTOTYPES.includes(form.get("fusion")));
        },
        onEnd: (words) => {
          this.status.textContent = words;
        },
      },
    );
  }

  form(file) {
    const form = new FormData();
    form.append("image", file, file.name || "pasted");
    form.append("classes", this.field.input.value);
    form.append("fusion", byId("fusion").value);
    form.append("background", byId("background").value);
    form.append("evidence", EVIDENCE);
    form.append("format", "json");
    return form;
  }

  showBusy(busy) {
    const stage = byId("stage");
    stage.setAttribute("aria-busy", String(busy));
    stage.querySelector(".working").hidden = !busy;
  }

  show(answer, seconds) {
    this.answer = answer;
    this.colours = answer.classes.map((name, index) => colourOf(index, name));
    this.overlay.show(answer, this.colours);
    this.showLegend();
    byId("intro").hidden = true;
    byId("result").hidden = false;
    byId("stage").scrollIntoView({ block: "nearest" });
    this.explain(null);
    const { revision } = answer;
    const by = revision === null ? "by text alone" : `dictionary revision ${revision}`;
    this.status.textContent = `${seconds.toFixed(2)} s · ${by}`;
    if (revision !== null) this.onRevision(revision);
  }

  /** A new picture makes the old answer worthless, and one that is still awaited as well. */
  forget() {
    this.work.drop();
    this.overlay.clear();
    if (this.answer) this.explain(null);
    this.answer = null;
    byId("intro").hidden = false;
    byId("result").hidden = true;
    this.status.textContent = "";
    this.work.tell("");
  }

  colourOf(className) {
    return this.colours[this.answer.classes.indexOf(className)];
  }

  explain(found) {
    const mask = found && this.answer.masks.find((one) => one.class === found.className);
    const colour = found && this.colourOf(found.className);
    const score = found?.region?.score ?? mask?.score;
    showDetails(byId("details"), found, {
      prototypes: this.answer.prototypes,
      kept: this.overlay.kept,
      colour,
      mask,
    });
    showPointed(byId("pointed"), found, { colour, score });
    this.place.name.hidden = found !== null;
  }

  showLegend() {
    const [height, width] = this.answer.size;
    const masks = [...this.answer.masks].sort((a, b) => b.area - a.area);
    this.legend.replaceChildren(...masks.map((mask) => this.entry(mask, height * width)));
    const seen = new Set(masks.map((mask) => mask.class));
    const unseen = this.answer.classes.filter((name) => !seen.has(name));
    byId("unseen").textContent = unseen.length > 0 ? `Not seen: ${unseen.join(", ")}` : "";
  }

  /** Name the classes that prototypes should have judged and could not, as far as regions tell. */
  showByText(wanted) {
    const without = this.answer.regions.filter((region) => region.prototype === null);
    const names = new Set(without.map((region) => region.class).filter((name) => !isRest(name)));
    const words = `No prototype in the dictionary, judged by text: ${[...names].join(", ")}`;
    byId("by-text").textContent = wanted && names.size > 0 ? words : "";
  }

  entry(mask, pixels) {
    const button = make(
      "button",
      { type: "button", "aria-pressed": "false" },
      swatch(this.colourOf(mask.class)),
      make("span", { className: "class", textContent: mask.class }),
      make("span", { className: "figure", textContent: percent(mask.area / pixels) }),
      make("span", {
        className: "figure faint",
        textContent: `on average ${percent(mask.score)} sure`,
        title: MEANING.average,
      }),
    );
    button.addEventListener("click", () => this.toggle(button, mask.class));
    return make("li", {}, button);
  }

  toggle(button, className) {
    const alone = this.overlay.alone === className ? null : className;
    for (const other of this.legend.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button && alone !== null));
    }
    this.overlay.only(alone);
  }
}
