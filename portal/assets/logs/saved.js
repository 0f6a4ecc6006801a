// Queries to come back to: examples, and what was run in this browser.
import { html } from "/assets/vendor/preact.js";
import { showTime } from "/assets/page.js";

const KEY = "oms-logs-history";
const MOST = 50;

/** @returns {{query: string, span: string, at: string, rows: number}[]} */
export function history() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {{query: string, span: string, at: string, rows: number}} entry */
export function remember(entry) {
  const others = history().filter((each) => each.query !== entry.query);
  localStorage.setItem(KEY, JSON.stringify([entry, ...others].slice(0, MOST)));
}

/**
 * @param {{examples: [string, string, string][], entries: any[], onOpen: (query: string, span: string) => void, onForget: () => void}} props
 */
export function Queries({ examples, entries, onOpen, onForget }) {
  return html`<h2>Examples</h2>
    <ul class="queries">
      ${examples.map(([name, span, query]) => html`<li key=${name}><button type="button" class="name" title=${query} onClick=${() => onOpen(query, span)}><span>${name}</span></button></li>`)}
    </ul>
    <h2>History</h2>
    ${entries.length === 0 && html`<p class="muted small">Queries that you run are kept in this browser.</p>`}
    <ul class="queries">
      ${entries.map(
        (each) => html`<li key=${each.query}><button type="button" class="name" title=${each.query} onClick=${() => onOpen(each.query, each.span)}>
          <code>${each.query}</code><span class="type">${showTime(each.at)}, ${each.rows.toLocaleString("en")} rows</span></button></li>`,
      )}
    </ul>
    ${entries.length > 0 && html`<button type="button" class="quiet small" onClick=${onForget}>Forget the history</button>`}`;
}
