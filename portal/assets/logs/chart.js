// Charts from `render`: over time by uPlot, bars, pies and cards as plain SVG. The table beside them says the same in words.
import { html, useEffect, useMemo, useRef } from "/assets/vendor/preact.js";
import uPlot from "/assets/vendor/uplot.js";
import { isLocal, toField } from "/assets/logs/ranges.js";
import { byName, overTime } from "/assets/logs/series.js";
import { useAppearance, useWidth } from "/assets/logs/widgets.js";

const HEIGHT = 300;
const COLOURS = 10;

const css = (/** @type {string} */ name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const number = (/** @type {number} */ value) => value.toLocaleString("en", { maximumFractionDigits: 2 });

/** The axis of time: hours and minutes, the day where it changes, seconds where they matter. */
function clock(plot, ticks, _axis, _space, step) {
  let day = "";
  return ticks.map((at) => {
    const text = toField(at * 1000);
    const today = text.slice(0, 10);
    const time = step >= 86_400 ? "" : text.slice(11, step < 60 ? 19 : 16);
    const shown = today === day ? time : `${time}\n${today}`.trim();
    day = today;
    return shown;
  });
}

/** The axis of time: a bar is centred on its time and needs half a bar at both ends; a single instant needs minutes around it. */
function room(low, high, bars) {
  if (!(high > low)) return [low - 300, low + 300];
  const half = bars > 1 ? (high - low) / (2 * (bars - 1)) : 0;
  return [low - half, high + half];
}

function stacked(series) {
  const sums = [];
  return series.map(({ name, ys }) => ({ name, ys: ys.map((value, index) => (sums[index] = (sums[index] ?? 0) + (value ?? 0))) }));
}

function TimeChart({ table, render, onRange }) {
  const host = useRef(null);
  const width = useWidth(host);
  const turn = useAppearance();
  const { xs, series, dropped } = useMemo(() => overTime(table, render), [table, render]);
  useEffect(() => {
    if (!width) return undefined;
    const kind = render.visualization;
    const lines = kind === "stackedareachart" ? stacked(series).reverse() : series;
    const bars = kind === "columnchart" || kind === "barchart";
    const axis = { stroke: css("--muted"), grid: { stroke: css("--sunken") }, ticks: { stroke: css("--line") } };
    const plot = new uPlot(
      {
        width,
        height: HEIGHT,
        tzDate: isLocal() ? undefined : (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
        cursor: { drag: { x: true, y: false, setScale: false } },
        scales: { x: { time: true, range: () => room(xs[0], xs.at(-1), bars ? xs.length : 0) }, y: { range: (_plot, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
        axes: [{ ...axis, space: 70, values: clock }, { ...axis, size: 64, values: (_plot, ticks) => ticks.map((each) => Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(each)) }],
        series: [
          { value: (_plot, at) => (at === null ? "–" : toField(at * 1000).replace("T", " ")) },
          ...lines.map(({ name }, index) => {
            const colour = css(`--s${(kind === "stackedareachart" ? lines.length - 1 - index : index) % COLOURS}`);
            return {
              label: name,
              stroke: colour,
              width: kind === "scatterchart" ? 0 : 2,
              fill: kind.endsWith("areachart") ? `${colour}55` : bars ? `${colour}bb` : undefined,
              paths: bars ? uPlot.paths.bars({ size: [0.8, 60] }) : kind === "scatterchart" ? () => null : undefined,
              points: { show: kind === "scatterchart" || (!bars && xs.length < 40) },
              value: (_plot, value) => (value === null || value === undefined ? "–" : number(value)),
            };
          }),
        ],
        hooks: {
          setSelect: [
            (each) => {
              const { left, width: wide } = each.select;
              if (wide >= 4) onRange(each.posToVal(left, "x") * 1000, each.posToVal(left + wide, "x") * 1000);
            },
          ],
        },
      },
      [xs, ...lines.map(({ ys }) => ys)],
      host.current,
    );
    return () => plot.destroy();
  }, [width, xs, series, turn]);
  return html`<figure class="chart">
    <div ref=${host} class="plot" role="img" aria-label=${`${render.title || render.visualization}: ${series.length} series at ${xs.length} times. The tab Table lists the values.`}></div>
    ${dropped > 0 && html`<figcaption class="small muted">The ${series.length} largest of ${series.length + dropped} series; the table has them all.</figcaption>`}
  </figure>`;
}

function Bars({ table, render }) {
  const host = useRef(null);
  const width = useWidth(host);
  const { items, dropped, column } = useMemo(() => byName(table, render), [table, render]);
  const high = Math.max(...items.map(({ value }) => value), 0) || 1;
  const flat = render.visualization === "barchart" || items.length > 24 || items.some(({ name }) => name.length > 18);
  const label = `${column} of ${items.length} values. The tab Table lists them.`;
  const room = Math.min(220, width * 0.3);
  const step = width / Math.max(1, items.length);
  return html`<figure class="chart" ref=${host}>
    ${width > 0 &&
    (flat
      ? html`<svg width=${width} height=${items.length * 26} role="img" aria-label=${label}>
          ${items.map(({ name, value }, index) => html`<g key=${index} transform=${`translate(0 ${index * 26})`}>
            <title>${`${name}: ${number(value)}`}</title>
            <text class="label" x=${room - 8} y="17" text-anchor="end">${name.length > 30 ? `${name.slice(0, 29)}…` : name}</text>
            <rect class="mark" x=${room} y="4" height="18" rx="2" width=${Math.max(1, (Math.max(0, value) / high) * (width - room - 80))} />
            <text class="label" x=${room + (Math.max(0, value) / high) * (width - room - 80) + 6} y="17">${number(value)}</text>
          </g>`)}
        </svg>`
      : html`<svg width=${width} height=${HEIGHT} role="img" aria-label=${label}>
          ${items.map(({ name, value }, index) => {
            const tall = Math.max(1, (Math.max(0, value) / high) * (HEIGHT - 52));
            const wide = Math.min(72, step * 0.72);
            const middle = index * step + step / 2;
            return html`<g key=${index}>
              <title>${`${name}: ${number(value)}`}</title>
              <rect class="mark" x=${middle - wide / 2} y=${HEIGHT - 26 - tall} width=${wide} height=${tall} rx="2" />
              <text class="label" x=${middle} y=${HEIGHT - 32 - tall} text-anchor="middle">${number(value)}</text>
              <text class="label" x=${middle} y=${HEIGHT - 8} text-anchor="middle">${name.length * 7.2 > step ? `${name.slice(0, Math.max(1, Math.floor(step / 7.2) - 1))}…` : name}</text>
            </g>`;
          })}
        </svg>`)}
    ${dropped > 0 && html`<figcaption class="small muted">The first ${items.length} of ${items.length + dropped}; the table has them all.</figcaption>`}
  </figure>`;
}

function Pie({ table, render }) {
  const { items, column } = useMemo(() => byName(table, render), [table, render]);
  const positive = items.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  const few = positive.length > COLOURS ? [...positive.slice(0, COLOURS - 1), { name: "Others", value: positive.slice(COLOURS - 1).reduce((sum, each) => sum + each.value, 0) }] : positive;
  const total = few.reduce((sum, each) => sum + each.value, 0) || 1;
  const round = 2 * Math.PI * 80;
  let gone = 0;
  return html`<figure class="chart pie">
    <svg width="220" height="220" viewBox="-110 -110 220 220" role="img" aria-label=${`${column} by share. The list beside says the numbers.`}>
      ${few.map(({ name, value }, index) => {
        const part = (value / total) * round;
        const from = gone;
        gone += part;
        return html`<circle key=${name} r="80" class=${`slice s${index}`} stroke-dasharray=${`${Math.max(0.5, part - 1)} ${round - part + 1}`} stroke-dashoffset=${-from} transform="rotate(-90)"><title>${`${name}: ${number(value)}`}</title></circle>`;
      })}
      <text class="total" text-anchor="middle" y="6">${number(total)}</text>
    </svg>
    <ul>${few.map(({ name, value }, index) => html`<li key=${name}><svg width="12" height="12" aria-hidden="true"><rect class=${`swatch s${index}`} width="12" height="12" rx="3" /></svg> ${name} <strong>${number(value)}</strong> <span class="muted">${((100 * value) / total).toFixed(1)} %</span></li>`)}</ul>
  </figure>`;
}

function Card({ table, render }) {
  const { items, column } = byName({ ...table, rows: table.rows.slice(0, 1) }, render);
  return html`<figure class="chart card"><div class="number">${items.length ? number(items[0].value) : "–"}</div><figcaption class="muted">${render.title || column}</figcaption></figure>`;
}

/** @param {{kind: string, table: any, render: any, onRange: (from: number, to: number) => void}} props */
export function Chart({ kind, table, render, onRange }) {
  if (table.rows.length === 0) return html`<p class="muted nothing">No record matches. A wider time range may hold some.</p>`;
  const part = { time: TimeChart, columns: Bars, bars: Bars, pie: Pie, card: Card }[kind];
  return html`${render.title && kind !== "card" && html`<h2>${render.title}</h2>`}<${part} table=${table} render=${render} onRange=${onRange} />`;
}
