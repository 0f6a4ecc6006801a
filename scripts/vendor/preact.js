// Preact with htm: components without a build step.
import { h, render, Fragment } from "preact";
import htm from "htm";
export { h, render, Fragment };
export { useState, useEffect, useRef, useMemo, useCallback, useReducer } from "preact/hooks";
export const html = htm.bind(h);
