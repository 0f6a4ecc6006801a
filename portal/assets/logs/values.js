// Values as people read them, and results as CSV.
import { showTime } from "/assets/page.js";

/** @typedef {{name: string, type: string}} Column */

const NUMBERS = new Set(["int", "long", "real", "decimal"]);

/** @param {Column} column */
export const isNumber = (column) => NUMBERS.has(column.type);

/**
 * @param {unknown} value
 * @param {Column} column
 */
export function show(value, column) {
  if (value === null || value === undefined) return "";
  if (column.type === "datetime") return showTime(String(value));
  if (column.type === "real" && typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(8)));
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

/** A value in full: dynamic ones laid out over lines. @param {unknown} value @param {Column} column */
export function showWhole(value, column) {
  if (column.type !== "dynamic" || value === null) return show(value, column);
  try {
    return JSON.stringify(typeof value === "string" ? JSON.parse(value) : value, null, 2);
  } catch {
    return String(value);
  }
}

/**
 * How two values of a column follow one another; absent ones come last.
 * @param {Column} column
 */
export function comparison(column) {
  const numeric = isNumber(column);
  const collator = new Intl.Collator(undefined, { numeric: true });
  return (/** @type {unknown} */ a, /** @type {unknown} */ b) => {
    const missing = Number(a === null || a === "") - Number(b === null || b === "");
    if (missing || a === null) return missing;
    if (numeric) return Number(a) - Number(b);
    if (column.type === "datetime") return a < b ? -1 : a > b ? 1 : 0;
    return collator.compare(String(a), String(b));
  };
}

/** @param {unknown} value */
function field(value) {
  const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/**
 * RFC 4180, values as the service gave them (times in UTC).
 * @param {Column[]} columns
 * @param {unknown[][]} rows
 */
export function csv(columns, rows) {
  const lines = [columns.map((column) => field(column.name)).join(",")];
  for (const row of rows) lines.push(row.map(field).join(","));
  return lines.join("\r\n") + "\r\n";
}

/** @param {string} name @param {string} text @param {string} type */
export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
