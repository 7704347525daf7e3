/** Pictures that take long: a job with progress and previews, which can be cancelled. */

import { ask, painted, Problem } from "./api.js";
import { events } from "./sse.js";

const LOOK_EVERY_MS = 1000;

/**
 * @typedef {object} JobNews
 * @property {string} state
 * @property {number} progress From 0 to 1.
 * @property {number | null} position Among those that wait.
 * @property {number} [step]
 * @property {number} [steps]
 * @property {Blob} [picture] So far.
 */

/**
 * Paint as a job. Aborting cancels it.
 * @param {FormData} form
 * @param {AbortSignal} signal
 * @param {(news: JobNews) => void} tell
 * @returns {Promise<import("./api.js").Painted>}
 */
export async function paintAsJob(form, signal, tell) {
  const began = performance.now();
  const answer = await ask("/stylize", { method: "POST", body: form, signal, headers: { Prefer: "respond-async" } });
  let job = await answer.json();
  const cancel = () => ask(job.links.self, { method: "DELETE", keepalive: true }).catch(() => {});
  signal.addEventListener("abort", cancel);
  window.addEventListener("pagehide", cancel);
  try {
    tell(job);
    job = await untilItEnds(job, signal, tell);
    if (job.state !== "succeeded") throw problemOf(job);
    return await painted(await ask(job.links.result, { signal }), began);
  } finally {
    signal.removeEventListener("abort", cancel);
    window.removeEventListener("pagehide", cancel);
  }
}

const hasEnded = (/** @type {any} */ { state }) => !["queued", "running"].includes(state);

/** Listens; where that is not possible, or breaks off, asks now and then. */
async function untilItEnds(/** @type {any} */ job, /** @type {AbortSignal} */ signal, /** @type {(news: JobNews) => void} */ tell) {
  while (!hasEnded(job)) {
    try {
      const answer = await ask(job.links.events, { signal });
      for await (const { event, data } of events(/** @type {ReadableStream} */ (answer.body))) {
        if (event === "state") job = data;
        if (event === "progress") job = { ...job, ...data };
        tell(event === "preview" ? { ...job, picture: fromBase64(data) } : job);
      }
    } catch (error) {
      if (signal.aborted || (error instanceof Problem && error.status === 404)) throw error;
    }
    if (hasEnded(job)) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    job = await (await ask(job.links.self, { signal })).json();
    tell(job);
  }
  return job;
}

/** @param {{type: string, data: string}} preview */
const fromBase64 = ({ type, data }) => new Blob([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], { type });

function problemOf(/** @type {any} */ job) {
  return new Problem(job.problem ?? { title: job.state, status: 0, detail: `The job was ${job.state}.` });
}
