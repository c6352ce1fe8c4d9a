// What a noun of the dictionary is called: renamed, merged into another, no longer learned.

import { make, nounHref } from "./elements.js";
import { nounField } from "./nounfield.js";

const TOOLS = [
  { kind: "rename", button: "Rename", label: "Call it", go: "Rename it" },
  { kind: "merge", button: "Merge into…", label: "Make it a part of", go: "Merge it" },
  { kind: "alias", button: "Other name", label: "It is also called", go: "Add the name" },
];

/** In the past tense what was done to a noun. */
export const SAID = {
  rename: (noun, other) => `${noun} is called ${other} now.`,
  merge: (noun, other) => `${noun} is a part of ${other} now.`,
  alias: (noun, other) => `${noun} is also called ${other} now.`,
  block: (noun) => `${noun} is no longer learned.`,
};

/**
 * The buttons that correct a noun, and the field that some of them need.
 *
 * onCorrect: called with {kind, noun, other}.
 */
export function nounTools({ noun, suggest, onCorrect }) {
  const place = make("div", { className: "asked" });
  const open = ({ kind, label, go }) => {
    const onSay = () => {
      const other = input.value.trim();
      if (other) onCorrect({ kind, noun, other });
      else input.focus();
    };
    const { element, input } = nounField({ id: "other-noun", label, suggest, onEnter: onSay });
    const form = make(
      "form",
      { className: "correct", noValidate: true },
      element,
      make("button", { type: "submit", className: "main", textContent: go }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onSay();
    });
    place.replaceChildren(form);
    input.focus();
  };
  const buttons = TOOLS.map((tool) => {
    const button = quiet(tool.button);
    button.addEventListener("click", () => open(tool));
    return button;
  });
  const block = quiet("Block");
  block.title = "Learn it no more, and forget what was learned of it";
  block.addEventListener("click", () => onCorrect({ kind: "block", noun }));
  const label = `Correct ${noun}`;
  const bar = make("div", { className: "tools", role: "group", "aria-label": label }, ...buttons, block);
  return [bar, place];
}

const quiet = (textContent) =>
  make("button", { type: "button", className: "quiet", textContent });

/** Where a noun is to be found after it was corrected; "" where it is gone. */
export function addressAfter({ kind, noun, other }) {
  if (kind === "block") return "#/dictionary";
  return nounHref(kind === "alias" || kind === "refuse" ? noun : other);
}

/** A cross on an exemplar, which says that it is not the noun. */
export function cross(noun, onPress) {
  const label = `This is not ${noun}`;
  const button = make("button", {
    type: "button",
    className: "cross",
    title: label,
    "aria-label": label,
    textContent: "×",
  });
  button.addEventListener("click", onPress);
  return button;
}
