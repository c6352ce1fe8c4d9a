// Client of the services. A failure is one line that says what is wrong and what to do.

const MAX_RETRY_SECONDS = 60;
const STORAGE_KEY = "captionary-key";

/** Where the service is that this script is from: behind a proxy perhaps under a path. */
const ROOT = new URL("../..", import.meta.url).href;

/** What went wrong, in one line; status: of the response, 0 where there was none. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Whether an error only says that the request was not wanted any more. */
export const isAbortError = (error) => error.name === "AbortError";

export class Api {
  /** promptForKey: takes a line to show, or "", and resolves to whether there is a new key. */
  constructor(promptForKey) {
    this.promptForKey = promptForKey;
    this.keyPrompt = null;
  }

  get hasKey() {
    return sessionStorage.getItem(STORAGE_KEY) !== null;
  }

  static storeKey(key) {
    sessionStorage.setItem(STORAGE_KEY, key);
  }

  /**
   * Send a request, and return the JSON of its response.
   *
   * path:   of the route, as in "/v1/about".
   * body:   a form, or what is sent as JSON; with one the method is POST.
   * base:   address of the service; "" for where the page is from.
   * quiet:  neither prompt for a key nor retry when the service is busy.
   * onWait: called with the seconds left until a busy service is tried again; 0 at last.
   */
  async request(path, { method, body, signal, base = "", quiet = false, onWait = () => {} } = {}) {
    let retried = false;
    for (;;) {
      const key = sessionStorage.getItem(STORAGE_KEY);
      const address = (base || ROOT.slice(0, -1)) + path;
      const response = await fetchResponse(address, { method, body, signal, key });
      if (response.ok) return parseJson(response);
      const problem = await readProblem(response);
      const seconds = Number(response.headers.get("Retry-After") ?? NaN);
      const isBusy = [429, 503].includes(response.status) && seconds <= MAX_RETRY_SECONDS;
      if (isBusy && !retried && !quiet) {
        retried = true;
        await countDown(Math.max(1, Math.ceil(seconds)), onWait, signal);
      } else if ([401, 403].includes(response.status) && !quiet) {
        if (!(await this.replaceKey(key, problem))) throw problem;
      } else {
        throw problem;
      }
    }
  }

  /** Prompt for a key once, however many requests need one. */
  async replaceKey(used, problem) {
    // Another request has brought a new key meanwhile.
    if (sessionStorage.getItem(STORAGE_KEY) !== used) return true;
    const line = problem.status === 403 ? problem.message : "";
    this.keyPrompt ??= this.promptForKey(line).finally(() => {
      this.keyPrompt = null;
    });
    return this.keyPrompt;
  }
}

async function fetchResponse(address, { method, body: content, signal, key }) {
  const headers = { Accept: "application/json" };
  const isJson = content !== undefined && !(content instanceof FormData);
  if (isJson) headers["Content-Type"] = "application/json";
  const body = isJson ? JSON.stringify(content) : content;
  if (key) headers["X-API-Key"] = key;
  try {
    return await fetch(address, { method: method ?? (body ? "POST" : "GET"), body, signal, headers });
  } catch (error) {
    if (isAbortError(error)) throw error;
    throw new Problem("the service does not answer; check that it is running, then try again");
  }
}

async function parseJson(response) {
  try {
    return await response.json();
  } catch (error) {
    if (isAbortError(error)) throw error;
    throw new Problem("the service answered something that is not JSON; check its address");
  }
}

async function readProblem(response) {
  let detail = `the service answered ${response.status}; its log says more`;
  try {
    const body = await response.json();
    if (typeof body.detail === "string" && body.detail) detail = body.detail;
  } catch (error) {
    if (isAbortError(error)) throw error;
  }
  return new Problem(detail, response.status);
}

async function countDown(seconds, onWait, signal) {
  try {
    for (let left = seconds; left > 0; left -= 1) {
      onWait(left);
      await sleep(1000, signal);
    }
  } finally {
    onWait(0);
  }
}

/** Sleep; rejects with an AbortError as soon as the signal aborts. */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new DOMException("not wanted any more", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
