// A text field for class names that completes the one being typed: a combobox with a listbox.

import { count, make } from "./elements.js";

const SEPARATOR = /[,:|]/;
const MOST = 8;
const DELAY = 90;

/** The name around the caret: where it starts and ends, and what is typed of it. */
export function nameAt(text, caret) {
  let start = caret;
  while (start > 0 && !SEPARATOR.test(text[start - 1])) start -= 1;
  let end = caret;
  while (end < text.length && !SEPARATOR.test(text[end])) end += 1;
  return { start, end, typed: text.slice(start, caret).trim() };
}

const namesIn = (text) => text.split(SEPARATOR).map((name) => name.trim().toLowerCase());

export class ClassField {
  /**
   * suggest: given a part of a name and {limit, delay, signal}, answers nouns with their counts.
   * onEnter: told when the list is to be used; also while a button that does so is disabled.
   */
  constructor({ input, list, heard, suggest, onEnter }) {
    Object.assign(this, { input, list, heard, suggest, onEnter });
    Object.assign(this, { nouns: [], active: -1, newest: null });
    input.addEventListener("input", () => this.look());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
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
    if (namesIn(this.input.value).includes(noun.toLowerCase())) return;
    const before = this.input.value.replace(/[\s,]+$/, "");
    this.input.value = before ? `${before}, ${noun}` : noun;
  }

  /** Look for nouns; with nothing typed only where that is asked for. */
  async look({ evenEmpty = false } = {}) {
    this.newest?.abort();
    this.activate(-1);
    const { typed } = this;
    if (!typed && !evenEmpty) return this.close();
    const newest = (this.newest = new AbortController());
    try {
      const found = await this.suggest(typed, {
        limit: 2 * MOST,
        delay: evenEmpty ? 0 : DELAY,
        signal: newest.signal,
      });
      if (this.newest === newest && document.activeElement === this.input) this.show(found);
    } catch {
      // Completion is a help, not a need: without it one types on.
      if (this.newest === newest) this.close();
    }
  }

  /** Show what was found; what is chosen stays so where it is still there. */
  show(found) {
    const chosen = this.nouns[this.active]?.noun;
    const { start, end } = nameAt(this.input.value, this.input.selectionStart);
    const others = namesIn(`${this.input.value.slice(0, start)},${this.input.value.slice(end)}`);
    this.nouns = found.filter(({ noun }) => !others.includes(noun.toLowerCase())).slice(0, MOST);
    const onlyItself = this.nouns.length === 1 && this.nouns[0].noun === this.typed.toLowerCase();
    if (this.nouns.length === 0 || onlyItself) return this.close();
    this.list.replaceChildren(...this.nouns.map(option));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.activate(this.nouns.findIndex(({ noun }) => noun === chosen));
    this.heard.textContent = count(this.nouns.length, "completion");
  }

  close() {
    this.newest?.abort();
    this.list.hidden = true;
    this.list.replaceChildren();
    this.input.setAttribute("aria-expanded", "false");
    this.activate(-1);
    this.heard.textContent = "";
  }

  activate(index) {
    this.active = index;
    this.options.forEach((option, at) => {
      option.setAttribute("aria-selected", String(at === index));
    });
    const chosen = this.options[index];
    if (chosen) {
      this.input.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
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
    const more = after ? "" : ", ";
    this.input.value = before + more + after;
    this.input.setSelectionRange(before.length + more.length, before.length + more.length);
    this.input.scrollLeft = this.input.scrollWidth;
    this.close();
  }

  key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((this.isOpen && this.keyWhileOpen(event)) || this.keyAlways(event)) event.preventDefault();
  }

  keyAlways({ key }) {
    if (key === "Enter") this.onEnter();
    else if (key === "ArrowDown") this.look({ evenEmpty: true });
    else return false;
    return true;
  }

  keyWhileOpen({ key, shiftKey }) {
    const { active } = this;
    const last = this.nouns.length - 1;
    if (key === "ArrowDown") this.activate(active < last ? active + 1 : -1);
    else if (key === "ArrowUp") this.activate(active >= 0 ? active - 1 : last);
    else if (key === "Escape") this.close();
    else if (key === "Enter" && active >= 0) this.accept(active);
    else if (key === "Tab" && !shiftKey) return this.tab();
    else return false;
    return true;
  }

  /** Tab takes the active noun, or the first that goes on from what is typed; else it goes on. */
  tab() {
    const typed = this.typed.toLowerCase();
    const first = this.nouns[0].noun;
    const goesOn = typed && first.startsWith(typed) && first !== typed;
    const taken = this.active >= 0 ? this.active : goesOn ? 0 : -1;
    if (taken >= 0) this.accept(taken);
    return taken >= 0;
  }
}

function option({ noun, pictures }, index) {
  return make(
    "li",
    { id: `completion-${index}`, role: "option", "aria-selected": "false" },
    make("span", { textContent: noun }),
    make("span", { className: "faint", textContent: count(pictures, "picture") }),
  );
}
