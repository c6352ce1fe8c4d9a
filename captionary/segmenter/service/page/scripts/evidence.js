// Evidence for a region's class: its probabilities, and the prototypes and captions behind them.

import { MEANING, byId, faint, gallery, make, nounHref, percent } from "./elements.js";

const MAX_EXEMPLARS = 3;
const HINT = "Point at the picture, or tap it, to see what a region is and why.";

/** Show the evidence for what is pointed at, {className, region or null}; a hint for null. */
export function showDetails(container, hit, { prototypes, colour, pinned, mask, form }) {
  if (!hit) {
    container.replaceChildren(make("p", { className: "faint", textContent: HINT }));
    return;
  }
  const { className, region } = hit;
  const parts = [heading(className, colour, pinned)];
  if (form) parts.push(form);
  if (region) parts.push(...scores(region), ...evidence(region, prototypes));
  else parts.push(overlapNote(mask));
  container.replaceChildren(...parts);
}

/** The line below the picture: what is pointed at, and a way to its reasons. */
export function showPointed(line, hit, { colour, score }) {
  line.hidden = !hit;
  if (!hit) return;
  const why = make("button", { type: "button", className: "quiet why", textContent: "Why?" });
  why.addEventListener("click", () => {
    const details = byId("details");
    details.scrollIntoView({ block: "nearest" });
    details.focus({ preventScroll: true });
  });
  line.replaceChildren(
    swatch(colour),
    make("span", { className: "class", textContent: hit.className }),
    make("span", {
      className: "faint figure",
      textContent: `${percent(score)} sure`,
      title: MEANING.sure,
    }),
    why,
  );
}

/** A square in the colour of a class. */
export function swatch([red, green, blue]) {
  const square = make("span", { className: "swatch", "aria-hidden": "true" });
  square.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  return square;
}

function heading(className, colour, pinned) {
  const words = pinned ? "kept; press again to let go" : "press to keep";
  return make(
    "h3",
    {},
    swatch(colour),
    make("span", { className: "class", textContent: className }),
    make("span", { className: "faint", textContent: words }),
  );
}

function overlapNote(mask) {
  const words =
    `${percent(mask.score)} sure. No single region stands for it here: ` +
    "several that overlap agree on it.";
  return make("p", { className: "faint", textContent: words });
}

function scores(region) {
  const witnesses = [
    ["text", region.text, MEANING.text],
    ["neighbours", region.neighbours, MEANING.neighbours],
    ["prototypes", region.prototype, MEANING.prototypes],
    ["captions", region.captions, MEANING.captions],
  ].filter(([, share]) => share !== null);
  const bars = witnesses.map((witness) => bar(...witness));
  const all = list([bar("together", region.score, MEANING.sure), ...bars]);
  if (region.prototype !== null) return [all];
  const words = "The dictionary has no prototype for it.";
  return [all, make("p", { className: "faint", textContent: words })];
}

const list = (bars) => make("dl", { className: "bars" }, ...bars);

function bar(name, share, title = "") {
  const fill = make("span", { className: "fill" });
  fill.style.width = `${100 * share}%`;
  return make(
    "div",
    { title },
    make("dt", { textContent: name }),
    make(
      "dd",
      {},
      make("span", { className: "track", "aria-hidden": "true" }, fill),
      make("span", { className: "figure", textContent: percent(share) }),
    ),
  );
}

function evidence(region, prototypes) {
  return region.evidence.map(({ noun, number, similarity }) => {
    const prototype = prototypes.find((one) => one.noun === noun && one.number === number);
    return make(
      "section",
      { className: "evidence" },
      make(
        "h4",
        {},
        "Looks like ",
        make("a", { href: nounHref(noun), textContent: noun }),
        " ",
        faint(`look ${number + 1}`, MEANING.look),
        faint(" · "),
        faint(`${similarity.toFixed(2)} alike`, MEANING.alike),
      ),
      gallery(prototype?.exemplars.slice(0, MAX_EXEMPLARS) ?? []),
    );
  });
}
