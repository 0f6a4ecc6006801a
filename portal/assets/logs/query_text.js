// Queries as text: where their pipes are, and how a click in the results becomes a `where` in the query.

/** @typedef {{name: string, type: string}} Column */

// Comments and literals hold pipes that are none. The order matters: the longest form first.
const PIECE =
  /\/\/[^\n]*|[hH]?@"(?:[^"]|"")*"|[hH]?@'(?:[^']|'')*'|```[^]*?```|~~~[^]*?~~~|[hH]?"(?:[^"\\\n]|\\.)*"|[hH]?'(?:[^'\\\n]|\\.)*'|[([{]|[)\]}]|[|;]|[^]/gy;

const AFTER_FILTERS = new Set(["sort", "order", "top", "take", "limit", "render"]);

/**
 * The last statement: where it starts and ends, and its pipes outside brackets, strings and comments.
 * @param {string} text
 */
export function outline(text) {
  let depth = 0;
  let current = { start: 0, end: text.length, pipes: /** @type {number[]} */ ([]) };
  let last = current;
  PIECE.lastIndex = 0;
  for (let found = PIECE.exec(text); found; found = PIECE.exec(text)) {
    const piece = found[0];
    if (piece === "(" || piece === "[" || piece === "{") depth += 1;
    else if (piece === ")" || piece === "]" || piece === "}") depth -= 1;
    else if (piece === "|" && depth === 0) current.pipes.push(found.index);
    else if (piece === ";" && depth === 0) {
      current.end = found.index;
      last = current;
      current = { start: found.index + 1, end: text.length, pipes: [] };
    }
  }
  return text.slice(current.start).replace(/\/\/[^\n]*/g, "").trim() ? current : last;
}

/** The place of the last statement's final operators that only order, limit or draw what is there. */
function placeOfFilters(text) {
  const { end, pipes } = outline(text);
  let place = end;
  for (let index = pipes.length - 1; index >= 0; index -= 1) {
    const word = /^\|\s*([\w-]+)/.exec(text.slice(pipes[index]))?.[1] ?? "";
    if (!AFTER_FILTERS.has(word)) break;
    place = pipes[index];
  }
  return { place, end };
}

/**
 * The query with one more condition: before its final sort, top, take and render, so that they apply to what is left.
 * @param {string} text
 * @param {string} condition
 */
export function withFilter(text, condition) {
  const line = `| where ${condition}`;
  if (text.slice(outline(text).start).split("\n").some((each) => each.trim() === line)) return text;
  const { place } = placeOfFilters(text);
  const before = text.slice(0, place).trimEnd();
  const after = text.slice(place).trimStart();
  return `${before}\n${line}${after ? (after.startsWith(";") ? "" : "\n") + after : ""}`;
}

/**
 * The query's rows, newest first and at most `count`: what a live tail asks.
 * @param {string} text
 * @param {number} count
 */
export function newest(text, count) {
  const { place } = placeOfFilters(text);
  return `${text.slice(0, place).trimEnd()}\n| top ${count} by TimeGenerated desc`;
}

/**
 * The query laid out: each operator on its own line, those inside brackets indented. Nothing but white space changes.
 * @param {string} text
 */
export function laidOut(text) {
  let depth = 0;
  let out = "";
  let fresh = true;
  PIECE.lastIndex = 0;
  for (let found = PIECE.exec(text); found; found = PIECE.exec(text)) {
    const piece = found[0];
    if (piece === ")" || piece === "]" || piece === "}") depth = Math.max(0, depth - 1);
    if (piece === "|") {
      out = `${out.trimEnd()}\n${"    ".repeat(depth)}| `;
      fresh = true;
    } else if (piece === ";" && depth === 0) {
      out = `${out.trimEnd()};\n`;
      fresh = true;
    } else if (!(fresh && /^\s$/.test(piece))) {
      out += piece;
      fresh = false;
    }
    if (piece === "(" || piece === "[" || piece === "{") depth += 1;
  }
  return out.trim();
}

/** The table that the last statement starts from, '' where it starts from something else. */
export function sourceTable(text) {
  const { start, end, pipes } = outline(text);
  const source = text.slice(start, pipes[0] ?? end).replace(/\/\/[^\n]*/g, "").trim();
  return /^[A-Za-z_]\w*$/.test(source) ? source : "";
}

/** @param {string} name */
export function columnName(name) {
  return /^[A-Za-z_]\w*$/.test(name) ? name : `['${name.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}']`;
}

/** @param {string} text */
export function stringLiteral(text) {
  const escaped = text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t");
  return `"${escaped}"`;
}

/**
 * The condition that a column holds (or does not hold) a value, in KQL.
 * @param {Column} column
 * @param {unknown} value
 * @param {boolean} [negated]
 */
export function condition(column, value, negated = false) {
  const name = columnName(column.name);
  const sign = negated ? "!=" : "==";
  if (column.type === "string") {
    if (value === "" || value === null) return `${negated ? "isnotempty" : "isempty"}(${name})`;
    return `${name} ${sign} ${stringLiteral(String(value))}`;
  }
  if (value === null || value === undefined) return `${negated ? "isnotnull" : "isnull"}(${name})`;
  switch (column.type) {
    case "datetime":
    case "timespan":
    case "guid":
    case "decimal":
      return `${name} ${sign} ${column.type}(${value})`;
    case "dynamic":
      return `tostring(${name}) ${sign} ${stringLiteral(typeof value === "string" ? value : JSON.stringify(value))}`;
    default:
      return `${name} ${sign} ${value}`;
  }
}
