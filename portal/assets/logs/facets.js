// The values of each column with their counts; a click puts a condition into the query.
import { html, useMemo, useState } from "/assets/vendor/preact.js";
import { show } from "/assets/logs/values.js";

const SHOWN = 8;
const MOST_DISTINCT = 2000;
/** Bookkeeping that every raw record carries: nobody narrows a search by it. */
const QUIET = new Set(["TenantId", "_BilledSize", "_IsBillable", "_SubscriptionId", "SourceSystem"]);
const TYPES = new Set(["string", "bool", "int", "long", "guid", "real"]);

/**
 * Columns with more than one record in some value, with their values by count.
 * @param {{columns: {name: string, type: string}[], rows: unknown[][]}} table
 */
export function facetsOf({ columns, rows }) {
  const found = [];
  columns.forEach((column, index) => {
    if (!TYPES.has(column.type) || QUIET.has(column.name)) return;
    /** @type {Map<unknown, number>} */
    const counts = new Map();
    for (const row of rows) {
      const value = row[index];
      counts.set(value, (counts.get(value) ?? 0) + 1);
      if (counts.size > MOST_DISTINCT) return;
    }
    const [only] = counts.keys();
    if (counts.size === 0 || (counts.size === 1 && (only === null || only === ""))) return;
    if (counts.size === rows.length && rows.length > SHOWN) return;
    if (column.type === "real" && counts.size > 20) return;
    found.push({ column, values: [...counts].sort((a, b) => b[1] - a[1]) });
  });
  // What divides the rows comes before what is the same in all of them.
  return found.sort((a, b) => Number(a.values.length === 1) - Number(b.values.length === 1));
}

function Facet({ facet, total, onFilter, open }) {
  const [all, setAll] = useState(false);
  const { column, values } = facet;
  return html`<details class="facet" open=${open}>
    <summary>${column.name} <span class="type">${values.length}</span></summary>
    <ul>
      ${values.slice(0, all ? 100 : SHOWN).map(([value, count]) => {
        const text = show(value, column) || "(empty)";
        return html`<li key=${text}>
          <button type="button" class="name" title=${`Only ${column.name} = ${text}`} onClick=${() => onFilter(column, value, false)}>
            <span>${text}</span><span class="type">${count.toLocaleString("en")}</span>
            <svg class="share" width="100%" height="3" aria-hidden="true"><rect width=${`${(100 * count) / total}%`} height="3" rx="1.5" /></svg>
          </button>
          <button type="button" class="not" aria-label=${`Without ${column.name} = ${text}`} title="Leave these out" onClick=${() => onFilter(column, value, true)}>≠</button>
        </li>`;
      })}
    </ul>
    ${values.length > SHOWN && html`<button type="button" class="quiet small" onClick=${() => setAll(!all)}>${all ? "Fewer" : `${Math.min(values.length, 100) - SHOWN} more`}</button>`}
  </details>`;
}

/**
 * @param {{table: any, onFilter: (column: any, value: unknown, negated: boolean) => void}} props
 */
export function Facets({ table, onFilter }) {
  const facets = useMemo(() => (table ? facetsOf(table) : []), [table]);
  if (!table || table.rows.length === 0) return html`<p class="muted small">Run a query: the values of its columns are counted here.</p>`;
  return html`<p class="muted small">Counted in the ${table.rows.length.toLocaleString("en")} rows of the answer.</p>
    ${facets.length === 0 && html`<p class="muted small">No column has values that repeat.</p>`}
    ${facets.map((facet, index) => html`<${Facet} key=${facet.column.name} facet=${facet} total=${table.rows.length} onFilter=${onFilter} open=${index < 4} />`)}`;
}
