// The answer: what it cost, its chart or its rows, and the way out of the page as CSV.
import { html, useEffect, useMemo, useState } from "/assets/vendor/preact.js";
import { Chart } from "/assets/logs/chart.js";
import { ColumnChooser, Grid, shownAtFirst } from "/assets/logs/grid.js";
import { Histogram } from "/assets/logs/histogram.js";
import { chartOf } from "/assets/logs/series.js";
import { csv, download } from "/assets/logs/values.js";
import { Tabs } from "/assets/logs/widgets.js";

/** @param {{found: any}} props */
function Statistics({ found, running }) {
  const query = found.answer.statistics?.query;
  const extents = query?.inputDatasetStatistics?.extents;
  const parts = [`${found.table.rows.length.toLocaleString("en")} ${found.table.rows.length === 1 ? "row" : "rows"}`];
  if (query) parts.push(`${query.executionTime.toFixed(2)} s to answer`);
  if (found.seconds !== null) parts.push(`${found.seconds.toFixed(2)} s in all`);
  if (extents?.total > extents?.scanned) parts.push(`${extents.scanned} of ${extents.total} files read`);
  return html`<p class="small muted statistics" role="status">${running ? "Asking… " : ""}${parts.join(" · ")}</p>`;
}

/** An answer that is not whole says so, with the service's own reason. */
function Partial({ error }) {
  let inner = error.details?.[0] ?? error;
  while (inner.innererror) inner = inner.innererror;
  return html`<p class="notice warn" role="alert"><strong>These are not all the rows.</strong> ${inner.message ?? error.message}</p>`;
}

/**
 * @param {{found: any, view: string, onView: (view: string) => void, running: boolean, onFilter: any, onAround: any,
 *   onZoom: (from: number, to: number) => void, onBusy: (busy: boolean) => void}} props
 */
export function Results({ found, view, onView, running, onFilter, onAround, onZoom, onBusy }) {
  const [place, setPlace] = useState(0);
  const tables = found.answer.tables;
  const table = tables[place] ?? found.table;
  useEffect(() => setPlace(0), [found.query]);
  const names = table.columns.map((column) => column.name).join("\n");
  const [choice, setChoice] = useState(/** @type {{names: string, chosen: Set<string>} | null} */ (null));
  const chosen = useMemo(() => (choice?.names === names ? choice.chosen : shownAtFirst(table)), [choice, names, table]);
  const chart = chartOf(found.answer.render, table);
  const drawn = chart.kind !== "" && view !== "table";
  const timed = table.columns.some((column) => column.name === "TimeGenerated" && column.type === "datetime");
  const visible = () => table.columns.map((column, index) => ({ column, index })).filter(({ column }) => chosen.has(column.name));
  const save = (columns) =>
    download(`logs-${new Date(found.at).toISOString().slice(0, 19).replace(/:/g, "")}.csv`, csv(columns.map(({ column }) => column), table.rows.map((row) => columns.map(({ index }) => row[index]))), "text/csv");
  return html`<section class="panel results" aria-label="Results" aria-busy=${running}>
    <div class="tools">
      ${chart.kind && html`<${Tabs} id="view" label="Show as" current=${drawn ? "chart" : "table"} onSelect=${(name) => onView(name === "table" ? "table" : "")} tabs=${[["chart", "Chart"], ["table", "Table"]]} />`}
      <${Statistics} found=${{ ...found, table }} running=${running} />
      <span class="space"></span>
      ${tables.length > 1 && html`<label class="small">Table <select value=${place} onChange=${(event) => setPlace(Number(event.target.value))}>${tables.map((each, index) => html`<option key=${index} value=${index}>${each.name}</option>`)}</select></label>`}
      ${!drawn && html`<${ColumnChooser} columns=${table.columns} chosen=${chosen} onChoose=${(next) => setChoice({ names, chosen: next })} />`}
      <button type="button" disabled=${table.rows.length === 0} title="The columns on the screen, every row of the answer" onClick=${() => save(visible())}>CSV</button>
      ${chosen.size < table.columns.length && html`<button type="button" disabled=${table.rows.length === 0} onClick=${() => save(table.columns.map((column, index) => ({ column, index })))}>CSV, all columns</button>`}
    </div>
    ${found.answer.error && html`<${Partial} error=${found.answer.error} />`}
    ${chart.problem && html`<p class="notice" role="status">${chart.problem}</p>`}
    <div id="view-panel" role=${chart.kind ? "tabpanel" : undefined} aria-labelledby=${chart.kind ? `view-${drawn ? "chart" : "table"}` : undefined}>
      ${drawn
        ? html`<${Chart} kind=${chart.kind} table=${table} render=${found.answer.render} onRange=${onZoom} />`
        : html`${timed && table.rows.length > 1 && html`<${Histogram} table=${table} span=${found.span} at=${found.at} onRange=${onZoom} />`}
            <${Grid} table=${table} chosen=${chosen} onFilter=${onFilter} onAround=${onAround} onBusy=${onBusy} />`}
    </div>
  </section>`;
}
