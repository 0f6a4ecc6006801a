// The time range: presets that end now, a custom range, or whatever the query says.
import { html, useState } from "/assets/vendor/preact.js";
import { absolute, bounds, fromField, isLocal, nameOf, toField } from "/assets/logs/ranges.js";
import { Menu } from "/assets/logs/widgets.js";

function Custom({ span, onPick }) {
  const now = Date.now();
  const [from, to] = bounds(span, now) ?? [now - 3_600_000, now];
  const [fields, setFields] = useState({ from: toField(from), to: toField(to) });
  const start = fromField(fields.from);
  const end = fromField(fields.to);
  const wrong = Number.isNaN(start) || Number.isNaN(end) ? "Both ends are needed." : end <= start ? "The range ends before it starts." : "";
  const submit = (event) => {
    event.preventDefault();
    if (!wrong) onPick(absolute(start, end));
  };
  return html`<form class="custom" onSubmit=${submit}>
    <label>From <input type="datetime-local" step="1" value=${fields.from} onInput=${(event) => setFields({ ...fields, from: event.target.value })} /></label>
    <label>To <input type="datetime-local" step="1" value=${fields.to} onInput=${(event) => setFields({ ...fields, to: event.target.value })} /></label>
    <p class="muted small">${wrong || (isLocal() ? "In local time." : "In UTC.")}</p>
    <button type="submit" disabled=${wrong !== ""}>Apply</button>
  </form>`;
}

/**
 * @param {{span: string, presets: [string, string][], onPick: (span: string) => void}} props
 */
export function TimePicker({ span, presets, onPick }) {
  return html`<${Menu} className="time" title="Time range" label=${html`<span class="sr">Time range: </span>${nameOf(span, presets)}`}>
    ${(close) => {
      const pick = (value) => {
        close();
        onPick(value);
      };
      return html`<div class="times">
        <ul>
          ${presets.map(([value, name]) => html`<li key=${value}><button type="button" class="name" aria-pressed=${value === span} onClick=${() => pick(value)}>${name}</button></li>`)}
        </ul>
        <${Custom} span=${span} onPick=${pick} />
      </div>`;
    }}
  </${Menu}>`;
}
