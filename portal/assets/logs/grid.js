// The answer as a table: sorted, in pages, columns chosen, a row opened in full; all by keyboard too.
import { html, useEffect, useMemo, useRef, useState } from "/assets/vendor/preact.js";
import { comparison, isNumber, show, showWhole } from "/assets/logs/values.js";
import { CopyButton, Menu, useWidth } from "/assets/logs/widgets.js";

const PAGE = 100;
/** Of raw records, these say the same in every row: they wait in the column chooser. */
const QUIET = new Set(["TenantId", "SourceSystem", "_BilledSize", "_IsBillable", "_SubscriptionId", "Type"]);

/**
 * Columns worth a place on the screen at first: those with a value somewhere, without the bookkeeping of raw records.
 * @param {{columns: {name: string, type: string}[], rows: unknown[][]}} table
 */
export function shownAtFirst({ columns, rows }) {
  const raw = ["TenantId", "Type", "_BilledSize"].every((name) => columns.some((column) => column.name === name));
  const found = new Set();
  columns.forEach((column, index) => {
    const filled = rows.length === 0 || rows.some((row) => row[index] !== null && row[index] !== "");
    if (filled && !(raw && QUIET.has(column.name))) found.add(column.name);
  });
  return found.size ? found : new Set(columns.map((column) => column.name));
}

function Record({ columns, row, onFilter, onAround }) {
  const time = row[columns.findIndex((column) => column.name === "TimeGenerated")];
  const whole = () => JSON.stringify(Object.fromEntries(columns.map((column, index) => [column.name, row[index]])), null, 2);
  return html`<div class="record">
    <p class="row">
      <${CopyButton} text=${whole}>Copy as JSON</${CopyButton}>
      ${time && html`<button type="button" onClick=${() => onAround(row)}>What happened around it (± 5 minutes)</button>`}
    </p>
    <dl>
      ${columns.map((column, index) => {
        const value = row[index];
        const empty = value === null || value === "";
        return html`<div key=${column.name} class=${empty ? "empty" : ""}>
          <dt>${column.name} <span class="type">${column.type}</span></dt>
          <dd><span class="value">${empty ? "–" : showWhole(value, column)}</span>
            <span class="filters">
              <button type="button" class="quiet" title="Only these" aria-label=${`Only this ${column.name}`} onClick=${() => onFilter(column, value, false)}>=</button>
              <button type="button" class="quiet" title="Without these" aria-label=${`Without this ${column.name}`} onClick=${() => onFilter(column, value, true)}>≠</button>
            </span></dd>
        </div>`;
      })}
    </dl>
  </div>`;
}

/** Up and Down walk the rows, Home and End go to the first and last, Enter and Space open one. */
function walk(event) {
  const row = event.target.closest("tr[data-row]");
  if (!row || event.target !== row) return;
  const rows = [...row.parentElement.querySelectorAll("tr[data-row]")];
  const index = rows.indexOf(row);
  const next = { ArrowDown: rows[index + 1], ArrowUp: rows[index - 1], Home: rows[0], End: rows.at(-1) }[event.key];
  if (next) {
    event.preventDefault();
    next.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    row.querySelector("button")?.click();
  }
}

/** @param {{columns: any[], chosen: Set<string>, onChoose: (chosen: Set<string>) => void}} props */
export function ColumnChooser({ columns, chosen, onChoose }) {
  const [wanted, setWanted] = useState("");
  const toggle = (name) => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    onChoose(next);
  };
  const shown = columns.filter((column) => column.name.toLowerCase().includes(wanted.toLowerCase()));
  return html`<${Menu} align="right" label=${`${chosen.size} of ${columns.length} columns`} title="Choose columns">
    <div class="chooser">
      <input type="search" aria-label="Find a column" placeholder="Find a column" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />
      <p class="row"><button type="button" class="small" onClick=${() => onChoose(new Set(columns.map((column) => column.name)))}>All</button>
        <button type="button" class="small" onClick=${() => onChoose(new Set(columns.slice(0, 1).map((column) => column.name)))}>First only</button></p>
      <ul>${shown.map((column) => html`<li key=${column.name}><label><input type="checkbox" checked=${chosen.has(column.name)} onChange=${() => toggle(column.name)} /> ${column.name} <span class="type">${column.type}</span></label></li>`)}</ul>
    </div>
  </${Menu}>`;
}

/**
 * @param {{table: any, chosen: Set<string>, onFilter: any, onAround: (row: unknown[]) => void, onBusy: (busy: boolean) => void}} props
 * `onBusy` hears when somebody reads further down or opened a row: a live tail waits meanwhile.
 */
