// The teach view: sends captioned pictures to the indexer, and shows what was learned of them.

import { sleep } from "./api.js";
import { Boxes } from "./boxes.js";
import { byId, count } from "./elements.js";
import { failureOf, pollJob } from "./jobs.js";
import { Lesson } from "./lesson.js";
import { normalForm } from "./names.js";
import { PictureInput } from "./picture.js";
import { ButtonTask } from "./task.js";

const FIRST_POLL_MS = 300;
const MAX_ATTEMPTS = 5;
const MAX_QUERIES = 24;

export class TeachView {
  /**
   * suggest: completes a noun, as of `ClassField`.
   * current:   returns the picture of the segment view, or null.
   * counts:    resolves to the size of the dictionary now, as in /v1/about.
   * onSegment: called with a picture's file and nouns to segment it into.
   */
  constructor({ api, suggest, current, counts, onSegment }) {
    Object.assign(this, { api, current, counts, onSegment, indexer: "" });
    this.captions = byId("captions");
    this.status = byId("teach-status");
    this.lessons = byId("lessons");
    this.useCurrent = byId("use-current");
    this.pictureInput = new PictureInput({
      section: byId("teach"),
      problem: byId("lesson-problem"),
      onPicture: () => this.boxes.clear(),
    });
    this.boxes = new Boxes({
      frame: this.pictureInput.frame,
      names: byId("boxes"),
      addButton: byId("add-box"),
      suggest,
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
    const regions = this.boxes.regions(this.pictureInput.picture);
    if (this.boxes.unnamed) {
      this.task.showProblem("a box has no name yet; write what it shows, or remove it");
      this.boxes.unnamed.focus();
      return;
    }
    if (captions.length === 0 && regions.length === 0) {
      const problem = "there is no caption yet; write a sentence that names what is to be seen";
      this.task.showProblem(problem);
      this.captions.focus();
      return;
    }
    const { file } = this.pictureInput.picture;
    this.status.textContent = "Sending…";
    await this.task.run((options) => this.send(file, captions, regions, options), {
      onResult: ({ job, before }) => this.addLesson(job, [...captions, ...namesOf(regions)], before),
      onStop: (words) => {
        this.status.textContent = words;
      },
    });
  }

  async send(file, captions, regions, options) {
    const form = new FormData();
    form.append("image", file, file.name || "pasted");
    for (const caption of captions) form.append("caption", caption);
    if (regions.length > 0) form.append("regions", JSON.stringify(regions));
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
    this.boxes.clear();
    this.enter();
    byId("lesson").querySelector("button").focus();
  }

  async trackJob(job, lesson, captions, before) {
    try {
      const failure = failureOf(await this.finish(job, lesson));
      if (failure) lesson.fail(failure);
      else await this.reportLearned(lesson, captions, before);
    } catch (error) {
      lesson.fail(error.message);
    }
  }

  finish(job, lesson) {
    return pollJob(this.api, job, {
      base: this.indexer,
      first: FIRST_POLL_MS,
      onState: (state) =>
        lesson.showState(state === "queued" ? "Waiting its turn…" : "Looking at it…"),
    });
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

/** The nouns that regions name, each once. */
const namesOf = (regions) => [...new Set(regions.map(({ noun }) => noun))];

function summary(after, before) {
  const more = after.nouns - before.nouns;
  if (more > 0) return `The dictionary knows ${count(more, "more noun")}: ${after.nouns} now.`;
  if (after.images > before.images) return "No new noun, but one more picture of those it knows.";
  return "Nothing new: the dictionary knew this picture with this caption.";
}
