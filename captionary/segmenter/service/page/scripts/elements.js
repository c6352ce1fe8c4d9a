// Builds DOM elements and texts. Data only ever becomes text, never markup.

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

/** A new element; properties starting with "aria-" or "data-", and role, become attributes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(aria-|data-)|^role$/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Tooltips: what the words beside figures mean. */
export const MEANING = {
  text: "By the class's name alone",
  neighbours: "By the name, of the dictionary's regions that look most like it",
  prototypes: "By the prototypes of the class's nouns",
  captions: "By the captions of the pictures whose regions look most like it",
  sure: "Its probability among the classes that were asked for",
  average: "The probability of the class, on average over its pixels",
  alike: "Cosine of two regions' vectors: 1 is the same look, 0 is nothing in common",
  spread: "How far its regions are from their mean: 0 is all the same, larger is more varied",
  look: "Regions of a noun that look alike, as one prototype",
};

/** The small picture of an exemplar. */
export function thumbnail(exemplar) {
  const image = make("img", { alt: "", decoding: "async" });
  if (exemplar.thumbnail) image.src = `data:image/jpeg;base64,${exemplar.thumbnail}`;
  return image;
}

/**
 * Exemplars as figures: the picture, the caption, how alike.
 *
 * actionOn: makes a button for an exemplar, or nothing.
 */
export function gallery(exemplars, actionOn = () => null) {
  const figures = exemplars.map((exemplar) =>
    make(
      "li",
      {},
      make(
        "figure",
        {},
        make("div", { className: "picture" }, thumbnail(exemplar), actionOn(exemplar) ?? ""),
        make(
          "figcaption",
          {},
          make("span", { className: "caption", textContent: exemplar.caption || "pointed at" }),
          faint(`${exemplar.similarity.toFixed(2)} alike`, MEANING.alike),
          faint(exemplar.source),
        ),
      ),
    ),
  );
  return make("ul", { className: "gallery" }, ...figures);
}

/** Text in a faint colour; title: its tooltip. */
export const faint = (words, title = "") =>
  make("span", { className: "faint", textContent: words, title });

/** A share as in "12 %"; small ones as in "0.3 %" or "< 0.1 %". */
export function percent(share) {
  const hundred = 100 * share;
  if (hundred > 0 && hundred < 0.05) return "<\u00a00.1\u00a0%";
  const digits = hundred > 0 && hundred < 0.95 ? 1 : 0;
  return `${hundred.toFixed(digits)}\u00a0%`;
}

/** A number with its noun, as in "1 picture", "2 pictures". */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")}\u00a0${number === 1 ? one : many}`;
}

/** The link to a noun in the dictionary view. */
export const nounHref = (noun) => `#/dictionary/${encodeURIComponent(noun)}`;
