// Links to what is on the screen, and the same question to the API and the command line.
import { html } from "/assets/vendor/preact.js";
import { workspace } from "/assets/page.js";
import { absolute, bounds } from "/assets/logs/ranges.js";
import { CopyButton, Menu } from "/assets/logs/widgets.js";

/**
 * The page's URL for a state.
 * @param {{query: string, span: string, run?: boolean, tail?: boolean, view?: string}} state
 */
export function linkTo({ query, span, run, tail, view }) {
  const params = new URLSearchParams({ workspace, q: query, span });
  if (run) params.set("run", "1");
  if (tail) params.set("tail", "1");
  if (view) params.set("view", view);
  return `/logs?${params}`;
}

const quote = (/** @type {string} */ text) => `'${text.replace(/'/g, `'\\''`)}'`;

/** @param {{query: string, span: string, ranAt: number, url: string}} props */
export function Share({ query, span, ranAt, url }) {
  const range = bounds(span, ranAt || Date.now());
  const fixed = range ? absolute(range[0], range[1]) : "";
  const body = JSON.stringify({ query, ...(span && { timespan: span }) });
  const since = { PT5M: "5m", PT30M: "30m", PT1H: "1h", PT4H: "4h", PT12H: "12h", P1D: "1d", P3D: "3d", P7D: "7d", P30D: "30d" }[span];
  const cli = since || !span ? `oms query --workspace ${workspace} --since ${since ?? "all"} ${quote(query)}` : "";
  const curl = `curl -X POST ${url}/v1/workspaces/${workspace}/query \\\n  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n  -d ${quote(body)}`;
  return html`<${Menu} align="right" label="Share" title="Links, and the same question elsewhere">
    <div class="share">
      <h2>Link</h2>
      <p class="row">
        <${CopyButton} text=${() => location.origin + linkTo({ query, span, run: true })}>Copy link, range as it is</${CopyButton}>
        ${fixed && html`<${CopyButton} text=${() => location.origin + linkTo({ query, span: fixed, run: true })}>Copy link, range fixed</${CopyButton}>`}
      </p>
      <h2>Command line</h2>
      ${cli
        ? html`<pre tabindex="0">${cli}</pre><${CopyButton} text=${cli}>Copy command</${CopyButton}>`
        : html`<p class="small muted">It takes ranges that end now: choose one, or put the times into the query.</p>`}
      <h2>API</h2>
      <pre tabindex="0">${curl}</pre>
      <${CopyButton} text=${curl}>Copy call</${CopyButton}>
    </div>
  </${Menu}>`;
}
