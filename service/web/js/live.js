/**
 * At most one request at a time, the newest wins.
 *
 * A change while a preview runs waits, and only the newest one: previews follow a moving control as fast as
 * they are painted. A full picture that is not wanted any more is cancelled at once. Pictures are shown in the order
 * in which they were asked for, so none is older than the one before.
 */

/**
 * @template T
 * @typedef {object} Order
 * @property {T} what
 * @property {boolean} isLive A control is moving: more will follow.
 * @property {boolean} mayWait A new order need not interrupt this one.
 * @property {Order<T> | null} then Is begun when this one is done and nothing newer was asked for.
 */

/**
 * @template T, R
 * @param {object} ends
 * @param {(order: Order<T>, signal: AbortSignal) => Promise<R>} ends.send
 * @param {(order: Order<T>, result: R) => void} ends.show
 * @param {(order: Order<T>, error: unknown) => void} ends.fail
 * @param {(order: Order<T> | null) => void} [ends.changed] What runs now.
 */
export function createLive({ send, show, fail, changed = () => {} }) {
  /** @type {Order<T> | null} */
  let waiting = null;
  /** @type {{order: Order<T>, controller: AbortController} | null} */
  let running = null;

  async function work() {
    while (waiting) {
      const order = waiting;
      const controller = new AbortController();
      waiting = null;
      running = { order, controller };
      changed(order);
      let next = order.then;
      try {
        const result = await send(order, controller.signal);
        if (!controller.signal.aborted && (order.isLive || !waiting)) show(order, result);
      } catch (error) {
        next = null;
        if (!controller.signal.aborted && !waiting) fail(order, error);
      }
      if (controller.signal.aborted) next = null;
      running = null;
      waiting ??= next;
    }
    changed(null);
  }

  return {
    isIdle: () => running === null && waiting === null,
    /** @param {Order<T>} order */
    ask(order) {
      waiting = order;
      if (!running) work();
      else if (!running.order.mayWait) running.controller.abort();
    },
    /** Give up what runs and what waits. */
    stop() {
      waiting = null;
      running?.controller.abort();
    },
  };
}
