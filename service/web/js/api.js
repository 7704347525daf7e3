/** The service's public API. All addresses are relative to the page, so that it works below any path of a proxy. */

import { currentKey, newKey } from "./key.js";
import { spoken } from "./spoken.js";

const BASE = new URL(".", document.baseURI);

/** An answer that is no success: what `application/problem+json` says. */
export class Problem extends Error {
  /**
   * @param {{title: string, status: number, detail: string, errors?: {field: string, detail: string}[]}} body
   * @param {number} [retryAfterS]
   */
  constructor(body, retryAfterS = 0) {
    super(body.detail);
    this.title = body.title;
    this.status = body.status;
    this.detail = body.detail;
    this.errors = body.errors ?? [];
    this.retryAfterS = retryAfterS;
  }

  /** The problem in plain words; the service's own are in `detail`. */
  get spoken() {
    return spoken(this);
  }

  /** Tells whether the same request may succeed a little later. */
  get passes() {
    return this.retryAfterS > 0 && [429, 503].includes(this.status);
  }
}

/**
 * The address of one of the API's paths.
 * @param {string} path With or without its leading slash.
 */
export const address = (path) => new URL(path.replace(/^\//, ""), BASE).href;

/**
 * Ask the service. Where it wants a key, the person is asked for it, and the request is sent again.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} A success.
 * @throws {Problem} Every other answer, also that there was none.
 */
export async function ask(path, options = {}) {
  for (;;) {
    const key = currentKey();
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let answer;
    try {
      answer = await fetch(address(path), { ...options, headers });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      const detail = "The service does not answer. It may be restarting, or the connection is gone.";
      throw new Problem({ title: "No answer", status: 0, detail });
    }
    if (answer.ok) return answer;
    const problem = await problemOf(answer);
    if (answer.status !== 401 || !(await newKey(key, problem.detail))) throw problem;
  }
}

/** @param {Response} answer */
async function problemOf(answer) {
  const after = Number(answer.headers.get("Retry-After")) || 0;
  try {
    return new Problem(await answer.json(), after);
  } catch {
    const detail = `The answer was ${answer.status} ${answer.statusText}, without an explanation.`;
    return new Problem({ title: answer.statusText, status: answer.status, detail }, after);
  }
}

/** All styles, page by page. @returns {Promise<any[]>} */
export async function listStyles() {
  const found = [];
  for (let next = "/styles?limit=500"; next; ) {
    const page = await (await ask(next)).json();
    found.push(...page.styles);
    next = page.next;
  }
  return found;
}

/** All networks. @returns {Promise<any[]>} */
export const listModels = async () => (await (await ask("/models")).json()).models;

/**
 * @typedef {{blob: Blob, model: string, seed: number | null, timing: Record<string, number>, tookMs: number}} Painted
 */

/**
 * Paint, and wait for it.
 * @param {FormData} form
 * @param {AbortSignal} signal
 * @returns {Promise<Painted>}
 */
export async function stylize(form, signal) {
  const began = performance.now();
  return painted(await ask("/stylize", { method: "POST", body: form, signal }), began);
}

/**
 * Facts in the headers of a response with an image.
 * @param {Response} answer
 * @param {number} began
 * @returns {Promise<Painted>}
 */
export async function painted(answer, began) {
  const seed = answer.headers.get("X-Stylize-Seed");
  return {
    blob: await answer.blob(),
    model: answer.headers.get("X-Stylize-Model") ?? "",
    seed: seed === null ? null : Number(seed),
    timing: serverTiming(answer.headers.get("Server-Timing") ?? ""),
    tookMs: performance.now() - began,
  };
}

/**
 * Milliseconds by stage.
 * @param {string} header As `queue;dur=1.7, decode;dur=18.3`.
 */
export function serverTiming(header) {
  const pairs = [...header.matchAll(/([\w-]+)\s*;\s*dur=([\d.]+)/g)].map(([, stage, ms]) => [stage, Number(ms)]);
  return Object.fromEntries(pairs);
}
