// The third view: a captioned picture for the indexer, and what the dictionary makes of it.

import { pause } from "./api.js";
import { byId, count, make, placeOf } from "./elements.js";
import { PicturePlace } from "./picture.js";
import { Work } from "./work.js";

const FIRST_LOOK = 300;
const SLOWEST_LOOK = 2000;
const PATIENCE = 5;
const THUMBNAIL = 96;
const MOST_WORDS = 24;

export class TeachView {
  /**
   * current:   answers the picture of the first view, or null.
   * counts:    answers what the dictionary has now, as /v1/about tells it.
   * onSegment: given a picture's file and nouns that it is to be segmented into.
   */
  constructor({ api, current, counts, onSegment }) {
    Object.assign(this, { api, current, counts, onSegment, indexer: "" });
    this.captions = byId("captions");
    this.status = byId("teach-status");
    this.lessons = byId("lessons");
    this.useCurrent = byId("use-current");
    this.place = new PicturePlace({ section: byId("teach"), problem: byId("lesson-problem") });
    this.work = new Work({
      go: byId("teach-go"),
      cancel: byId("teach-cancel"),
      countdown: byId("teach-countdown"),
      problem: byId("teach-problem"),
    });
    this.useCurrent.addEventListener("click", () => this.place.take(this.current().file));
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
    if (!this.place.picture) {
      this.work.tell("there is no picture yet; choose one, drop one or paste one");
      this.place.empty.querySelector("button").focus();
      return;
    }
    if (captions.length === 0) {
      this.work.tell("there is no caption yet; write a sentence that names what is to be seen");
      this.captions.focus();
      return;
    }
    const { file } = this.place.picture;
    this.status.textContent = "Sending…";
    await this.work.run((options) => this.send(file, captions, options), {
      onDone: ({ job, before }) => this.accepted(job, captions, before),
      onEnd: (words) => {
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
    const { job } = await this.api.ask(path, { ...options, base: this.indexer, body: form });
    return { job, before };
  }

  /** It is safe with the indexer: watch the job, and make room for the next. */
  accepted(job, captions, before) {
    const { file } = this.place.picture;
    const onSegment = (nouns) => this.onSegment(file, nouns);
    const lesson = new Lesson({ image: this.place.image, captions, onSegment });
    this.lessons.prepend(lesson.element);
    this.watch(job, lesson, captions, before);
    this.status.textContent = "";
    this.captions.value = "";
    this.place.clear();
    this.enter();
    byId("lesson").querySelector("button").focus();
  }

  async watch(job, lesson, captions, before) {
    try {
      const done = await this.follow(job, lesson);
      if (done.state === "failed" || done.failures.length > 0) {
        const reasons = done.failures.map((failure) => failure.reason);
        lesson.fail(reasons.join("; ") || "it could not be learned; the indexer's log says why");
      } else {
        await this.learned(lesson, captions, before);
      }
    } catch (error) {
      lesson.fail(error.message);
    }
  }

  /** The job when it is over. An indexer that is away for a moment is asked again. */
  async follow(job, lesson) {
    let failed = 0;
    for (let wait = FIRST_LOOK; ; wait = Math.min(1.3 * wait, SLOWEST_LOOK)) {
      await pause(wait);
      try {
        const path = `/v1/jobs/${encodeURIComponent(job)}`;
        const now = await this.api.ask(path, { base: this.indexer });
        failed = 0;
        if (now.state === "done" || now.state === "failed") return now;
        lesson.say(now.state === "queued" ? "Waiting its turn…" : "Looking at it…");
      } catch (error) {
        failed += 1;
        if (failed > PATIENCE) throw error;
      }
    }
  }

  /** Say what is known now; a segmenter beside the indexer may need a moment to see it. */
  async learned(lesson, captions, before) {
    lesson.say("Learned; looking at the dictionary…");
    let after = await this.counts();
    for (let look = 0; look < PATIENCE && after.revision === before.revision; look += 1) {
      await pause(FIRST_LOOK);
      after = await this.counts();
    }
    lesson.done(words(after, before), await this.nounsIn(captions));
  }

  /** The dictionary's nouns that stand in captions. */
  async nounsIn(captions) {
    const text = captions.join(" ").toLowerCase();
    const starts = new Set(text.match(/\p{L}{3,}/gu)?.map((word) => word.slice(0, 4)));
    const pages = await Promise.all(
      [...starts].slice(0, MOST_WORDS).map((start) => {
        const query = new URLSearchParams({ q: start, limit: 50 });
        return this.api.ask(`/v1/vocabulary?${query}`);
      }),
    );
    const found = new Map(pages.flatMap(({ nouns }) => nouns.map((one) => [one.noun, one])));
    return [...found.values()].filter(({ noun }) => stands(noun, text));
  }
}

/** Whether a noun stands in a text, in the singular or with a usual ending. */
function stands(noun, text) {
  const plain = noun.toLowerCase().replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<!\\p{L})${plain}(e?s)?(?!\\p{L})`, "u").test(text);
}

function words(after, before) {
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
    this.said = make("div", {}, text, this.state, this.progress, this.nouns);
    this.element = make("li", { className: "lesson" }, small(image), this.said);
  }

  say(words) {
    this.state.textContent = words;
  }

  fail(reason) {
    this.progress.remove();
    this.state.className = "problem";
    this.say(reason);
  }

  done(words, nouns) {
    this.progress.remove();
    this.say(words);
    this.nouns.replaceChildren(...nouns.map(chip));
    this.nouns.hidden = nouns.length === 0;
    if (nouns.length > 0) this.said.append(this.segmentButton(nouns.map(({ noun }) => noun)));
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
  const link = make("a", { href: placeOf(noun) }, noun, " ");
  link.append(make("span", { className: "faint", textContent: known }));
  return make("li", {}, link);
}

/** A small copy of a picture that is shown. */
function small(image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = THUMBNAIL / Math.max(width, height);
  const canvas = make("canvas", { "aria-hidden": "true" });
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}
