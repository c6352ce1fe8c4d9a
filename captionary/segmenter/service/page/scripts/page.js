// Entry point: three views, one at a time by the address after the #, and the service's state.

import { Api } from "./api.js";
import { Corrections } from "./corrections.js";
import { DictionaryView } from "./dictionary.js";
import { byId, count } from "./elements.js";
import { KeyDialog } from "./key.js";
import { acceptAnywhere } from "./picture.js";
import { SegmentView } from "./segment.js";
import { TeachView } from "./teach.js";

const RECHECK_MS = 5000;
const TITLES = { segment: "Segment", dictionary: "Dictionary", teach: "Teach" };

const keyDialog = new KeyDialog();
const api = new Api((line) => keyDialog.prompt(line));
// Until it is known whether there is an indexer, its view can be reached.
let about = { indexer: undefined, keys: false, revision: 0 };
let recheckTimer = 0;

const corrections = new Corrections({ api });
const segment = new SegmentView({
  api,
  corrections,
  onRevision: (revision) => {
    if (revision !== about.revision) refreshAbout();
  },
});
const dictionary = new DictionaryView({
  api,
  corrections,
  suggest: (typed, options) => segment.suggest(typed, options),
  onUse: (noun) => segment.field.add(noun),
});
const teach = new TeachView({
  api,
  suggest: (typed, options) => segment.suggest(typed, options),
  current: () => segment.pictureInput.picture,
  counts: fetchAbout,
  onSegment: (file, nouns) => {
    location.hash = "#/segment";
    segment.segmentAs(file, nouns);
  },
});

/** What the service is and has, shown on the page. */
async function fetchAbout() {
  const reason = await fetchNotReadyReason();
  about = await api.request("/v1/about");
  showDictionarySize(reason);
  const teaches = about.indexer !== null;
  byId("to-teach").hidden = !teaches;
  byId("hint-teach").hidden = !teaches;
  byId("change-key").hidden = !about.keys;
  byId("foot").textContent = `Captionary ${about.version}`;
  corrections.indexer = teaches ? about.indexer.replace(/\/+$/, "") : null;
  teach.indexer = corrections.indexer ?? "";
  return about;
}

/** Why the service cannot work yet, in its own words; "" where it can. */
async function fetchNotReadyReason() {
  try {
    await api.request("/readyz", { quiet: true });
  } catch (error) {
    if (error.status === 503) return error.message;
  }
  return "";
}

/** Show the size of the dictionary: a count of nothing means so only where it can be read. */
function showDictionarySize(reason) {
  const { images, nouns } = about;
  const locked = about.keys && !api.hasKey;
  const notReady = !locked && nouns === 0 && reason !== "";
  const known = !locked && !notReady;
  const size = known ? `${count(nouns, "noun")} from ${count(images, "picture")}` : "";
  byId("counts").textContent = locked ? "Needs an API key" : size;
  byId("not-ready").textContent = notReady ? reason : "";
  byId("not-ready").hidden = !notReady;
  byId("empty-dictionary").hidden = !known || nouns > 0;
  clearTimeout(recheckTimer);
  if (notReady) recheckTimer = setTimeout(refreshAbout, RECHECK_MS);
}

async function refreshAbout() {
  try {
    await fetchAbout();
    byId("page-problem").textContent = "";
  } catch (error) {
    byId("page-problem").textContent = error.message;
  }
}

/** The view that the address names, and the noun in it. */
function parseAddress() {
  const [, view, ...rest] = location.hash.split("/");
  const known = view in TITLES && (view !== "teach" || about.indexer !== null);
  return { view: known ? view : "segment", noun: decodeComponent(rest.join("/")) };
}

function decodeComponent(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showView() {
  if (location.hash && !location.hash.startsWith("#/")) return;
  const { view, noun } = switchView();
  if (view === "dictionary") dictionary.enter(noun);
  if (view === "teach") teach.enter();
}

/** Show only the view that the address names; returns the parsed address. */
function switchView() {
  const { view, noun } = parseAddress();
  for (const name of Object.keys(TITLES)) byId(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${noun || TITLES[view]} · Captionary`;
  return { view, noun };
}

/** The picture input that takes a picture which is dropped or pasted now. */
function currentPictureInput() {
  if (parseAddress().view === "teach") return teach.pictureInput;
  if (parseAddress().view !== "segment") location.hash = "#/segment";
  return segment.pictureInput;
}

async function start() {
  switchView();
  acceptAnywhere(currentPictureInput);
  // What a view offers depends on the service: until that is known it is only switched to.
  addEventListener("hashchange", switchView);
  byId("change-key").addEventListener("click", async () => {
    if (await keyDialog.prompt("")) await refreshAbout();
  });
  await refreshAbout();
  if (about.keys && !api.hasKey && (await keyDialog.prompt(""))) await refreshAbout();
  removeEventListener("hashchange", switchView);
  addEventListener("hashchange", showView);
  showView();
}

start();
