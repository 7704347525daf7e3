/** Below the wall: jobs that run, and recent pictures. One click brings a picture back with its settings. */

import { $, el, icon } from "./dom.js";
import { isSamePicture } from "./state.js";
import { fileName, timeLeft, titleOf } from "./words.js";

export const MOST = 24;

/**
 * @typedef {import("./stage.js").Picture & {state: import("./state.js").State, result: import("./api.js").Painted, facts: string, isReduced: boolean, id?: string}} Entry
 *
 * @param {object} ends
 * @param {(entry: Entry) => void} ends.restore
 * @param {(entry: Entry) => void} ends.compare Put a picture to the left of the divider.
 * @param {(job: import("./job-list.js").Job) => void} ends.cancel
 * @param {(job: import("./job-list.js").Job) => void} ends.again
 * @param {(entries: Entry[]) => void} ends.changed
 */
export function createTray({ restore, compare, cancel, again, changed }) {
  const [list, jobList, empty, forget] = [$("#history"), $("#jobs"), $("#history-empty"), $("#forget")];
  /** @type {{entry: Entry, item: HTMLElement}[]} */
  let kept = [];

  function mark(/** @type {Entry | null} */ current) {
    for (const { entry, item } of kept) {
      const button = $("button", item);
      if (entry === current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      if (entry === current) button.classList.remove("is-new");
    }
  }

  /** @param {Entry} entry */
  function view(entry) {
    const label = `${titleOf(entry.state.mix)}, ${entry.facts}`;
    const image = el("img", { src: entry.url, alt: "", draggable: "true" });
    image.addEventListener("dragstart", (/** @type {DragEvent} */ event) => {
      event.dataTransfer?.setData("DownloadURL", `${entry.blob.type}:${fileName(entry.state, entry.blob)}:${entry.url}`);
    });
    const button = el("button", { type: "button", title: label, "aria-label": label, onclick: () => (mark(entry), restore(entry)) }, image);
    const against = el("button", { type: "button", class: "against", title: "Compare with this one", "aria-label": `Compare with ${label}`, onclick: () => compare(entry) }, icon("compare"));
    return el("li", {}, button, against);
  }

  function trim() {
    for (const { entry, item } of kept.splice(MOST)) {
      item.remove();
      URL.revokeObjectURL(entry.url);
    }
    empty.hidden = forget.hidden = kept.length > 0;
    forget.hidden = kept.length === 0;
  }

  function jobView(/** @type {import("./job-list.js").Job} */ job) {
    const left = job.leftS === null ? "" : ` · ${timeLeft(job.leftS)}`;
    const words = el("p", { class: job.failure ? "job-words is-error" : "job-words" }, job.failure || `${job.words}${left}`);
    const bar = el("progress", { max: 1, value: job.share, "aria-label": `Progress of ${job.title}` });
    const act = job.failure ? el("button", { class: "button plain", type: "button", onclick: () => again(job) }, "Try again") : null;
    const end = el("button", { class: "icon-button", type: "button", "aria-label": `Cancel ${job.title}`, title: "Cancel", onclick: () => cancel(job) }, icon("close"));
    return el("li", { class: "job", "data-job": job.number }, el("div", { class: "job-body" }, el("p", { class: "job-title" }, `${job.title}, ${job.kind}`), bar, words), act, end);
  }

  return {
    /** @param {Entry} entry @param {boolean} [isNew] It came while something else was being looked at. */
    add(entry, isNew = false) {
      const item = view(entry);
      kept.unshift({ entry, item });
      list.prepend(item);
      list.scrollLeft = 0;
      if (isNew) $("button", item).classList.add("is-new");
      else mark(entry);
      trim();
      changed(kept.map((one) => one.entry));
    },
    /** Those of an earlier visit. @param {Entry[]} entries */
    load(entries) {
      kept = [...kept, ...entries.map((entry) => ({ entry, item: view(entry) }))];
      list.replaceChildren(...kept.map(({ item }) => item));
      trim();
    },
    clear() {
      for (const { entry, item } of kept.splice(0)) {
        item.remove();
        URL.revokeObjectURL(entry.url);
      }
      trim();
      changed([]);
    },
    mark,
    /** A picture that was painted with exactly these settings. @param {import("./state.js").State} state */
    find: (state) => kept.find(({ entry }) => isSamePicture(entry.state, state))?.entry,
    /** Progress moves; a button that is being pressed stays the one that it was. @param {import("./job-list.js").Job[]} jobs */
    showJobs(jobs) {
      const isSame = jobs.length === jobList.children.length && jobs.every((job, index) => jobList.children[index].dataset.job === String(job.number) && !job.failure && !$(".is-error", jobList.children[index]));
      if (!isSame) return jobList.replaceChildren(...jobs.map(jobView));
      jobs.forEach((job, index) => {
        const item = jobList.children[index];
        $("progress", item).value = job.share;
        $(".job-words", item).textContent = job.leftS === null ? job.words : `${job.words} · ${timeLeft(job.leftS)}`;
      });
    },
  };
}
