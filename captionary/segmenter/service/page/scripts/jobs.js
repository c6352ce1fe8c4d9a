// Jobs of the indexer: watched until they are over.

import { isAbortError, sleep } from "./api.js";

const MAX_POLL_MS = 2000;
const MAX_ATTEMPTS = 5;

/**
 * Poll a job until it is over; an indexer that is away for a moment is asked again.
 *
 * first:   milliseconds until it is asked for first; then less and less often.
 * onState: called with its state meanwhile.
 */
export async function pollJob(api, job, { base, first, signal, onState = () => {} }) {
  let failed = 0;
  for (let wait = first; ; wait = Math.min(1.3 * wait, MAX_POLL_MS)) {
    await sleep(wait, signal);
    try {
      const path = `/v1/jobs/${encodeURIComponent(job)}`;
      const now = await api.request(path, { base, signal });
      failed = 0;
      if (now.state === "done" || now.state === "failed") return now;
      onState(now.state);
    } catch (error) {
      failed += 1;
      if (isAbortError(error) || failed > MAX_ATTEMPTS) throw error;
    }
  }
}

/** Why a job failed, in one line; "" where nothing of it did. */
export function failureOf({ state, failures }) {
  const reasons = failures.map((failure) => failure.reason).join("; ");
  return reasons || (state === "failed" ? "it could not be done; the indexer's log says why" : "");
}
