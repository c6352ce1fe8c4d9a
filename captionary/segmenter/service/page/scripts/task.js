// A task that a button starts: it can be cancelled, and a newer one takes its place.

import { isAbortError } from "./api.js";

export class ButtonTask {
  /** onBusy: called with whether the task is running. */
  constructor({ startButton, cancelButton, countdown, problem, onBusy = () => {} }) {
    Object.assign(this, { startButton, cancelButton, countdown, problem, onBusy, running: null });
    cancelButton.addEventListener("click", () => this.running?.abort());
  }

  /** Show what is wrong; "" for nothing. */
  showProblem(text) {
    this.problem.textContent = text;
  }

  /** Cancel what is running without a message. */
  abort() {
    this.running?.abort();
    this.running = null;
    this.showBusy(false);
  }

  /**
   * Run the task, in place of one that is running.
   *
   * task:     called with {signal, onWait}.
   * onResult: called with what the task resolves to.
   * onStop:   called with a message for screen readers, where it came to no result.
   */
  async run(task, { onResult, onStop = () => {} }) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.showProblem("");
    this.showBusy(true);
    try {
      const onWait = (seconds) => this.showCountdown(seconds);
      const result = await task({ signal: running.signal, onWait });
      if (this.running === running) onResult(result);
    } catch (error) {
      if (this.running !== running) return;
      onStop(isAbortError(error) ? "Cancelled." : "");
      if (!isAbortError(error)) this.showProblem(error.message);
    } finally {
      if (this.running === running) {
        this.running = null;
        this.showBusy(false);
      }
    }
  }

  showCountdown(seconds) {
    this.countdown.textContent = seconds > 0 ? `busy; again in ${seconds} s` : "";
  }

  showBusy(busy) {
    const hadFocus = document.activeElement === (busy ? this.startButton : this.cancelButton);
    this.startButton.disabled = busy;
    this.cancelButton.hidden = !busy;
    if (hadFocus) (busy ? this.cancelButton : this.startButton).focus({ preventScroll: true });
    this.onBusy(busy);
  }
}
