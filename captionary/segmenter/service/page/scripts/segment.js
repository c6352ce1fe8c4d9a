// The segment view: a picture and class names in, the overlay and its evidence out.

import { sleep } from "./api.js";
import { colourOf } from "./colours.js";
import { ClassField } from "./completion.js";
import { RegionCorrector } from "./correct.js";
import { MEANING, byId, make, percent } from "./elements.js";
import { showDetails, showPointed, swatch } from "./evidence.js";
import { Overlay } from "./overlay.js";
import { PictureInput } from "./picture.js";
import { ButtonTask } from "./task.js";

const MAX_EVIDENCE = "2";
const MAX_KINDS = 12;

export class SegmentView {
  constructor({ api, corrections, onRevision }) {
    this.api = api;
    this.onRevision = onRevision;
    this.segmentation = null;
    this.legend = byId("legend");
    this.status = byId("ask-status");
    this.pictureInput = new PictureInput({
      section: byId("segment"),
      problem: byId("picture-problem"),
      onPicture: () => this.reset(),
    });
    this.overlay = new Overlay({
      frame: byId("stage").querySelector(".frame"),
      onRegion: (hit) => this.showEvidence(hit),
    });
    this.corrector = new RegionCorrector({ corrections, view: this });
    this.field = new ClassField({
      input: byId("classes"),
      list: byId("completions"),
      liveRegion: byId("completions-heard"),
      suggest: (typed, options) => this.suggest(typed, options),
      onEnter: () => this.segment(),
    });
    this.task = new ButtonTask({
      startButton: byId("go"),
      cancelButton: byId("cancel"),
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
    await this.pictureInput.load(file);
    if (this.pictureInput.picture?.file !== file) return;
    this.field.input.value = nouns.join(", ");
    await this.segment();
  }

  async suggest(typed, { limit, delay, signal }) {
    await sleep(delay, signal);
    const query = new URLSearchParams({ q: typed, limit });
    const listing = await this.api.request(`/v1/vocabulary?${query}`, { signal, quiet: true });
    return listing.nouns;
  }

  async segment() {
    this.field.close();
    if (!this.pictureInput.picture) {
      this.task.showProblem("there is no picture yet; choose one, drop one or paste one");
      this.pictureInput.empty.querySelector("button").focus();
      return;
    }
    if (!this.field.input.value.replace(/[\s,]/g, "")) {
      this.task.showProblem("no class is named; write at least one, as in dog, grass");
      this.field.input.focus();
      return;
    }
    const started = performance.now();
    this.status.textContent = "Segmenting…";
    this.corrector.reset();
    await this.task.run((options) => this.request(options), {
      onResult: (segmentation) => {
        this.show(segmentation);
        const { revision } = segmentation;
        const by = revision === null ? "by text alone" : `dictionary revision ${revision}`;
        this.status.textContent = `${((performance.now() - started) / 1000).toFixed(2)} s · ${by}`;
      },
      onStop: (words) => {
        this.status.textContent = words;
      },
    });
  }

  /** Have the picture segmented as the form says. */
  request(options) {
    const { file } = this.pictureInput.picture;
    const form = new FormData();
    form.append("image", file, file.name || "pasted");
    form.append("classes", this.field.input.value);
    form.append("fusion", byId("fusion").value);
    form.append("background", byId("background").value);
    form.append("exact", byId("exact").checked);
    form.append("evidence", MAX_EVIDENCE);
    form.append("format", "json");
    return this.api.request("/v1/segment", { ...options, body: form });
  }

  showBusy(busy) {
    const stage = byId("stage");
    stage.setAttribute("aria-busy", String(busy));
    stage.querySelector(".working").hidden = !busy;
  }

  show(segmentation) {
    this.segmentation = segmentation;
    this.colours = segmentation.classes.map((name, index) => colourOf(index, name));
    this.overlay.show(segmentation, this.colours);
    this.showLegend();
    this.showKinds();
    this.showWithoutNoun();
    byId("intro").hidden = true;
    byId("result").hidden = false;
    byId("stage").scrollIntoView({ block: "nearest" });
    this.showEvidence(null);
    if (segmentation.revision !== null) this.onRevision(segmentation.revision);
  }

  /** A new picture outdates the segmentation, and one that is still awaited as well. */
  reset() {
    this.task.abort();
    this.corrector.reset();
    this.overlay.clear();
    if (this.segmentation) this.showEvidence(null);
    this.segmentation = null;
    byId("intro").hidden = false;
    byId("result").hidden = true;
    this.status.textContent = "";
    this.task.showProblem("");
  }

  colourOf(className) {
    return this.colours[this.segmentation.classes.indexOf(className)];
  }

  showEvidence(hit) {
    const mask = hit && this.segmentation.masks.find((one) => one.class === hit.className);
    const colour = hit && this.colourOf(hit.className);
    const score = hit?.region?.score ?? mask?.score;
    showDetails(byId("details"), hit, {
      prototypes: this.segmentation.prototypes,
      pinned: this.overlay.pinned,
      colour,
      mask,
      form: hit && this.overlay.pinned ? this.corrector.form(hit) : null,
    });
    showPointed(byId("pointed"), hit, { colour, score });
    this.pictureInput.name.hidden = hit !== null;
  }

  showLegend() {
    const [height, width] = this.segmentation.size;
    const masks = [...this.segmentation.masks].sort((a, b) => b.area - a.area);
    this.legend.replaceChildren(...masks.map((mask) => this.legendEntry(mask, height * width)));
    const seen = new Set(masks.map((mask) => mask.class));
    const unseen = this.segmentation.classes.filter((name) => !seen.has(name));
    byId("unseen").textContent = unseen.length > 0 ? `Not seen: ${unseen.join(", ")}` : "";
  }

  /** Tell which nouns speak for a class besides its own name. */
  showKinds() {
    const lines = Object.entries(this.segmentation.kinds).map(([name, nouns]) => {
      const listed = nouns.slice(0, MAX_KINDS).map(({ noun, pictures }) => `${noun} ${pictures}`);
      const more = nouns.length > MAX_KINDS ? `, and ${nouns.length - MAX_KINDS} more` : "";
      return make("li", { textContent: `${name}: also by ${listed.join(", ")}${more}` });
    });
    byId("kinds").replaceChildren(...lines);
  }

  /** Name the classes that the dictionary has no noun for. */
  showWithoutNoun() {
    const names = this.segmentation.without_noun.join(", ");
    const words = `No noun in the dictionary, judged by text or by near nouns: ${names}`;
    byId("without-noun").textContent = names && words;
  }

  legendEntry(mask, pixels) {
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
    button.addEventListener("click", () => this.toggleSolo(button, mask.class));
    return make("li", {}, button);
  }

  toggleSolo(button, className) {
    const soloClass = this.overlay.soloClass === className ? null : className;
    for (const other of this.legend.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button && soloClass !== null));
    }
    this.overlay.showOnly(soloClass);
  }
}
