// The Logs page: one query, its answer, and everything that changes either. The URL is the state.
import { html, render, useCallback, useEffect, useRef, useState } from "/assets/vendor/preact.js";
import { ask, parseExact } from "/assets/logs/api.js";
import { Editor } from "/assets/logs/editor.js";
import { Facets } from "/assets/logs/facets.js";
import { condition, laidOut, newest, sourceTable, stringLiteral, withFilter } from "/assets/logs/query_text.js";
import { absolute } from "/assets/logs/ranges.js";
import { Results } from "/assets/logs/results.js";
import { Queries, history, remember } from "/assets/logs/saved.js";
import { Schema } from "/assets/logs/schema.js";
import { chartOf } from "/assets/logs/series.js";
import { Share, linkTo } from "/assets/logs/share.js";
import { TAIL_ROWS, useTail } from "/assets/logs/tail.js";
import { TimePicker } from "/assets/logs/time_picker.js";
import { Tabs, useAppearance } from "/assets/logs/widgets.js";

const given = parseExact(document.querySelector("#logs-state").textContent);
const AROUND = 5 * 60_000;

/** @param {{text: string, failure: any}} props */
function Failure({ text, failure }) {
  const { error = {} } = failure;
  const line = error.line ? (text.split("\n")[error.line - 1] ?? "") : "";
  const lead = line.slice(0, error.pos ?? 0).replace(/[^\t]/g, " ");
  return html`<section class="notice bad" role="alert">
    <strong>${error.outer ?? error.code ?? "Error"}</strong> ${failure.message}${failure.retryAfter && ` Try again in ${failure.retryAfter} s.`}
    ${line && html`<pre class="place">${`${line}\n${lead}${"^".repeat(Math.max(1, (error.token ?? "").length))}`}</pre>`}
  </section>`;
}

