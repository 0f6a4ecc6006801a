// A live tail: asks again every few seconds, and waits while somebody reads.
import { useEffect, useRef } from "/assets/vendor/preact.js";

export const TAIL_ROWS = 200;
const PAUSE = 3000;

/**
 * Calls `again` while `on`, one call at a time; not while `waiting` or while the page is hidden.
 * @param {boolean} on
 * @param {boolean} waiting
 * @param {() => Promise<void>} again
 */
export function useTail(on, waiting, again) {
  const latest = useRef(again);
  latest.current = again;
  useEffect(() => {
    if (!on || waiting) return undefined;
    let ended = false;
    (async () => {
      while (!ended) {
        await new Promise((done) => setTimeout(done, PAUSE));
        if (!ended && !document.hidden) await latest.current();
      }
    })();
    return () => {
      ended = true;
    };
  }, [on, waiting]);
}
