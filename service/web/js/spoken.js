/** Problems in the words of a person. What the service itself said stands below them. */

/** @type {Record<number, string>} */
const SENTENCES = {
  0: "The service cannot be reached just now.",
  404: "This style is not here any more: somebody deleted it.",
  408: "The photo took too long on its way. Is the connection slow?",
  409: "That cannot be done with this style.",
  413: "That file is too large for this service.",
  415: "That file is no picture that can be read here.",
  429: "That was more than your share for the moment.",
  500: "Something broke while it was being painted. It is not your picture's fault.",
  503: "Everybody is painting at once.",
  504: "It took too long, and was given up. A smaller size is quicker.",
};

/**
 * @param {{status: number, title: string, detail: string}} problem
 * @returns {string} Its own words, where there are none that are plainer.
 */
export function spoken({ status, title, detail }) {
  if (status === 503 && /worker/i.test(`${title} ${detail}`)) return "Nobody is there to paint: no worker is running.";
  return SENTENCES[status] ?? detail;
}
