/** The pictures that take long: several at once, each with its progress; what else is done on the page ends none of them. */

import { Problem } from "./api.js";
import { announce } from "./dom.js";
import { paintAsJob } from "./jobs.js";
import { requestForm } from "./request.js";
import { factsOf, titleOf } from "./words.js";

const PATIENCE_S = 2;

/**
 * @typedef {object} Job
 * @property {number} number
 * @property {string} title
 * @property {string} kind What is said of it, as "finely" or "2048 px".
 * @property {import("./state.js").State} state
 * @property {string} words How far it is.
 * @property {number} share From 0 to 1.
 * @property {number | null} leftS Seconds that it will still take.
 * @property {string} failure
 * @property {AbortController} controller
 *
 * @param {object} ends
 * @param {(jobs: Job[]) => void} ends.changed
 * @param {(job: Job, picture: Blob) => void} ends.previewed
 * @param {(job: Job, entry: import("./tray.js").Entry) => void} ends.finished
 * @param {(job: Job) => void} ends.cancelled
 */
export function createJobList({ changed, previewed, finished, cancelled }) {
  /** @type {Job[]} */
  let jobs = [];
  let count = 0;

  function update(/** @type {Job} */ job, /** @type {Partial<Job>} */ news) {
    Object.assign(job, news);
    changed(jobs);
  }

  function leave(/** @type {Job} */ job) {
    jobs = jobs.filter((other) => other !== job);
    changed(jobs);
  }

  /** @param {Job} job */
  async function run(job) {
    const { signal } = job.controller;
    const began = performance.now();
    for (;;) {
      try {
        const form = await requestForm(job.state, "full");
        const result = await paintAsJob(form, signal, (news) => {
          if (signal.aborted) return;
          update(job, { words: wordsOf(news), share: news.progress, leftS: secondsLeft(began, news.progress) });
          if (news.picture) previewed(job, news.picture);
        });
        const entry = {
          blob: result.blob, url: URL.createObjectURL(result.blob), isPreview: false, state: job.state, result,
          facts: await factsOf(job.state.mix, result), isReduced: false,
        };
        leave(job);
        announce(`Painted: ${job.title}`);
        return finished(job, entry);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Problem)) console.error(error);
        if (!(error instanceof Problem && error.passes)) return fail(job, error);
        update(job, { words: `${error.spoken} Trying again.`, share: 0 });
        await new Promise((resolve) => setTimeout(resolve, Math.max(PATIENCE_S, error.retryAfterS) * 1000));
        if (signal.aborted) return;
      }
    }
  }

  function fail(/** @type {Job} */ job, /** @type {unknown} */ error) {
    const failure = error instanceof Problem ? error.spoken : String(error);
    update(job, { failure });
    announce(failure, true);
  }

  return {
    /** @param {import("./state.js").State} state @param {string} kind @returns {Job} */
    start(state, kind) {
      const job = {
        number: ++count, title: titleOf(state.mix), kind, state, words: "Waiting", share: 0, leftS: null, failure: "", controller: new AbortController(),
      };
      jobs = [...jobs, job];
      changed(jobs);
      run(job);
      return job;
    },
    /** @param {Job} job */
    cancel(job) {
      job.controller.abort();
      leave(job);
      cancelled(job);
      announce(`Cancelled: ${job.title}`);
    },
    /** One that has failed, once more. @param {Job} job */
    again(job) {
      update(job, { failure: "", words: "Waiting", share: 0 });
      run(job);
    },
    all: () => jobs,
  };
}

function wordsOf(/** @type {import("./jobs.js").JobNews} */ { state, position, step, steps }) {
  if (state === "queued") return `Waiting${position ? `, number ${position}` : ""}`;
  return step && steps ? `Step ${step} of ${steps}` : "Painting";
}

/**
 * @param {number} began
 * @param {number} share
 */
function secondsLeft(began, share) {
  if (share < 0.04) return null;
  return Math.ceil(((performance.now() - began) / 1000 / share) * (1 - share));
}
