// What the page asks of the service.
import { call, csrf, workspace } from "/assets/page.js";

/** @typedef {{name: string, columns: {name: string, type: string}[], rows: unknown[][]}} Table */
/** @typedef {{tables: Table[], statistics?: any, render?: any, error?: any}} Answer */

/** The innermost of nested errors says most. @param {any} error */
export function innermost(error) {
  let found = error ?? {};
  while (found.innererror) found = { ...found.innererror, outer: found.code };
  return found;
}

/**
 * JSON whose integers beyond 2^53 stay as written, as text: a rounded id is a wrong id.
 * @param {string} text
 */
export function parseExact(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "") ? context.source : value,
  );
}

/**
 * Ask the Logs Query API. Throws an Error with `error` (its envelope's innermost) and `status`.
 * @param {string} query
 * @param {string} span
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export async function ask(query, span, signal) {
  const response = await fetch(`/v1/workspaces/${workspace}/query`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-csrf-token": csrf,
      prefer: "wait=600,include-statistics=true,include-render=true",
    },
    body: JSON.stringify({ query, timespan: span || undefined }),
    signal,
    credentials: "same-origin",
  });
  const text = await response.text();
  if (response.ok) return parseExact(text);
  let envelope = {};
  try {
    envelope = JSON.parse(text).error ?? {};
  } catch {
    envelope = { message: `The service answered ${response.status}.` };
  }
  const inner = innermost(envelope);
  const failure = /** @type {any} */ (new Error(inner.message ?? `The service answered ${response.status}.`));
  failure.error = inner;
  failure.status = response.status;
  failure.retryAfter = response.headers.get("retry-after");
  throw failure;
}

const at = (/** @type {string} */ name) => `/portal/api/logs/${name}?workspace=${encodeURIComponent(workspace)}`;

export const schema = () => call(at("schema"));
export const columnsOf = (/** @type {string} */ table) => call(`${at("schema")}&table=${encodeURIComponent(table)}`);
export const complete = (/** @type {string} */ text, /** @type {number} */ offset) => call(at("complete"), { body: { text, offset } });
export const diagnose = (/** @type {string} */ text) => call(at("diagnose"), { body: { text } });
export const help = (/** @type {string} */ name) => call(`${at("help")}&name=${encodeURIComponent(name)}`);
