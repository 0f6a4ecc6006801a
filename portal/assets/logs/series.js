// From an answer's table to what a chart draws, by the rules of `render`: the first datetime or the first column is x.
import { isNumber, show } from "/assets/logs/values.js";

const MOST_SERIES = 24;
const MOST_BARS = 60;

/** What `render` may ask for, and how we draw it. */
export const CHARTS = {
  timechart: "time", linechart: "time", areachart: "time", stackedareachart: "time", scatterchart: "time",
  columnchart: "columns", barchart: "bars", piechart: "pie", card: "card",
};

/**
 * @param {any} render the answer's `render`
 * @param {any} table
 * @returns {{kind: string, problem?: string}}
 */
export function chartOf(render, table) {
  const wanted = render?.visualization;
  if (!wanted || wanted === "table") return { kind: "" };
  let kind = CHARTS[wanted];
  if (!kind) return { kind: "", problem: `The chart '${wanted}' is not drawn here: the rows are shown.` };
  if (!table.columns.some(isNumber)) return { kind: "", problem: `A ${wanted} needs a column of numbers: the rows are shown.` };
  const instant = table.columns.some((column) => column.type === "datetime");
  if (kind === "time" && !instant) kind = "columns";
  if (kind === "columns" && table.columns[xOf(table, render)]?.type === "datetime") kind = "time";
  return { kind };
}

function xOf(table, render) {
  const named = render?.xcolumn ? table.columns.findIndex((column) => column.name === render.xcolumn) : -1;
  if (named >= 0) return named;
  const wantsTime = CHARTS[render?.visualization] === "time";
  const instant = table.columns.findIndex((column) => column.type === "datetime");
  return wantsTime && instant >= 0 ? instant : 0;
}

/**
 * Aligned series over time: `x` in seconds, each series with a number or null at each x.
 * @param {any} table
 * @param {any} render
 */
export function overTime(table, render) {
  const x = xOf(table, render);
  const labels = table.columns.map((column, index) => ({ column, index })).filter(({ column, index }) => index !== x && !isNumber(column) && column.type !== "datetime" && column.type !== "dynamic");
  const numbers = table.columns.map((column, index) => ({ column, index })).filter(({ column, index }) => index !== x && isNumber(column));
  /** @type {Map<string, Map<number, number | null>>} */
  const series = new Map();
  const instants = new Set();
  for (const row of table.rows) {
    const at = Date.parse(row[x]) / 1000;
    if (Number.isNaN(at)) continue;
    instants.add(at);
    const label = labels.map(({ column, index }) => show(row[index], column) || "(empty)").join(", ");
    for (const { column, index } of numbers) {
      const name = label ? (numbers.length > 1 ? `${label}: ${column.name}` : label) : column.name;
      if (!series.has(name)) series.set(name, new Map());
      series.get(name).set(at, row[index] === null ? null : Number(row[index]));
    }
  }
  const xs = [...instants].sort((a, b) => a - b);
  const weight = (points) => [...points.values()].reduce((sum, value) => sum + Math.abs(value ?? 0), 0);
  const ranked = [...series].map(([name, points]) => ({ name, points, weight: weight(points) })).sort((a, b) => b.weight - a.weight);
  const kept = new Set(ranked.slice(0, MOST_SERIES).map(({ name }) => name));
  return {
    xs,
    // By name, so that a machine keeps its colour from one answer to the next.
    series: [...series].filter(([name]) => kept.has(name)).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })).map(([name, points]) => ({ name, ys: xs.map((at) => points.get(at) ?? null) })),
    dropped: series.size - kept.size,
  };
}

/** Name and number, for bars and pies. @param {any} table @param {any} render */
export function byName(table, render) {
  const number = table.columns.findIndex(isNumber);
  const x = xOf(table, render);
  const label = x === number ? table.columns.findIndex((_column, index) => index !== number) : x;
  const all = table.rows.map((row, index) => ({ name: label < 0 ? String(index + 1) : show(row[label], table.columns[label]) || "(empty)", value: Number(row[number] ?? 0) }));
  return { items: all.slice(0, MOST_BARS), dropped: Math.max(0, all.length - MOST_BARS), column: table.columns[number].name };
}