function Logs() {
  const [text, setText] = useState(given.query);
  const [span, setSpan] = useState(given.span);
  const [answer, setAnswer] = useState(null);
  const [failure, setFailure] = useState(null);
  const [running, setRunning] = useState(false);
  const [side, setSide] = useState("tables");
  const [tail, setTail] = useState(given.tail);
  const [reading, setReading] = useState(false);
  const [view, setView] = useState(new URL(location.href).searchParams.get("view") ?? "");
  const [entries, setEntries] = useState(history);
  const abort = useRef(/** @type {AbortController | null} */ (null));
  const editor = useRef(/** @type {any} */ (null));
  useAppearance();

  const accept = (found, query, range, started) => {
    const table = found.tables[0];
    setFailure(null);
    setAnswer({ answer: found, table, query, span: range, at: Date.now(), seconds: started ? (performance.now() - started) / 1000 : null });
    remember({ query, span: range, at: new Date().toISOString(), rows: table?.rows.length ?? 0 });
    setEntries(history());
  };

  const run = useCallback(async (query, range, { quiet = false } = {}) => {
    if (!query.trim()) return editor.current?.focus();
    abort.current?.abort();
    const mine = new AbortController();
    abort.current = mine;
    if (!quiet) {
      setRunning(true);
      setReading(false);
      window.history.replaceState(null, "", linkTo({ query, span: range, run: true, tail: tailing.current, view: viewing.current }));
    }
    const started = performance.now();
    try {
      accept(await ask(query, range, mine.signal), query, range, started);
    } catch (problem) {
      if (mine.signal.aborted) return undefined;
      if (problem.status === 401) return location.assign(`/signin?to=${encodeURIComponent(location.pathname + location.search)}`);
      setFailure({ failure: problem, text: query });
      setTail(false);
    } finally {
      if (abort.current === mine) setRunning(false);
    }
    return undefined;
  }, []);
  const tailing = useRef(tail);
  tailing.current = tail;
  const viewing = useRef(view);
  viewing.current = view;

  const cancel = () => {
    abort.current?.abort();
    setRunning(false);
  };
  const open = (query, range) => {
    editor.current.set(query);
    setSpan(range);
    return run(query, range);
  };
  const pick = (range) => {
    setSpan(range);
    if (answer || failure) run(text, range);
  };
  const filter = (column, value, negated) => open(withFilter(text, condition(column, value, negated)), span);
  const zoom = (from, to) => pick(absolute(from, to));
  const around = (row) => {
    const { columns } = answer.table;
    const value = (name) => row[columns.findIndex((column) => column.name === name)];
    const at = Date.parse(value("TimeGenerated"));
    const table = value("Type") || sourceTable(answer.query);
    const machine = value("Computer") ? `\n| where Computer == ${stringLiteral(value("Computer"))}` : "";
    open(`${table || "search *"}${machine}\n| sort by TimeGenerated asc`, absolute(at - AROUND, at + AROUND));
  };

  useEffect(() => {
    if (!given.run || !given.query.trim()) return editor.current?.focus();
    if (given.answer) accept(given.answer, given.query, given.span, 0);
    else run(given.query, given.span);
    return undefined;
  }, []);
  useEffect(() => {
    if (answer) window.history.replaceState(null, "", linkTo({ query: answer.query, span: answer.span, run: true, tail, view }));
  }, [tail, view]);

  const records = answer?.table.columns.some((column) => column.name === "TimeGenerated") && !chartOf(answer.answer.render, answer.table).kind;
  useTail(tail && !!answer, reading, async () => {
    const query = answer.query;
    try {
      const found = await ask(records ? newest(query, TAIL_ROWS) : query, answer.span);
      setAnswer((before) => (before?.query === query ? { ...before, answer: { ...found, render: before.answer.render }, table: found.tables[0], at: Date.now() } : before));
    } catch (problem) {
      setTail(false);
      setFailure({ failure: problem, text: query });
    }
  });

  return html`<div class="logs">
    <aside class="side panel" aria-label="Tables, facets and queries">
      <${Tabs} id="side" label="Aids" current=${side} onSelect=${setSide} tabs=${[["tables", "Tables"], ["facets", "Facets"], ["queries", "Queries"]]} />
      <div class="side-body" role="tabpanel" id="side-panel" aria-labelledby=${`side-${side}`} tabindex="0">
        <div hidden=${side !== "tables"}><${Schema} onInsert=${(name) => editor.current.insert(name)} onQuery=${(table) => open(`${table}\n| top 100 by TimeGenerated`, span)} /></div>
        ${side === "facets" && html`<${Facets} table=${answer?.table} onFilter=${filter} />`}
        ${side === "queries" && html`<${Queries} examples=${given.examples} entries=${entries} onOpen=${open} onForget=${() => (localStorage.removeItem("oms-logs-history"), setEntries([]))} />`}
      </div>
    </aside>
    <div class="work">
      <section class="panel ask" aria-label="Query">
        <div class="tools">
          ${running
            ? html`<button type="button" onClick=${cancel}>Cancel</button>`
            : html`<button type="button" class="primary" title="Shift+Enter" onClick=${() => run(text, span)}>Run</button>`}
          <${TimePicker} span=${span} presets=${given.spans} onPick=${pick} />
          <button type="button" class="tail" aria-pressed=${tail} disabled=${!answer} title="Ask again every three seconds" onClick=${() => setTail(!tail)}><span class="dot" aria-hidden="true"></span>Live tail</button>
          ${tail && reading && html`<span class="badge warn" role="status">paused while you read: back to the top goes on</span>`}
          <span class="space"></span>
          <button type="button" title="Each operator on its own line" onClick=${() => editor.current.set(laidOut(text))}>Format</button>
          <span class="small muted keys"><kbd>Shift</kbd>+<kbd>Enter</kbd> runs</span>
          <${Share} query=${text} span=${span} ranAt=${answer?.at} url=${given.url} />
        </div>
        <${Editor} text=${given.query} onText=${setText} onRun=${() => run(editor.current.text(), span)} api=${editor} />
      </section>
      ${failure && html`<${Failure} text=${failure.text} failure=${failure.failure} />`}
      ${answer && html`<${Results} found=${answer} view=${view} onView=${setView} running=${running} onFilter=${filter} onAround=${around} onZoom=${zoom} onBusy=${setReading} />`}
      ${!answer && !failure && html`<p class="muted nothing">${running ? "Asking…" : "Write a query, take one of the examples under Queries, or double click a table."}</p>`}
    </div>
  </div>`;
}

const root = document.querySelector("#logs");
root.replaceChildren();
render(html`<${Logs} />`, root);
