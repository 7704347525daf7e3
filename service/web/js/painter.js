/** From changes of the state to pictures: what is asked for when, what is shown, and what is done when it fails. */

import { stylize, Problem } from "./api.js";
import { announce } from "./dom.js";
import { paintAsJob } from "./jobs.js";
import { createLive } from "./live.js";
import { isLong, isPaintable, requestForm } from "./request.js";
import { isSamePicture } from "./state.js";
import { factsOf, titleOf } from "./words.js";

const BUSY_AFTER_MS = 250;

/**
 * @typedef {{state: import("./state.js").State, kind: "preview" | "full"}} What
 * @typedef {import("./live.js").Order<What>} Order
 *
 * @param {object} ends
 * @param {import("./state.js").Store} ends.store
 * @param {import("./stage.js").Stage} ends.stage
 * @param {import("./notice.js").Notice} ends.notice
 * @param {(result: import("./api.js").Painted) => void} ends.answered
 * @param {(entry: import("./history.js").Entry) => void} ends.finished
 */
export function createPainter({ store, stage, notice, answered, finished }) {
  let busyTimer = 0;
  /** @type {import("./history.js").Entry | null} The last one in full. */
  let last = null;
  const live = createLive({ send, show, fail, changed });

  /** @param {boolean} isLive */
  function ask(isLive) {
    const state = store.get();
    if (!isPaintable(state)) return live.stop();
    const full = /** @type {Order} */ ({ what: { state, kind: "full" }, isLive: false, mayWait: false, then: null });
    const needsStart = state.look.method === "gatys";
    live.ask({ what: { state, kind: "preview" }, isLive, mayWait: true, then: isLive || needsStart ? null : full });
  }

  /** @param {Order} order @param {AbortSignal} signal */
  async function send({ what: { state, kind } }, signal) {
    for (;;) {
      try {
        const form = await requestForm(state, kind);
        if (kind === "full" && isLong(state)) return await asJob(form, state, signal);
        return await stylize(form, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof Problem && error.passes)) throw error;
        await patience(error, signal);
      }
    }
  }

  /** @param {FormData} form @param {import("./state.js").State} state @param {AbortSignal} signal */
  async function asJob(form, state, signal) {
    const stop = () => {
      live.stop();
      if (last) stage.showPainting(last, titleOf(last.state.mix));
      announce("Cancelled");
    };
    return paintAsJob(form, signal, (news) => {
      if (signal.aborted) return;
      const waits = news.state === "queued" ? `Waiting${news.position ? `, number ${news.position}` : ""}` : "Painting";
      const steps = news.step && news.steps ? `: step ${news.step} of ${news.steps}` : "";
      notice.show(waits + steps, { share: news.progress, label: "Cancel", then: stop });
      if (news.picture) stage.showPainting({ blob: news.picture, url: URL.createObjectURL(news.picture), isPreview: true }, titleOf(state.mix));
    });
  }

  /** Wait as long as the service asks for, and say so. */
  function patience(/** @type {Problem} */ problem, /** @type {AbortSignal} */ signal) {
    announce(`${problem.detail} Trying again in ${problem.retryAfterS} seconds.`);
    return new Promise((resolve, reject) => {
      let left = problem.retryAfterS;
      const tell = () => notice.show(`${problem.detail}. Trying again in ${left} s.`, { label: "Stop", then: live.stop });
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) return tell();
        clearInterval(timer);
        notice.clear();
        resolve(undefined);
      }, 1000);
      signal.addEventListener("abort", () => {
        clearInterval(timer);
        reject(signal.reason);
      });
      tell();
    });
  }

  /** @param {Order} order @param {import("./api.js").Painted} result */
  async function show({ what: { state, kind } }, result) {
    const picture = { blob: result.blob, url: URL.createObjectURL(result.blob), isPreview: kind === "preview" };
    notice.clear();
    answered(result);
    const isShown = await stage.showPainting(picture, titleOf(state.mix));
    if (!isShown || kind === "preview") return;
    const entry = { ...picture, state, result, facts: await factsOf(state.mix, result) };
    stage.setLabel(titleOf(state.mix), entry.facts);
    announce(`Painted: ${titleOf(state.mix)}`);
    last = entry;
    finished(entry);
  }

  /** @param {Order} order @param {unknown} error */
  function fail(order, error) {
    if (!(error instanceof Problem)) console.error(error);
    notice.error(error, error instanceof Problem && error.status === 422 ? null : () => ask(false));
  }

  /** @param {Order | null} order */
  function changed(order) {
    clearTimeout(busyTimer);
    if (order) busyTimer = window.setTimeout(() => stage.setWorking(true), BUSY_AFTER_MS);
    else {
      stage.setWorking(false);
      notice.settle();
    }
  }

  store.subscribe((state, before, action) => {
    if (action.type === "photo" && state.photo) stage.showPhoto(state.photo);
    if (action.type === "restore" || isSamePicture(state, before)) return;
    if (action.type === "registered") return; // the same painting under another name
    notice.clear();
    ask(Boolean(action.live));
  });

  return {
    /** Begin a full picture of what takes minutes. */
    optimise() {
      const state = store.get();
      if (isPaintable(state)) live.ask({ what: { state, kind: "full" }, isLive: false, mayWait: false, then: null });
    },
  };
}
