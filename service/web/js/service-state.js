/** State of the service, in a corner: readiness, queue depth, and the stages of the last request. */

import { $, el } from "./dom.js";
import { address } from "./api.js";
import { seconds } from "./words.js";

const LOOK_EVERY_MS = 5000;
const STAGES = { queue: "waiting", decode: "reading", model: "painting", encode: "writing" };

export function createServiceState() {
  const [dot, text, time, facts, stages] = ["#state-dot", "#state-text", "#state-time", "#state-facts", "#stages"].map((id) => $(id));

  const row = (/** @type {string} */ name, /** @type {string} */ value) => [el("dt", {}, name), el("dd", {}, value)];

  function show(/** @type {"ready" | "busy" | "down"} */ state, /** @type {string} */ words, /** @type {[string, string][]} */ rows) {
    dot.dataset.state = state;
    text.textContent = words;
    facts.replaceChildren(...rows.flatMap(([name, value]) => row(name, value)));
  }

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch(address("/readyz?worker=1"), { cache: "no-store" });
      const body = await answer.json();
      if (!answer.ok) return show("down", body.title ?? "Not ready", [["State", body.detail ?? ""]]);
      const depth = body.queue_depth;
      show(depth > 1 ? "busy" : "ready", depth > 1 ? `Ready, ${depth} in the queue` : "Ready", [
        ["State", "ready"], ["Requests in the queue", String(depth)], ["Workers", String(body.workers)],
      ]);
    } catch {
      show("down", "No connection", [["State", "the service does not answer"]]);
    }
  }

  /** @param {import("./api.js").Painted} result */
  function answered({ timing, tookMs }) {
    const total = Object.values(timing).reduce((sum, ms) => sum + ms, 0);
    time.textContent = seconds(tookMs);
    const bar = el("div", { class: "stages-bar", "aria-hidden": "true" });
    const list = el("dl");
    for (const [stage, ms] of Object.entries(timing)) {
      const part = el("span", { "data-stage": stage });
      part.style.flexGrow = String(Math.max(ms, total / 200));
      bar.append(part);
      const [name, value] = row(STAGES[/** @type {keyof typeof STAGES} */ (stage)] ?? stage, seconds(ms));
      name.prepend(el("span", { class: "swatch", "data-stage": stage }));
      list.append(name, value);
    }
    const [name, value] = row("on the way", seconds(Math.max(0, tookMs - total)));
    name.prepend(el("span", { class: "swatch" }));
    list.append(name, value);
    stages.replaceChildren(bar, list);
  }

  look();
  setInterval(look, LOOK_EVERY_MS);
  document.addEventListener("visibilitychange", look);
  const details = $("#state");
  document.addEventListener("click", (event) => {
    if (!details.contains(/** @type {Node} */ (event.target))) details.open = false;
  });
  details.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && details.open) {
      details.open = false;
      $("summary", details).focus();
    }
  });
  return { answered };
}
