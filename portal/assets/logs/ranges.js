// Time ranges: ISO 8601 durations that end now, absolute intervals, or whatever the query itself says.

const DURATION = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** A duration in milliseconds, null where the text is none. @param {string} text */
export function milliseconds(text) {
  const found = DURATION.exec(text);
  if (!found) return null;
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = found.map(Number).map((each) => each || 0);
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}

/**
 * From and to, in milliseconds since 1970; null where the range is the query's own.
 * @param {string} span
 * @param {number} now
 * @returns {[number, number] | null}
 */
export function bounds(span, now) {
  if (!span) return null;
  if (span.includes("/")) {
    const [from, to] = span.split("/").map((each) => Date.parse(each));
    return Number.isNaN(from) || Number.isNaN(to) ? null : [from, to];
  }
  const length = milliseconds(span);
  return length === null ? null : [now - length, now];
}

/** @param {number} from @param {number} to */
export function absolute(from, to) {
  return `${new Date(from).toISOString()}/${new Date(to).toISOString()}`;
}

export const isLocal = () => localStorage.getItem("oms-zone") === "local";

/** An instant as `datetime-local` inputs hold it, in the zone that the page shows. @param {number} at */
export function toField(at) {
  const shifted = isLocal() ? at - new Date(at).getTimezoneOffset() * 60_000 : at;
  return new Date(shifted).toISOString().slice(0, 19);
}

/** @param {string} text */
export function fromField(text) {
  return Date.parse(isLocal() ? text : `${text}Z`);
}

/**
 * What a range is called on its button.
 * @param {string} span
 * @param {[string, string][]} presets
 */
export function nameOf(span, presets) {
  const preset = presets.find(([value]) => value === span);
  if (preset) return preset[1];
  const range = bounds(span, 0);
  if (!range || !span.includes("/")) return span;
  const [from, to] = range.map((each) => toField(each).replace("T", " "));
  return `${from} – ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}${isLocal() ? "" : " UTC"}`;
}
