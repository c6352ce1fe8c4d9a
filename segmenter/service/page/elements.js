// Makes elements and words for them. Data only ever becomes text, never markup.

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

/** The small picture of an exemplar. */
export function thumbnail(exemplar) {
  const image = make("img", { alt: "", decoding: "async" });
  if (exemplar.thumbnail) image.src = `data:image/jpeg;base64,${exemplar.thumbnail}`;
  return image;
}

/** Exemplars as figures: the picture, the caption, how alike. */
export function gallery(exemplars) {
  const figures = exemplars.map((exemplar) =>
    make(
      "li",
      {},
      make(
        "figure",
        {},
        thumbnail(exemplar),
        make(
          "figcaption",
          {},
          make("span", { className: "caption", textContent: exemplar.caption }),
          faint(`${exemplar.similarity.toFixed(2)} alike`),
          faint(exemplar.source),
        ),
      ),
    ),
  );
  return make("ul", { className: "gallery" }, ...figures);
}

const faint = (words) => make("span", { className: "faint", textContent: words });

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

/** The address of a noun's place in the dictionary. */
export const placeOf = (noun) => `#/dictionary/${encodeURIComponent(noun)}`;
