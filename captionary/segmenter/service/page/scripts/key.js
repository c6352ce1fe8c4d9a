// Asks for an API key, which is kept for as long as the tab is open.

import { Api } from "./api.js";
import { byId } from "./elements.js";

export class KeyDialog {
  constructor() {
    this.dialog = byId("key");
    this.value = byId("key-value");
    this.problem = byId("key-problem");
  }

  /** Ask, with a line about the last one or ""; answers whether there is a new key. */
  ask(line) {
    this.problem.textContent = line;
    this.value.value = "";
    this.dialog.returnValue = "no";
    if (!this.dialog.open) this.dialog.showModal();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => resolve(this.taken()), { once: true });
    });
  }

  taken() {
    const key = this.value.value.trim();
    if (this.dialog.returnValue !== "use" || !key) return false;
    Api.keep(key);
    return true;
  }
}
