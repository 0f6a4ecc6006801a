// The tree of tables: those that hold data first, columns with their types; a click inserts the name.
import { html, useEffect, useState } from "/assets/vendor/preact.js";
import { columnsOf, schema } from "/assets/logs/api.js";
import { columnName } from "/assets/logs/query_text.js";

/** Bookkeeping columns stand last: they are the same everywhere. */
const LAST = new Set(["TenantId", "Type", "SourceSystem"]);
const bookkeeping = ([name]) => Number(LAST.has(name) || name.startsWith("_"));

function Columns({ table, known, onInsert }) {
  const [columns, setColumns] = useState(known);
  useEffect(() => {
    if (!columns) columnsOf(table).then((answer) => setColumns(answer.columns), () => setColumns([]));
  }, []);
  if (!columns) return html`<p class="muted small">Loading…</p>`;
  return html`<ul class="columns-of">
    ${[...columns].sort((a, b) => bookkeeping(a) - bookkeeping(b)).map(
      ([name, type]) => html`<li key=${name}><button type="button" class="name" title=${`Insert ${name}`} onClick=${() => onInsert(columnName(name))}>
        <span>${name}</span> <span class="type">${type}</span></button></li>`,
    )}
  </ul>`;
}

function Table({ table, onInsert, onQuery }) {
  const [open, setOpen] = useState(false);
  return html`<li>
    <div class="table-of">
      <button type="button" class="twist" aria-expanded=${open} aria-label=${`Columns of ${table.name}`} onClick=${() => setOpen(!open)}>${open ? "▾" : "▸"}</button>
      <button type="button" class="name" title=${`Insert ${table.name}; double click asks for its newest records`} onClick=${() => onInsert(table.name)} onDblClick=${() => onQuery(table.name)}>
        <span>${table.name}</span>${table.rows > 0 && html`<span class="type">${Intl.NumberFormat("en", { notation: "compact" }).format(table.rows)}</span>`}
      </button>
    </div>
    ${open && html`<${Columns} table=${table.name} known=${table.columns} onInsert=${onInsert} />`}
  </li>`;
}

/**
 * @param {{onInsert: (name: string) => void, onQuery: (table: string) => void}} props
 */
export function Schema({ onInsert, onQuery }) {
  const [tables, setTables] = useState(null);
  const [problem, setProblem] = useState("");
  const [wanted, setWanted] = useState("");
  useEffect(() => {
    schema().then((answer) => setTables(answer.tables), (failure) => setProblem(failure.message));
  }, []);
  if (problem) return html`<p class="notice bad" role="alert">${problem}</p>`;
  if (!tables) return html`<p class="muted small">Loading the tables…</p>`;
  const fold = wanted.trim().toLowerCase();
  const matching = tables.filter((table) => table.name.toLowerCase().includes(fold) || (table.columns ?? []).some(([name]) => fold && name.toLowerCase().includes(fold)));
  const full = matching.filter((table) => table.rows > 0);
  const empty = matching.filter((table) => table.rows === 0);
  const list = (found) => html`<ul class="tables">${found.map((table) => html`<${Table} key=${table.name} table=${table} onInsert=${onInsert} onQuery=${onQuery} />`)}</ul>`;
  return html`
    <input type="search" aria-label="Find a table or column" placeholder="Find a table or column" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />
    ${full.length > 0 && html`<h2>With data</h2>${list(full)}`}
    ${empty.length > 0 && html`<details open=${fold !== "" || full.length === 0}><summary>Empty (${empty.length})</summary>${list(empty)}</details>`}
    ${matching.length === 0 && html`<p class="muted small">No table or column is called so.</p>`}
  `;
}
