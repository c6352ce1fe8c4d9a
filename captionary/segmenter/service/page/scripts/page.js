// Puts the page together: three views, one at a time, by the address after the #.

import { Api } from "./api.js";
import { DictionaryView } from "./dictionary.js";
import { byId, count } from "./elements.js";
import { KeyDialog } from "./key.js";
import { takeAnywhere } from "./picture.js";
import { SegmentView } from "./segment.js";
import { TeachView } from "./teach.js";

const LOOK_AGAIN = 5000;
const TITLES = { segment: "Segment", dictionary: "Dictionary", teach: "Teach" };

const keys = new KeyDialog();
const api = new Api((line) => keys.ask(line));
// Nobody knows yet whether there is an indexer: until it is told, its view is there.
let about = { indexer: undefined, keys: false, revision: 0 };
let lookingAgain = 0;

const segment = new SegmentView({
  api,
  onRevision: (revision) => {
    if (revision !== about.revision) learnAbout();
  },
});
const dictionary = new DictionaryView({ api, onUse: (noun) => segment.field.add(noun) });
const teach = new TeachView({
  api,
  current: () => segment.place.picture,
  counts: readAbout,
  onSegment: (file, nouns) => {
    location.hash = "#/segment";
    segment.segmentAs(file, nouns);
  },
});

/** What the service is and has, shown on the page. */
async function readAbout() {
  const reason = await whyNotReady();
  about = await api.ask("/v1/about");
  showSize(reason);
  const teaches = about.indexer !== null;
  byId("to-teach").hidden = !teaches;
  byId("hint-teach").hidden = !teaches;
  byId("change-key").hidden = !about.keys;
  byId("foot").textContent = `Captionary ${about.version}`;
  teach.indexer = (about.indexer ?? "").replace(/\/+$/, "");
  return about;
}

/** Why the service cannot work yet, in its own words; "" where it can. */
async function whyNotReady() {
  try {
    await api.ask("/readyz", { quiet: true });
  } catch (error) {
    if (error.status === 503) return error.message;
  }
  return "";
}

/** Tell how large the dictionary is: a count of nothing means so only where it can be read. */
function showSize(reason) {
  const { images, nouns } = about;
  const locked = about.keys && !api.hasKey;
  const closed = !locked && nouns === 0 && reason !== "";
  const known = !locked && !closed;
  const size = known ? `${count(nouns, "noun")} from ${count(images, "picture")}` : "";
  byId("counts").textContent = locked ? "Needs an API key" : size;
  byId("not-ready").textContent = closed ? reason : "";
  byId("not-ready").hidden = !closed;
  byId("empty-dictionary").hidden = !known || nouns > 0;
  clearTimeout(lookingAgain);
  if (closed) lookingAgain = setTimeout(learnAbout, LOOK_AGAIN);
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
  const { view, noun } = uncover();
  if (view === "dictionary") dictionary.enter(noun);
  if (view === "teach") teach.enter();
}

/** Have only that view on the screen which the address names; the address. */
function uncover() {
  const { view, noun } = address();
  for (const name of Object.keys(TITLES)) byId(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${noun || TITLES[view]} · Captionary`;
  return { view, noun };
}

/** Where a picture goes that is dropped or pasted now. */
function placeNow() {
  if (address().view === "teach") return teach.place;
  if (address().view !== "segment") location.hash = "#/segment";
  return segment.place;
}

async function start() {
  uncover();
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
