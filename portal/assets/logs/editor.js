// The query editor: CodeMirror, with completions, errors and help from the service's own parser.
import {
  EditorState, EditorView, autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap, defaultKeymap, drawSelection,
  highlightSelectionMatches, highlightSpecialChars, history, historyKeymap, hoverTooltip, keymap, lineNumbers, linter, lintKeymap, placeholder,
  Prec, searchKeymap, toggleComment, tooltips,
} from "/assets/vendor/codemirror.js";
import { html, useEffect, useRef } from "/assets/vendor/preact.js";
import { complete, diagnose, help } from "/assets/logs/api.js";
import { kql } from "/assets/logs/kql_mode.js";

const nonce = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="nonce"]'))?.content ?? "";

async function completions(context) {
  const text = context.state.doc.toString();
  const before = context.state.sliceDoc(Math.max(0, context.pos - 2), context.pos);
  if (!context.explicit && !/[\w|.("$]\s?$/.test(before)) return null;
  const answer = await complete(text, context.pos);
  if (context.aborted || !answer.items.length) return null;
  return {
    from: answer.from,
    filter: true,
    validFor: /^[\w-]*$/,
    options: answer.items.map((item, index) => ({
      label: item.label,
      apply: item.insert ?? item.label,
      detail: item.detail || undefined,
      info: item.info || undefined,
      type: item.kind,
      // The service's order holds where the match is equally good.
      boost: Math.max(-99, 50 - index / 4),
    })),
  };
}

async function errors(view) {
  const text = view.state.doc.toString();
  if (!text.trim()) return [];
  const { diagnostics } = await diagnose(text);
  const size = view.state.doc.length;
  return diagnostics.map((found) => {
    const from = Math.min(found.from, size);
    const to = Math.min(Math.max(found.to, from), size);
    return {
      // An error at the end is shown under what comes before it: there is nothing else to underline.
      from: from === to ? Math.max(0, from - 1) : from,
      to,
      severity: found.severity,
      message: found.message,
      actions: found.suggestion
        ? [{ name: `Replace with ${found.suggestion}`, apply: (each, start, end) => each.dispatch({ changes: { from: start, to: end, insert: found.suggestion } }) }]
        : [],
    };
  });
}

const known = new Map();

const signatures = hoverTooltip(async (view, place) => {
  const line = view.state.doc.lineAt(place);
  const word = [...line.text.matchAll(/[A-Za-z_][\w-]*/g)].find((each) => line.from + each.index <= place && place <= line.from + each.index + each[0].length);
  if (!word) return null;
  const call = /^\s*\(/.test(line.text.slice(word.index + word[0].length));
  if (!call && !/(^|\|)\s*$/.test(line.text.slice(0, word.index))) return null;
  const name = word[0];
  if (!known.has(name)) known.set(name, await help(name).catch(() => null));
  const found = known.get(name);
  if (!found?.signature) return null;
  return {
    pos: line.from + word.index,
    end: line.from + word.index + name.length,
    above: true,
    create() {
      const dom = document.createElement("div");
      dom.className = "signature";
      const title = document.createElement("code");
      title.textContent = found.signature;
      const text = document.createElement("p");
      text.textContent = found.summary;
      dom.append(title, text);
      return { dom };
    },
  };
});

const look = EditorView.theme({
  "&": { backgroundColor: "var(--panel)", color: "var(--text)", fontSize: "14px" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--text)", padding: "8px 0" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--muted)", border: "none" },
  "&.cm-focused": { outline: "none" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-selectionMatch": { backgroundColor: "var(--sunken)" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "6px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "16em" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { opacity: "1", fontStyle: "normal", marginLeft: "1.5em" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
});

/**
 * @param {{text: string, onText: (text: string) => void, onRun: () => void, api: {current: any}}} props
 * `api.current` gets `set(text)`, `insert(text)` and `focus()`.
 */
export function Editor({ text, onText, onRun, api }) {
  const host = useRef(null);
  const handlers = useRef({ onText, onRun });
  handlers.current = { onText, onRun };
  useEffect(() => {
    const run = () => (handlers.current.onRun(), true);
    const view = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(nonce),
          EditorView.contentAttributes.of({ "aria-label": "Query", spellcheck: "false", autocapitalize: "off" }),
          EditorView.lineWrapping,
          tooltips({ position: "fixed" }),
          Prec.highest(
            keymap.of([
              { key: "Shift-Enter", run },
              { key: "Mod-Enter", run },
              { key: "Mod-/", run: toggleComment },
            ]),
          ),
          lineNumbers(), highlightSpecialChars(), history(), drawSelection(), bracketMatching(), closeBrackets(), highlightSelectionMatches(),
          autocompletion({ override: [completions], activateOnTypingDelay: 60, icons: false }),
          linter(errors, { delay: 50 }),
          signatures,
          placeholder("A table, then operators after pipes: Heartbeat | take 10"),
          kql, look,
          // Tab keeps moving the focus: nobody is locked in.
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap]),
          EditorView.updateListener.of((update) => update.docChanged && handlers.current.onText(update.state.doc.toString())),
        ],
      }),
    });
    api.current = {
      set: (next) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next }, selection: { anchor: next.length } }),
      insert: (piece) => (view.dispatch(view.state.replaceSelection(piece)), view.focus()),
      focus: () => view.focus(),
      text: () => view.state.doc.toString(),
    };
    view.dispatch({ selection: { anchor: text.length } });
    return () => view.destroy();
  }, []);
  return html`<div class="editor" ref=${host}></div>`;
}
