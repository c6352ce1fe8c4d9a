// Asks the services. A failure is one line that says what is wrong and what to do.

const LONGEST_WAIT = 60;
const KEPT = "captionary-key";

/** What went wrong, in one line; status: of the answer, 0 where there was none. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Whether an error only says that the request was not wanted any more. */
export const isAbort = (error) => error.name === "AbortError";

export class Api {
  /** askKey: given a line or "", answers whether there is a new key to try. */
  constructor(askKey) {
    this.askKey = askKey;
    this.asking = null;
  }

  get hasKey() {
    return sessionStorage.getItem(KEPT) !== null;
  }

  static keep(key) {
    sessionStorage.setItem(KEPT, key);
  }

  /**
   * The JSON of an answer.
   *
   * base:   address of the service; "" for where the page is from.
   * quiet:  neither ask for a key nor wait for a busy service.
   * onWait: told the seconds left until a busy service is asked again; 0 at last.
   */
  async ask(path, { body, signal, base = "", quiet = false, onWait = () => {} } = {}) {
    let waited = false;
    for (;;) {
      const key = sessionStorage.getItem(KEPT);
      const answer = await send(base + path, { body, signal, key });
      if (answer.ok) return read(answer);
      const problem = await problemOf(answer);
      const seconds = Number(answer.headers.get("Retry-After") ?? NaN);
      if ([429, 503].includes(answer.status) && seconds <= LONGEST_WAIT && !waited && !quiet) {
        waited = true;
        await countDown(Math.max(1, Math.ceil(seconds)), onWait, signal);
      } else if ([401, 403].includes(answer.status) && !quiet) {
        if (!(await this.newKey(key, problem))) throw problem;
      } else {
        throw problem;
      }
    }
  }

  /** Ask for a key once, however many requests want one. */
  async newKey(used, problem) {
    if (sessionStorage.getItem(KEPT) !== used) return true;
    this.asking ??= this.askKey(problem.status === 403 ? problem.message : "").finally(() => {
      this.asking = null;
    });
    return this.asking;
  }
}

async function send(address, { body, signal, key }) {
  const headers = { Accept: "application/json" };
  if (key) headers["X-API-Key"] = key;
  try {
    return await fetch(address, { method: body ? "POST" : "GET", body, signal, headers });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem("the service does not answer; check that it is running, then try again");
  }
}

async function read(answer) {
  try {
    return await answer.json();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem("the service answered something that is not JSON; check its address");
  }
}

async function problemOf(answer) {
  let detail = `the service answered ${answer.status}; its log says more`;
  try {
    const told = await answer.json();
    if (typeof told.detail === "string" && told.detail) detail = told.detail;
  } catch (error) {
    if (isAbort(error)) throw error;
  }
  return new Problem(detail, answer.status);
}

async function countDown(seconds, onWait, signal) {
  try {
    for (let left = seconds; left > 0; left -= 1) {
      onWait(left);
      await pause(1000, signal);
    }
  } finally {
    onWait(0);
  }
}

/** Wait; ends with an AbortError as soon as the signal says so. */
export function pause(milliseconds, signal) {
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
