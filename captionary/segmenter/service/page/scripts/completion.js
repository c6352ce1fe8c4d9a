// Autocompletion of class names: a combobox that completes the name around the caret.

import { count, make } from "./elements.js";
import { joinLines, normalForm } from "./names.js";

const SEPARATOR = /[,:|]/;
const MAX_COMPLETIONS = 8;
const DEBOUNCE_MS = 90;

/** The name around the caret: where it starts and ends, and what is typed of it. */
export function nameAt(text, caret) {
  let start = caret;
  while (start > 0 && !SEPARATOR.test(text[start - 1])) start -= 1;
  let end = caret;
  while (end < text.length && !SEPARATOR.test(text[end])) end += 1;
  return { start, end, typed: text.slice(start, caret).trim() };
}

const namesIn = (text) => text.split(SEPARATOR).map(normalForm);

export class ClassField {
  /**
   * suggest: takes a part of a name and {limit, delay, signal}, resolves to nouns with counts.
   * single:  whether it is a field for one name alone.
   * onEnter: called when the list is to be submitted; also while the button for it is disabled.
   */
  constructor({ input, list, liveRegion, suggest, onEnter, single = false }) {
    Object.assign(this, { input, list, liveRegion, suggest, onEnter, single });
    Object.assign(this, { nouns: [], active: -1, pending: null });
    input.addEventListener("input", () => this.complete());
    input.addEventListener("keydown", (event) => this.handleKey(event));
    input.addEventListener("blur", () => this.close());
    input.addEventListener("paste", (event) => this.pasteLines(event));
    // A press must not take the focus away from the field.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.accept(this.options.indexOf(option));
    });
  }

  get options() {
    return [...this.list.children];
  }

  get isOpen() {
    return !this.list.hidden;
  }

  get typed() {
    return nameAt(this.input.value, this.input.selectionStart ?? this.input.value.length).typed;
  }

  /** Put a class at the end of the list, unless it is there. */
  add(noun) {
    if (namesIn(this.input.value).includes(normalForm(noun))) return;
    const before = this.input.value.replace(/[\s,]+$/, "");
    this.input.value = before ? `${before}, ${noun}` : noun;
  }

  /** Fetch completions; with nothing typed only where `evenEmpty`. */
  async complete({ evenEmpty = false } = {}) {
    this.pending?.abort();
    this.activate(-1);
    const { typed } = this;
    if (!typed && !evenEmpty) return this.close();
    const pending = (this.pending = new AbortController());
    try {
      const nouns = await this.suggest(typed, {
        limit: 2 * MAX_COMPLETIONS,
        delay: evenEmpty ? 0 : DEBOUNCE_MS,
        signal: pending.signal,
      });
      if (this.pending === pending && document.activeElement === this.input) this.show(nouns);
    } catch {
      // Completion is a help, not a need: without it one types on.
      if (this.pending === pending) this.close();
    }
  }

  /** Show completions; the active one stays so where it is still among them. */
  show(nouns) {
    const active = this.nouns[this.active]?.noun;
    const { start, end } = nameAt(this.input.value, this.input.selectionStart);
    const others = namesIn(`${this.input.value.slice(0, start)},${this.input.value.slice(end)}`);
    const unused = nouns.filter(({ noun }) => !others.includes(normalForm(noun)));
    this.nouns = unused.slice(0, MAX_COMPLETIONS);
    const isComplete = this.nouns.length === 1 && this.nouns[0].noun === this.typed.toLowerCase();
    if (this.nouns.length === 0 || isComplete) return this.close();
    this.list.replaceChildren(...this.nouns.map((noun, at) => option(noun, `${this.list.id}-${at}`)));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.activate(this.nouns.findIndex(({ noun }) => noun === active));
    this.liveRegion.textContent = count(this.nouns.length, "completion");
  }

  close() {
    this.pending?.abort();
    this.list.hidden = true;
    this.list.replaceChildren();
    this.input.setAttribute("aria-expanded", "false");
    this.activate(-1);
    this.liveRegion.textContent = "";
  }

  activate(index) {
    this.active = index;
    this.options.forEach((option, at) => {
      option.setAttribute("aria-selected", String(at === index));
    });
    const active = this.options[index];
    if (active) {
      this.input.setAttribute("aria-activedescendant", active.id);
      active.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  /** Replace the name around the caret; at the end of the list the next may be typed at once. */
  accept(index) {
    const { value, selectionStart } = this.input;
    const { start, end } = nameAt(value, selectionStart);
    const before = value.slice(0, start) + (start > 0 ? " " : "") + this.nouns[index].noun;
    const after = value.slice(end);
    const more = after || this.single ? "" : ", ";
    this.input.value = before + more + after;
    this.input.setSelectionRange(before.length + more.length, before.length + more.length);
    this.input.scrollLeft = this.input.scrollWidth;
    this.close();
  }

  /** A field of one line would join pasted lines to one name. */
  pasteLines(event) {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!/[\r\n]/.test(text.trim())) return;
    event.preventDefault();
    this.input.setRangeText(
      joinLines(text),
      this.input.selectionStart,
      this.input.selectionEnd,
      "end",
    );
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  handleKey(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const handled = this.isOpen && this.handleKeyWhileOpen(event);
    if (handled || this.handleKeyAnyway(event)) event.preventDefault();
  }

  handleKeyAnyway({ key }) {
    if (key === "Enter") this.onEnter();
    else if (key === "ArrowDown") this.complete({ evenEmpty: true });
    else return false;
    return true;
  }

  handleKeyWhileOpen({ key, shiftKey }) {
    const { active } = this;
    const last = this.nouns.length - 1;
    if (key === "ArrowDown") this.activate(active < last ? active + 1 : -1);
    else if (key === "ArrowUp") this.activate(active >= 0 ? active - 1 : last);
    else if (key === "Escape") this.close();
    else if (key === "Enter" && active >= 0) this.accept(active);
    else if (key === "Tab" && !shiftKey) return this.acceptByTab();
    else return false;
    return true;
  }

  /** Tab accepts the active noun, or the first that continues what is typed; else it moves on. */
  acceptByTab() {
    const typed = normalForm(this.typed);
    const first = normalForm(this.nouns[0].noun);
    const continues = typed && first.startsWith(typed) && first !== typed;
    const index = this.active >= 0 ? this.active : continues ? 0 : -1;
    if (index >= 0) this.accept(index);
    return index >= 0;
  }
}

function option({ noun, pictures }, id) {
  return make(
    "li",
    { id, role: "option", "aria-selected": "false" },
    make("span", { textContent: noun }),
    make("span", { className: "faint", textContent: count(pictures, "picture") }),
  );
}
