// What every page does: the theme, local or UTC times, copy buttons, the session's token for writes.

/** The session's CSRF token; every write repeats it. */
export const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** The workspace that the page is about: its id. */
export const workspace = document.body.dataset.workspace ?? "";

/**
 * JSON to and from the service. Throws an Error whose `error` is the service's envelope.
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal, headers?: Record<string, string>}} [options]
 */
export async function call(path, options = {}) {
  const headers = { "x-csrf-token": csrf, ...options.headers };
  if (options.body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method: options.method ?? (options.body === undefined ? "GET" : "POST"),
    headers,
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
    signal: options.signal,
    credentials: "same-origin",
  });
  const text = await response.text();
  const data = text ? JSON.parse(text) : null;
  if (!response.ok) {
    const failure = new Error(data?.error?.message ?? `The service answered ${response.status}.`);
    failure.error = data?.error ?? {};
    failure.status = response.status;
    throw failure;
  }
  return data;
}

/** An instant as people read it, in local time or UTC as they chose. */
export function showTime(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  return localStorage.getItem("oms-zone") === "local"
    ? at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" })
    : text.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

const root = document.documentElement;
const saved = localStorage.getItem("oms-theme");
if (saved) root.dataset.theme = saved;

document.querySelector("#theme")?.addEventListener("click", () => {
  const dark = root.dataset.theme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("oms-theme", root.dataset.theme);
});

const zone = document.querySelector("#zone");
function showZone() {
  const local = localStorage.getItem("oms-zone") === "local";
  if (zone) zone.textContent = local ? "Local time" : "UTC";
  for (const time of document.querySelectorAll("time[datetime]")) time.textContent = showTime(time.dateTime);
}
zone?.addEventListener("click", () => {
  localStorage.setItem("oms-zone", localStorage.getItem("oms-zone") === "local" ? "utc" : "local");
  showZone();
  document.dispatchEvent(new CustomEvent("oms-zone"));
});
showZone();

document.querySelector("#workspaces")?.addEventListener("change", (event) => {
  const url = new URL(location.href);
  url.searchParams.set("workspace", event.target.value);
  location.assign(url);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy)?.textContent ?? "");
  button.textContent = "Copied";
});
