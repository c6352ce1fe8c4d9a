// Corrections of the dictionary: sent to the indexer, waited for, and undone.

import { Problem } from "./api.js";
import { make } from "./elements.js";
import { failureOf, pollJob } from "./jobs.js";

const FIRST_POLL_MS = 60;

export class Corrections {
  /** indexer: address of it; null: there is none. */
  constructor({ api }) {
    Object.assign(this, { api, indexer: null });
  }

  get possible() {
    return this.indexer !== null;
  }

  /** Correct what the dictionary has; resolves to what `undo` takes. */
  correct(wanted, options) {
    return this.send(wanted, wanted, options);
  }

  /** Say that an area of a picture is a noun, or is not; resolves likewise. */
  point(file, { noun, area, refused }, options) {
    const form = new FormData();
    form.append("image", file, file.name || "pasted");
    form.append("noun", noun);
    form.append("region", JSON.stringify(area));
    form.append("not", refused);
    return this.send(form, { kind: refused ? "refuse" : "teach" }, options);
  }

  async send(body, { kind }, options) {
    await this.finish({ ...options, body });
    const { corrections } = await this.request("", options);
    return corrections.filter((one) => one.kind === kind).at(-1)?.number ?? null;
  }

  /** Take a correction back, as if it had never been said. */
  undo(number, options) {
    return this.finish({ ...options, method: "DELETE" }, `/${number}`);
  }

  async finish(options, path = "") {
    const { job } = await this.request(path, options);
    const { signal } = options ?? {};
    const over = await pollJob(this.api, job, { base: this.indexer, first: FIRST_POLL_MS, signal });
    const failure = failureOf(over);
    if (failure) throw new Problem(failure);
  }

  request(path, options) {
    return this.api.request(`/v1/corrections${path}`, { ...options, base: this.indexer });
  }
}

/** A line that says what was done, with a button to take it back. */
export function undoLine(words, onUndo) {
  const button = make("button", { type: "button", className: "quiet", textContent: "Undo" });
  button.addEventListener("click", onUndo);
  return make("p", { className: "done", role: "status" }, make("span", { textContent: words }), button);
}
