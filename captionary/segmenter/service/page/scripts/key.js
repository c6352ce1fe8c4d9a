// Dialog that asks for an API key, which is stored for as long as the tab is open.

import { Api } from "./api.js";
import { byId } from "./elements.js";

export class KeyDialog {
  constructor() {
    this.dialog = byId("key");
    this.field = byId("key-value");
    this.problem = byId("key-problem");
  }

  /** Show the dialog, with a line about the last key or ""; resolves to whether there is another. */
  prompt(line) {
    this.problem.textContent = line;
    this.field.value = "";
    this.dialog.returnValue = "no";
    if (!this.dialog.open) this.dialog.showModal();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => resolve(this.storeKey()), { once: true });
    });
  }

  storeKey() {
    const key = this.field.value.trim();
    if (this.dialog.returnValue !== "use" || !key) return false;
    Api.storeKey(key);
    return true;
  }
}
