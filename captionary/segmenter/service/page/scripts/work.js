// A piece of work that a button starts: it can be cancelled, and a newer one takes its place.

import { isAbort } from "./api.js";

export class Work {
  /** onBusy: told whether something is under way. */
  constructor({ go, cancel, countdown, problem, onBusy = () => {} }) {
    Object.assign(this, { go, cancel, countdown, problem, onBusy, running: null });
    cancel.addEventListener("click", () => this.running?.abort());
  }

  /** Say what is wrong; "" for nothing. */
  tell(words) {
    this.problem.textContent = words;
  }

  /** Drop what is under way without a word. */
  drop() {
    this.running?.abort();
    this.running = null;
    this.showBusy(false);
  }

  /**
   * Do the work, in place of what was under way.
   *
   * work:   given {signal, onWait}.
   * onDone: given what it answers.
   * onEnd:  given words for whoever listens, where it did not come to an answer.
   */
  async run(work, { onDone, onEnd = () => {} }) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.tell("");
    this.showBusy(true);
    try {
      const answer = await work({ signal: running.signal, onWait: (left) => this.wait(left) });
      if (this.running === running) onDone(answer);
    } catch (error) {
      if (this.running !== running) return;
      onEnd(isAbort(error) ? "Cancelled." : "");
      if (!isAbort(error)) this.tell(error.message);
    } finally {
      if (this.running === running) {
        this.running = null;
        this.showBusy(false);
      }
    }
  }

  wait(left) {
    this.countdown.textContent = left > 0 ? `busy; again in ${left} s` : "";
  }

  showBusy(busy) {
    const hadFocus = document.activeElement === (busy ? this.go : this.cancel);
    this.go.disabled = busy;
    this.cancel.hidden = !busy;
    if (hadFocus) (busy ? this.cancel : this.go).focus({ preventScroll: true });
    this.onBusy(busy);
  }
}
