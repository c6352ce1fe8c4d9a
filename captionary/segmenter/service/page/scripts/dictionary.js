// The dictionary view: its nouns, and the prototypes of each with their pictures.

import { isAbortError, sleep } from "./api.js";
import { undoLine } from "./corrections.js";
import { MEANING, byId, count, faint, gallery, make, nounHref } from "./elements.js";
import { SAID, addressAfter, cross, nounTools } from "./nountools.js";

const PAGE_SIZE = 60;
const DEBOUNCE_MS = 120;
const RECOUNT_MS = 600;
const MAX_RECOUNTS = 5;
const HEADINGS = { guessed: "Look", pointed: "Pointed at: look", refused: "Not this: look" };

export class DictionaryView {
  /**
   * suggest: completes a noun, as of `ClassField`.
   * onUse:   called with a noun that is to be a class.
   */
  constructor({ api, corrections, suggest, onUse }) {
    Object.assign(this, { api, corrections, suggest, onUse });
    this.listRequest = null;
    this.nounRequest = null;
    this.opened = "";
    this.list = byId("nouns");
    this.more = byId("more");
    this.search = byId("search");
    this.problem = byId("nouns-problem");
    this.page = byId("noun");
    this.done = byId("noun-done");
    this.search.addEventListener("input", () => this.loadFirstPage(DEBOUNCE_MS));
    this.more.addEventListener("click", () => this.loadNextPage());
  }

  /** Show the nouns as they are now, and one of them; "" for none. */
  enter(noun) {
    if (noun !== this.opened || !this.listRequest) this.showNoun(noun);
    if (!this.listRequest || !noun) this.loadFirstPage(0);
    this.markCurrent();
  }

  /** List the nouns that are searched for, from the first. */
  loadFirstPage(delay) {
    return this.loadPage(0, delay);
  }

  /** List the next ones below. */
  async loadNextPage() {
    const first = this.list.children.length;
    await this.loadPage(first, 0);
    this.list.children[first]?.querySelector("a").focus();
  }

  async loadPage(offset, delay) {
    this.listRequest?.abort();
    const request = (this.listRequest = new AbortController());
    const query = new URLSearchParams({ q: this.search.value.trim(), limit: PAGE_SIZE, offset });
    try {
      await sleep(delay, request.signal);
      const listing = await this.api.request(`/v1/vocabulary?${query}`, { signal: request.signal });
      this.problem.textContent = "";
      this.revision = listing.revision;
      if (offset === 0) this.list.replaceChildren();
      this.list.append(...listing.nouns.map(nounItem));
      this.more.hidden = this.list.children.length >= listing.total;
      byId("nouns-count").textContent = this.countText(listing.total);
      this.markCurrent();
    } catch (error) {
      if (!isAbortError(error)) this.problem.textContent = error.message;
    }
  }

  countText(total) {
    const wanted = this.search.value.trim();
    if (!wanted) return total > 0 ? count(total, "noun") : "The dictionary is empty.";
    if (total === 0) return `No noun has “${wanted}” in it.`;
    return `${count(total, "noun")} with “${wanted}”`;
  }

  markCurrent() {
    for (const link of this.list.querySelectorAll("a")) {
      if (link.dataset.noun === this.opened) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  async showNoun(noun) {
    this.nounRequest?.abort();
    this.opened = noun;
    byId("dictionary").classList.toggle("opened", noun !== "");
    if (!noun) {
      const words = "Choose a noun to see what it looks like.";
      this.page.replaceChildren(make("p", { className: "faint invitation", textContent: words }));
      return;
    }
    const request = (this.nounRequest = new AbortController());
    try {
      const path = `/v1/vocabulary/${encodeURIComponent(noun)}`;
      this.showDetail(await this.api.request(path, { signal: request.signal }));
    } catch (error) {
      if (isAbortError(error)) return;
      const alert = make("p", { className: "problem", role: "alert", textContent: error.message });
      this.page.replaceChildren(backLink(), alert);
    }
  }

  showDetail(detail) {
    const title = make("h2", { tabIndex: -1, textContent: detail.noun });
    const counts = [
      count(detail.pictures, "picture"),
      count(detail.regions, "region"),
      count(detail.prototypes, "look"),
    ].join(" · ");
    this.page.replaceChildren(
      backLink(),
      make("div", { className: "noun-head" }, title, this.useButton(detail.noun)),
      make("p", { className: "faint", textContent: counts }),
      ...this.tools(detail.noun),
      ...prototypeSections(detail.looks, (exemplar) => this.crossOn(detail.noun, exemplar)),
    );
    title.focus({ preventScroll: true });
  }

  tools(noun) {
    if (!this.corrections.possible) return [];
    return nounTools({ noun, suggest: this.suggest, onCorrect: (wanted) => this.correct(wanted) });
  }

  crossOn(noun, { image_id, index }) {
    if (!this.corrections.possible) return null;
    const wanted = { kind: "refuse", noun, image_id, region: index };
    return cross(noun, () => this.correct(wanted));
  }

  /** Have something corrected, show what came of it, and the way back. */
  async correct(wanted) {
    const { noun, other } = wanted;
    const words = SAID[wanted.kind]?.(noun, other) ?? `That is no ${noun}.`;
    await this.say("Correcting…", async () => {
      const number = await this.corrections.correct(wanted);
      await this.showAnew(addressAfter(wanted));
      return number === null ? "" : undoLine(words, () => this.undo(number, noun));
    });
  }

  undo(number, noun) {
    return this.say("Undoing…", async () => {
      await this.corrections.undo(number);
      await this.showAnew(nounHref(noun));
      return "Undone.";
    });
  }

  async say(words, task) {
    this.done.className = "faint";
    this.done.replaceChildren(words);
    try {
      this.done.replaceChildren(await task());
    } catch (error) {
      this.done.className = "problem";
      this.done.replaceChildren(error.message);
    }
  }

  /** Go to an address of this view, and read again what it shows. */
  async showAnew(address) {
    await this.recount();
    this.loadFirstPage(0);
    if (location.hash === address) this.showNoun(this.opened);
    else location.hash = address;
  }

  /** The segmenter counts nouns at most twice a second: wait until it has seen the change. */
  async recount() {
    for (let left = MAX_RECOUNTS; left > 0; left -= 1) {
      await sleep(RECOUNT_MS);
      const { revision } = await this.api.request("/v1/vocabulary?limit=1");
      if (revision !== this.revision) return;
    }
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

function nounItem({ noun, pictures, prototypes }) {
  const link = make(
    "a",
    { href: nounHref(noun), "data-noun": noun },
    make("span", { className: "class", textContent: noun }),
    make("span", {
      className: "faint",
      textContent: `${count(pictures, "picture")} · ${count(prototypes, "look")}`,
    }),
  );
  return make("li", {}, link);
}

const backLink = () =>
  make("a", { className: "back", href: "#/dictionary", textContent: "← All nouns" });

function prototypeSections(prototypes, actionOn) {
  if (prototypes.length === 0) {
    const words = "No look of it yet: none of its pictures has a region that stands for it.";
    return [make("p", { className: "faint", textContent: words })];
  }
  return prototypes.map(({ number, kind, size, spread, exemplars }) =>
    make(
      "section",
      { className: "look" },
      make(
        "h3",
        {},
        make("span", { textContent: `${HEADINGS[kind]} ${number + 1} `, title: MEANING.look }),
        faint(`${count(size, "region")} · `),
        faint(`spread ${spread.toFixed(2)}`, MEANING.spread),
      ),
      gallery(exemplars, kind === "refused" ? undefined : actionOn),
    ),
  );
}
