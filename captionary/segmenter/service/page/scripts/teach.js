// The teach view: sends captioned pictures to the indexer, and shows what was learned of them.

import { sleep } from "./api.js";
import { byId, count, make, nounHref } from "./elements.js";
import { normalForm } from "./names.js";
import { PictureInput } from "./picture.js";
import { ButtonTask } from "./task.js";

const FIRST_POLL_MS = 300;
const MAX_POLL_MS = 2000;
const MAX_ATTEMPTS = 5;
const THUMBNAIL_SIDE = 96;
const MAX_QUERIES = 24;

export class TeachView {
  /**
   * current:   returns the picture of the segment view, or null.
   * counts:    resolves to the size of the dictionary now, as in /v1/about.
   * onSegment: called with a picture's file and nouns to segment it into.
   */
  constructor({ api, current, counts, onSegment }) {
    Object.assign(this, { api, current, counts, onSegment, indexer: "" });
    this.captions = byId("captions");
    this.status = byId("teach-status");
    this.lessons = byId("lessons");
    this.useCurrent = byId("use-current");
    this.pictureInput = new PictureInput({
      section: byId("teach"),
      problem: byId("lesson-problem"),
    });
    this.task = new ButtonTask({
      startButton: byId("teach-go"),
      cancelButton: byId("teach-cancel"),
      countdown: byId("teach-countdown"),
      problem: byId("teach-problem"),
    });
    this.useCurrent.addEventListener("click", () => this.pictureInput.load(this.current().file));
    byId("tell").addEventListener("submit", (event) => {
      event.preventDefault();
      this.teach();
    });
  }

  enter() {
    this.useCurrent.hidden = this.current() === null;
  }

  async teach() {
    const captions = this.captions.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!this.pictureInput.picture) {
      this.task.showProblem("there is no picture yet; choose one, drop one or paste one");
      this.pictureInput.empty.querySelector("button").focus();
      return;
    }
    if (captions.length === 0) {
      const problem = "there is no caption yet; write a sentence that names what is to be seen";
      this.task.showProblem(problem);
      this.captions.focus();
      return;
    }
    const { file } = this.pictureInput.picture;
    this.status.textContent = "Sending…";
    await this.task.run((options) => this.send(file, captions, options), {
      onResult: ({ job, before }) => this.addLesson(job, captions, before),
      onStop: (words) => {
        this.status.textContent = words;
      },
    });
  }

  async send(file, captions, options) {
    const form = new FormData();
    form.append("image", file, file.name || "pasted");
    for (const caption of captions) form.append("caption", caption);
    const before = await this.counts();
    const path = "/v1/pairs";
    const { job } = await this.api.request(path, { ...options, base: this.indexer, body: form });
    return { job, before };
  }

  /** It is safe with the indexer: watch the job, and make room for the next. */
  addLesson(job, captions, before) {
    const { file } = this.pictureInput.picture;
    const onSegment = (nouns) => this.onSegment(file, nouns);
    const lesson = new Lesson({ image: this.pictureInput.image, captions, onSegment });
    this.lessons.prepend(lesson.element);
    this.trackJob(job, lesson, captions, before);
    this.status.textContent = "";
    this.captions.value = "";
    this.pictureInput.clear();
    this.enter();
    byId("lesson").querySelector("button").focus();
  }

  async trackJob(job, lesson, captions, before) {
    try {
      const done = await this.pollJob(job, lesson);
      if (done.state === "failed" || done.failures.length > 0) {
        const reasons = done.failures.map((failure) => failure.reason);
        lesson.fail(reasons.join("; ") || "it could not be learned; the indexer's log says why");
      } else {
        await this.reportLearned(lesson, captions, before);
      }
    } catch (error) {
      lesson.fail(error.message);
    }
  }

  /** Poll a job until it is over; an indexer that is away for a moment is asked again. */
  async pollJob(job, lesson) {
    let failed = 0;
    for (let wait = FIRST_POLL_MS; ; wait = Math.min(1.3 * wait, MAX_POLL_MS)) {
      await sleep(wait);
      try {
        const path = `/v1/jobs/${encodeURIComponent(job)}`;
        const now = await this.api.request(path, { base: this.indexer });
        failed = 0;
        if (now.state === "done" || now.state === "failed") return now;
        lesson.showState(now.state === "queued" ? "Waiting its turn…" : "Looking at it…");
      } catch (error) {
        failed += 1;
        if (failed > MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** Show what is known now; a segmenter beside the indexer may need a moment to notice. */
  async reportLearned(lesson, captions, before) {
    lesson.showState("Learned; looking at the dictionary…");
    let after = await this.counts();
    for (let left = MAX_ATTEMPTS; left > 0 && after.revision === before.revision; left -= 1) {
      await sleep(FIRST_POLL_MS);
      after = await this.counts();
    }
    lesson.complete(summary(after, before), await this.nounsIn(captions));
  }

  /** The dictionary's nouns that stand in captions. */
  async nounsIn(captions) {
    const text = normalForm(captions.join(" "));
    // Plurals and compounds start like their noun: the first letters find all candidates.
    const starts = new Set(text.match(/\p{L}{3,}/gu)?.map((word) => word.slice(0, 4)));
    const pages = await Promise.all(
      [...starts].slice(0, MAX_QUERIES).map((start) => {
        const query = new URLSearchParams({ q: start, limit: 50 });
        return this.api.request(`/v1/vocabulary?${query}`);
      }),
    );
    const found = new Map(pages.flatMap(({ nouns }) => nouns.map((one) => [one.noun, one])));
    return [...found.values()].filter(({ noun }) => occursIn(noun, text));
  }
}

/** Whether a noun stands in a text, in the singular or with a usual ending. */
function occursIn(noun, text) {
  const plain = normalForm(noun).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<!\\p{L})${plain}(e?s)?(?!\\p{L})`, "u").test(text);
}

function summary(after, before) {
  const more = after.nouns - before.nouns;
  if (more > 0) return `The dictionary knows ${count(more, "more noun")}: ${after.nouns} now.`;
  if (after.images > before.images) return "No new noun, but one more picture of those it knows.";
  return "Nothing new: the dictionary knew this picture with this caption.";
}

/** A line of what was taught, with how far it is. */
class Lesson {
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
