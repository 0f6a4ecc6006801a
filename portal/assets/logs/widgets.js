// Small parts that several modules use: menus, tabs, the width of an element.
import { html, useEffect, useRef, useState } from "/assets/vendor/preact.js";

/**
 * A button that opens a panel. Escape and a click elsewhere close it; the focus goes back to the button.
 * @param {{label: any, title?: string, className?: string, children: any, align?: string}} props
 */
export function Menu({ label, title, className = "", children, align = "left" }) {
  const [open, setOpen] = useState(false);
  const root = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event) => root.current?.contains(event.target) || setOpen(false);
    const escape = (event) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      root.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  return html`<div class="menu ${className}" ref=${root}>
    <button type="button" title=${title} aria-expanded=${open} onClick=${() => setOpen(!open)}>${label} <span aria-hidden="true">▾</span></button>
    ${open && html`<div class="menu-panel ${align}">${typeof children === "function" ? children(close) : children}</div>`}
  </div>`;
}

/**
 * @param {{label: string, tabs: [string, any][], current: string, onSelect: (name: string) => void, id: string}} props
 */
export function Tabs({ label, tabs, current, onSelect, id }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = tabs.findIndex(([name]) => name === current);
    const [next] = tabs[(index + step + tabs.length) % tabs.length];
    onSelect(next);
    document.getElementById(`${id}-${next}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
    ${tabs.map(
      ([name, title]) => html`<button key=${name} id=${`${id}-${name}`} type="button" role="tab" aria-selected=${name === current}
        aria-controls=${`${id}-panel`} tabindex=${name === current ? 0 : -1} onClick=${() => onSelect(name)}>${title}</button>`,
    )}
  </div>`;
}

/** The width of an element, as it changes. @param {{current: Element | null}} ref */
export function useWidth(ref) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** Renders again when the page's time zone or theme changes; tells how often that was. */
export function useAppearance() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const again = () => setTurn((before) => before + 1);
    document.addEventListener("oms-zone", again);
    const observer = new MutationObserver(again);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", again);
    return () => {
      document.removeEventListener("oms-zone", again);
      observer.disconnect();
      scheme.removeEventListener("change", again);
    };
  }, []);
  return turn;
}

/** @param {string} text */
export async function copy(text) {
  await navigator.clipboard.writeText(text);
}

/** A button that copies, and says that it did. */
export function CopyButton({ text, children }) {
  const [done, setDone] = useState(false);
  const click = async () => {
    await copy(typeof text === "function" ? text() : text);
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return html`<button type="button" onClick=${click}>${done ? "Copied" : children}</button>`;
}