export function Grid({ table, chosen, onFilter, onAround, onBusy }) {
  const [sort, setSort] = useState(/** @type {{name: string, down: boolean} | null} */ (null));
  const [page, setPage] = useState(0);
  const [open, setOpen] = useState(/** @type {Set<unknown>} */ (new Set()));
  const [active, setActive] = useState(0);
  const scroller = useRef(null);
  const names = table.columns.map((column) => column.name).join("\n");
  const width = useWidth(scroller);
  useEffect(() => {
    // An opened row is laid out in what is visible of the table, however wide its columns make it.
    scroller.current?.style.setProperty("--visible", `${width}px`);
  }, [width]);
  useEffect(() => {
    setSort(null);
  }, [names]);
  useEffect(() => {
    setPage(0);
    setOpen(new Set());
    setActive(0);
  }, [table]);
  const columns = useMemo(
    () => table.columns.map((column, index) => ({ column, index })).filter(({ column }) => chosen.has(column.name)),
    [table, chosen],
  );
  const rows = useMemo(() => {
    const index = sort ? table.columns.findIndex((column) => column.name === sort.name) : -1;
    if (index < 0) return table.rows;
    const compare = comparison(table.columns[index]);
    const missing = (value) => value === null || value === "";
    return [...table.rows].sort((a, b) => (missing(a[index]) !== missing(b[index]) || !sort.down ? compare(a[index], b[index]) : compare(b[index], a[index])));
  }, [table, sort]);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const shown = rows.slice(page * PAGE, (page + 1) * PAGE);
  const tell = (opened, at) => onBusy(opened.size > 0 || at > 0 || (scroller.current?.scrollTop ?? 0) > 8);
  const toggle = (row) => {
    const next = new Set(open);
    if (!next.delete(row)) next.add(row);
    setOpen(next);
    tell(next, page);
  };
  const turn = (to) => {
    setPage(to);
    setActive(0);
    scroller.current.scrollTop = 0;
    tell(open, to);
  };
  const order = (name) => {
    setPage(0);
    setSort(sort?.name !== name ? { name, down: false } : sort.down ? null : { name, down: true });
  };
  return html`
    <div class="scroll grid" ref=${scroller} onScroll=${() => tell(open, page)} onKeyDown=${walk} role="region" aria-label="Rows" tabindex="0">
      <table aria-rowcount=${rows.length}>
        <thead><tr>
          <th scope="col" class="opener"><span class="sr">Open</span></th>
          ${columns.map(({ column }) => {
            const state = sort?.name === column.name ? (sort.down ? "descending" : "ascending") : "none";
            return html`<th key=${column.name} scope="col" class=${isNumber(column) ? "n" : ""} aria-sort=${state}>
              <button type="button" title=${`${column.name}: ${column.type}. Sort`} onClick=${() => order(column.name)}>${column.name}<span aria-hidden="true" class="arrow">${{ ascending: " ↑", descending: " ↓", none: "" }[state]}</span></button></th>`;
          })}
        </tr></thead>
        <tbody>
          ${rows.length === 0 && html`<tr><td colspan=${columns.length + 1} class="muted">No record matches. A wider time range may hold some.</td></tr>`}
          ${shown.map((row, place) => {
            const opened = open.has(row);
            return html`<tr key=${`${page}-${place}`} data-row tabindex=${place === active ? 0 : -1} onFocus=${() => setActive(place)} aria-rowindex=${page * PAGE + place + 1} class=${opened ? "opened" : ""}>
                <td class="opener"><button type="button" tabindex="-1" aria-expanded=${opened} aria-label=${`Row ${page * PAGE + place + 1} in full`} onClick=${() => toggle(row)}>${opened ? "▾" : "▸"}</button></td>
                ${columns.map(({ column, index }) => {
                  const text = show(row[index], column);
                  return html`<td key=${column.name} class=${isNumber(column) ? "n" : ""} title=${text.length > 60 ? text.slice(0, 2000) : undefined}>${text.length > 300 ? `${text.slice(0, 300)}…` : text}</td>`;
                })}
              </tr>
              ${opened && html`<tr key=${`${page}-${place}-whole`} class="whole"><td colspan=${columns.length + 1}><${Record} columns=${table.columns} row=${row} onFilter=${onFilter} onAround=${onAround} /></td></tr>`}`;
          })}
        </tbody>
      </table>
    </div>
    ${pages > 1 &&
    html`<nav class="pages row" aria-label="Pages of rows">
      <button type="button" disabled=${page === 0} onClick=${() => turn(0)} aria-label="First page">«</button>
      <button type="button" disabled=${page === 0} onClick=${() => turn(page - 1)}>Previous</button>
      <span class="small" aria-live="polite">Rows ${(page * PAGE + 1).toLocaleString("en")}–${Math.min(rows.length, (page + 1) * PAGE).toLocaleString("en")} of ${rows.length.toLocaleString("en")}</span>
      <button type="button" disabled=${page === pages - 1} onClick=${() => turn(page + 1)}>Next</button>
      <button type="button" disabled=${page === pages - 1} onClick=${() => turn(pages - 1)} aria-label="Last page">»</button>
    </nav>`}
  `;
}
