// Colours for KQL in the editor. Meaning comes from the service; this only tells words apart.
import { HighlightStyle, StreamLanguage, syntaxHighlighting, tags } from "/assets/vendor/codemirror.js";

const OPERATORS = new Set(
  ("where filter project project-away project-keep project-rename project-reorder extend summarize sort order top take limit count distinct " +
    "join lookup union print range render search find parse parse-where parse-kv mv-expand mv-apply make-series top-nested top-hitters " +
    "sample sample-distinct serialize evaluate invoke scan partition reduce fork facet as getschema consume datatable externaldata").split(" "),
);
const WORDS = new Set(
  ("let set declare by on asc desc nulls first last and or in has has_any has_all has_cs contains contains_cs startswith endswith " +
    "hasprefix hassuffix matches regex between with kind step from to default inner leftouter rightouter fullouter leftanti leftsemi " +
    "rightanti rightsemi innerunique anti true false null typeof withsource isfuzzy").split(" "),
);
const TYPES = new Set("bool int long real decimal string datetime timespan guid dynamic".split(" "));

const language = StreamLanguage.define({
  name: "kql",
  startState: () => ({ afterPipe: true }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^\/\/.*/)) return "lineComment";
    if (stream.match(/^[hH]?@?"(?:[^"\\]|\\.|"")*"?/) || stream.match(/^[hH]?@?'(?:[^'\\]|\\.|'')*'?/)) return "string";
    if (stream.match(/^(?:datetime|date|timespan|time|guid)\([\w\s:.+-]*\)/)) return "number";
    if (stream.match(/^\d+(?:\.\d+)?(?:e[+-]?\d+|ms|[dhms]|min|hour|tick|microsecond)?\b/i)) return "number";
    if (stream.match(/^[|;]/)) {
      state.afterPipe = true;
      return "operatorKeyword";
    }
    const word = stream.match(/^!?[A-Za-z_][\w]*(?:-[a-z]+(?:-[a-z]+)*)?~?/);
    if (word) {
      let text = word[0];
      if (text.includes("-") && !OPERATORS.has(text)) {
        stream.backUp(text.length - text.indexOf("-"));
        text = text.slice(0, text.indexOf("-"));
      }
      const first = state.afterPipe;
      state.afterPipe = false;
      if (OPERATORS.has(text) && (first || text.includes("-"))) return "keyword";
      if (WORDS.has(text.replace(/^!|~$/g, ""))) return "keyword";
      if (stream.peek() === "(") return TYPES.has(text) ? "typeName" : "function";
      if (TYPES.has(text)) return "typeName";
      return first ? "tableName" : "name";
    }
    stream.next();
    state.afterPipe = false;
    return null;
  },
  languageData: { commentTokens: { line: "//" }, closeBrackets: { brackets: ["(", "[", "{", '"', "'"] } },
  tokenTable: {
    lineComment: tags.lineComment,
    string: tags.string,
    number: tags.number,
    operatorKeyword: tags.operatorKeyword,
    keyword: tags.keyword,
    function: tags.function(tags.variableName),
    typeName: tags.typeName,
    tableName: tags.className,
    name: tags.variableName,
  },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--kql-keyword)" },
  { tag: tags.operatorKeyword, color: "var(--kql-pipe)", fontWeight: "600" },
  { tag: tags.string, color: "var(--kql-string)" },
  { tag: tags.number, color: "var(--kql-number)" },
  { tag: tags.lineComment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.function(tags.variableName), color: "var(--kql-function)" },
  { tag: tags.className, color: "var(--kql-table)", fontWeight: "600" },
  { tag: tags.typeName, color: "var(--kql-function)" },
]);

export const kql = [language, syntaxHighlighting(colours)];
