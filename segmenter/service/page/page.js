// Puts the page together: three views, one at a time, by the address after the #.

import { Api } from "./api.js";
import { DictionaryView } from "./dictionary.js";
import { byId, count } from "./elements.js";
import { KeyDialog } from "./key.js";
import { takeAnywhere } from "./picture.js";
import { SegmentView } from "./segment.js";
import { TeachView } from "./teach.js";

const TITLES = { segment: "Segment", dictionary: "Dictionary", teach: "Teach" };

const keys = new KeyDialog();
const api = new Api((line) => keys.ask(line));
let about = { indexer: null, keys: false, revision: 0 };

const segment = new SegmentView({
  api,
  onRevision: (revision) => {
    if (revision !== about.revision) learnAbout();
  },
});
const dictionary = new DictionaryView({ api, onUse: (noun) => segment.field.add(noun) });
const teach = new TeachView({ api, current: () => segment.place.picture, counts: readAbout });

/** What the service is and has, shown on the page. */
async function readAbout() {
  about = await api.ask("/v1/about");
  const { images, nouns } = about;
  byId("counts").textContent = `${count(nouns, "noun")} from ${count(images, "picture")}`;
  const empty = nouns === 0;
  const teaches = about.indexer !== null;
  byId("to-teach").hidden = !teaches;
  byId("hint-teach").hidden = !teaches;
  byId("empty-dictionary").hidden = !empty;
  byId("change-key").hidden = !about.keys;
  byId("foot").textContent = `Captionary ${about.version}`;
  teach.indexer = (about.indexer ?? "").replace(/\/+$/, "");
  return about;
}

async function learnAbout() {
  try {
    await readAbout();
    byId("page-problem").textContent = "";
  } catch (error) {
    byId("page-problem").textContent = error.message;
  }
}

/** The view that the address names, and the noun in it. */
function address() {
  const [, view, ...rest] = location.hash.split("/");
  const known = view in TITLES && (view !== "teach" || about.indexer !== null);
  return { view: known ? view : "segment", noun: decoded(rest.join("/")) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showView() {
  if (location.hash && !location.hash.startsWith("#/")) return;
  const { view, noun } = address();
  for (const name of Object.keys(TITLES)) byId(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${noun || TITLES[view]} · Captionary`;
  if (view === "dictionary") dictionary.enter(noun);
  if (view === "teach") teach.enter();
}

/** Where a picture goes that is dropped or pasted now. */
function placeNow() {
  if (address().view === "teach") return teach.place;
  if (address().view !== "segment") location.hash = "#/segment";
  return segment.place;
}

async function start() {
  takeAnywhere(placeNow);
  addEventListener("hashchange", showView);
  byId("change-key").addEventListener("click", async () => {
    if (await keys.ask("")) await learnAbout();
  });
  await learnAbout();
  if (about.keys && !api.hasKey && (await keys.ask(""))) await learnAbout();
  showView();
}

start();
