// A field for one noun, with completions from the dictionary.

import { ClassField } from "./completion.js";
import { make } from "./elements.js";

/**
 * Build a labelled field for one noun.
 *
 * id:      of the input; ids of its parts start with it.
 * suggest: as of `ClassField`.
 * onEnter: called when Enter is pressed in it.
 */
export function nounField({ id, label, value = "", suggest, onEnter }) {
  const input = make("input", {
    id,
    type: "text",
    value,
    role: "combobox",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: false,
    maxLength: 200,
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": `${id}-list`,
  });
  const list = make("ul", { id: `${id}-list`, role: "listbox", "aria-label": "Nouns", hidden: true });
  const liveRegion = make("p", { className: "screen-reader", role: "status" });
  new ClassField({ input, list, liveRegion, suggest, onEnter, single: true });
  const element = make(
    "div",
    { className: "field" },
    make("label", { htmlFor: id, textContent: label }),
    make("div", { className: "combo" }, input, list),
    liveRegion,
  );
  return { element, input };
}
