// How the answer's records spread over time; dragging over it sets the time range.
import { html, useMemo, useRef, useState } from "/assets/vendor/preact.js";
import { showTime } from "/assets/page.js";
import { bounds } from "/assets/logs/ranges.js";
import { useWidth } from "/assets/logs/widgets.js";

const HEIGHT = 64;
const STEPS = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map((each) => each * 1000);

/**
 * Counts over equal steps of time.
 * @param {number[]} times milliseconds
 * @param {[number, number] | null} range
 * @param {number} most
 */
export function buckets(times, range, most) {
  let from = range?.[0] ?? Infinity;
  let to = range?.[1] ?? -Infinity;
  if (!range) {
    for (const each of times) {
      if (each < from) from = each;
      if (each > to) to = each;
    }
  }
  if (!(to > from)) to = from + 1000;
  const step = STEPS.find((each) => (to - from) / each <= most) ?? Math.ceil((to - from) / most);
  const start = Math.floor(from / step) * step;
  const counts = new Array(Math.max(1, Math.ceil((to - start + 1) / step))).fill(0);
  for (const each of times) {
    const index = Math.floor((each - start) / step);
    if (index >= 0 && index < counts.length) counts[index] += 1;
  }
  return { start, step, counts };
}

/**
 * @param {{table: any, span: string, at: number, onRange: (from: number, to: number) => void}} props
 */
export function Histogram({ table, span, at, onRange }) {
  const host = useRef(null);
  const width = useWidth(host);
  const [brush, setBrush] = useState(/** @type {[number, number] | null} */ (null));
  const column = table.columns.findIndex((each) => each.name === "TimeGenerated" && each.type === "datetime");
  const times = useMemo(() => table.rows.map((row) => Date.parse(row[column])).filter((each) => !Number.isNaN(each)), [table]);
  const { start, step, counts } = useMemo(() => buckets(times, bounds(span, at), Math.max(20, Math.min(120, Math.floor(width / 8)))), [times, span, at, width]);
  const highest = Math.max(1, ...counts);
  const bar = width / counts.length;
  const timeAt = (x) => start + (x / width) * step * counts.length;
  const place = (event) => Math.max(0, Math.min(width, event.clientX - host.current.getBoundingClientRect().left));
  const down = (event) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setBrush([place(event), place(event)]);
  };
  const moved = (event) => brush && setBrush([brush[0], place(event)]);
  const up = () => {
    if (!brush) return;
    const [from, to] = [Math.min(...brush), Math.max(...brush)];
    setBrush(null);
    if (to - from >= 4) onRange(timeAt(from), timeAt(to));
  };
  const label = (index) => showTime(new Date(start + index * step).toISOString());
  return html`<figure class="histogram" ref=${host}>
    ${width > 0 &&
    html`<svg width=${width} height=${HEIGHT} role="img" aria-label=${`${times.length} records from ${label(0)} to ${label(counts.length)}, at most ${highest} in ${step / 1000} s`}
      onPointerDown=${down} onPointerMove=${moved} onPointerUp=${up} onPointerCancel=${() => setBrush(null)}>
      ${counts.map((count, index) => {
        const height = count ? Math.max(2, (count / highest) * (HEIGHT - 4)) : 0;
        return html`<g key=${index}><title>${`${label(index)}: ${count}`}</title>
          <rect class="slot" x=${index * bar} y="0" width=${bar} height=${HEIGHT} />
          <rect class="count" x=${index * bar + 0.5} y=${HEIGHT - height} width=${Math.max(1, bar - 1)} height=${height} /></g>`;
      })}
      ${brush && html`<rect class="brush" x=${Math.min(...brush)} y="0" width=${Math.abs(brush[1] - brush[0])} height=${HEIGHT} />`}
    </svg>
    <figcaption class="small muted"><span>${label(0)}</span><span>drag to zoom</span><span>${label(counts.length)}</span></figcaption>`}
  </figure>`;
}
