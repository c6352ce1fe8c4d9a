// The second view: the nouns of the dictionary, and what the pictures of each look like.

import { isAbort, pause } from "./api.js";
import { MEANING, byId, count, faint, gallery, make, placeOf } from "./elements.js";

const PAGE = 60;
const DELAY = 120;

export class DictionaryView {
  /** onUse: given a noun that is to be a class. */
  constructor({ api, onUse }) {
    this.api = api;
    this.onUse = onUse;
    this.listing = null;
    this.reading = null;
    this.opened = "";
    this.list = byId("nouns");
    this.more = byId("more");
    this.search = byId("search");
    this.problem = byId("nouns-problem");
    this.page = byId("noun");
    this.search.addEventListener("input", () => this.look(DELAY));
    this.more.addEventListener("click", () => this.lookOn());
  }

  /** Show the nouns as they are now, and one of them; "" for none. */
  enter(noun) {
    if (noun !== this.opened || !this.listing) this.open(noun);
    if (!this.listing || !noun) this.look(0);
    this.mark();
  }

  /** List the nouns that are searched for, from the first. */
  look(delay) {
    return this.load(0, delay);
  }

  /** List the next ones below. */
  async lookOn() {
    const first = this.list.children.length;
    await this.load(first, 0);
    this.list.children[first]?.querySelector("a").focus();
  }

  async load(offset, delay) {
    this.listing?.abort();
    const listing = (this.listing = new AbortController());
    const query = new URLSearchParams({ q: this.search.value.trim(), limit: PAGE, offset });
    try {
      await pause(delay, listing.signal);
      const found = await this.api.ask(`/v1/vocabulary?${query}`, { signal: listing.signal });
      this.problem.textContent = "";
      if (offset === 0) this.list.replaceChildren();
      this.list.append(...found.nouns.map(line));
      this.more.hidden = this.list.children.length >= found.total;
      byId("nouns-count").textContent = this.words(found.total);
      this.mark();
    } catch (error) {
      if (!isAbort(error)) this.problem.textContent = error.message;
    }
  }

  words(total) {
    const wanted = this.search.value.trim();
    if (!wanted) return total > 0 ? count(total, "noun") : "The dictionary is empty.";
    if (total === 0) return `No noun has “${wanted}” in it.`;
    return `${count(total, "noun")} with “${wanted}”`;
  }

  mark() {
    for (const link of this.list.querySelectorAll("a")) {
      if (link.dataset.noun === this.opened) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  async open(noun) {
    this.reading?.abort();
    this.opened = noun;
    byId("dictionary").classList.toggle("opened", noun !== "");
    if (!noun) {
      const words = "Choose a noun to see what it looks like.";
      this.page.replaceChildren(make("p", { className: "faint invitation", textContent: words }));
      return;
    }
    const reading = (this.reading = new AbortController());
    try {
      const path = `/v1/vocabulary/${encodeURIComponent(noun)}`;
      this.show(await this.api.ask(path, { signal: reading.signal }));
    } catch (error) {
      if (isAbort(error)) return;
      const told = make("p", { className: "problem", role: "alert", textContent: error.message });
      this.page.replaceChildren(back(), told);
    }
  }

  show(detail) {
    const title = make("h2", { tabIndex: -1, textContent: detail.noun });
    const counts = [
      count(detail.pictures, "picture"),
      count(detail.regions, "region"),
      count(detail.prototypes, "look"),
    ].join(" · ");
    this.page.replaceChildren(
      back(),
      make("div", { className: "noun-head" }, title, this.useButton(detail.noun)),
      make("p", { className: "faint", textContent: counts }),
      ...looks(detail.looks),
    );
    title.focus({ preventScroll: true });
  }

  useButton(noun) {
    const words = "Use as class";
    const button = make("button", { type: "button", className: "main", textContent: words });
    button.addEventListener("click", () => {
      this.onUse(noun);
      button.replaceWith(
        make(
          "p",
          { className: "used", role: "status" },
          "In the class list. ",
          make("a", { href: "#/segment", textContent: "Segment" }),
        ),
      );
    });
    return button;
  }
}

function line({ noun, pictures, prototypes }) {
  const link = make(
    "a",
    { href: placeOf(noun), "data-noun": noun },
    make("span", { className: "class", textContent: noun }),
    make("span", {
      className: "faint",
      textContent: `${count(pictures, "picture")} · ${count(prototypes, "look")}`,
    }),
  );
  return make("li", {}, link);
}

const back = () =>
  make("a", { className: "back", href: "#/dictionary", textContent: "← All nouns" });

function looks(prototypes) {
  if (prototypes.length === 0) {
    const words = "No look of it yet: none of its pictures has a region that stands for it.";
    return [make("p", { className: "faint", textContent: words })];
  }
  return prototypes.map(({ number, size, spread, exemplars }) =>
    make(
      "section",
      { className: "look" },
      make(
        "h3",
        {},
        make("span", { textContent: `Look ${number + 1} `, title: MEANING.look }),
        faint(`${count(size, "region")} · `),
        faint(`spread ${spread.toFixed(2)}`, MEANING.spread),
      ),
      gallery(exemplars),
    ),
  );
}
