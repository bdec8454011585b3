// What views are made of. Everything a server or a customer wrote goes into the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: attributes, listeners as `onclick`, booleans, and children that are elements, texts, lists or null. */
export function h(name, given = {}, ...children) {
  return furnish(document.createElement(name), given, children);
}

/** Make an SVG element. */
export function svg(name, given = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), given, children);
}

function furnish(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SHAPES = {
  proven: [["circle", { cx: 8, cy: 8, r: 7.2, fill: "currentColor" }], ["path", { class: "cut", d: "M4.5 8.3l2.4 2.4 4.7-5.2" }]],
  failing: [["path", { d: "M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z", fill: "currentColor" }], ["path", { class: "cut", d: "M5.3 5.3l5.4 5.4m0-5.4l-5.4 5.4" }]],
  stale: [["circle", { cx: 8, cy: 8, r: 6.4, class: "line", "stroke-dasharray": "3.1 1.92" }], ["path", { class: "line", d: "M8 4.5V8l2.3 1.7" }]],
  promised: [["circle", { cx: 8, cy: 8, r: 6.2, class: "line", "stroke-dasharray": ".1 3.15" }]],
};
const MARKS = {
  enabled: "proven", delivered: "proven", failed: "failing", failing: "failing", disabled: "stale", held: "stale",
  pending: "promised", deleted: "promised",
};

/** A state by shape and by colour, with its word. */
export function state(word, more = "") {
  const kind = MARKS[word] ?? "promised";
  return h("span", { class: `state ${kind}` }, mark(kind), word, more && h("small", {}, ` ${more}`));
}

export function mark(kind) {
  const shapes = SHAPES[kind].map(([name, given]) => svg(name, given));
  return svg("svg", { class: `mark ${kind}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, shapes);
}

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const BRIEF = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const COUNT = new Intl.NumberFormat();

export const count = (number) => COUNT.format(number);
export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

/** A moment in the reader's own time zone; the whole of it on hovering. */
export function time(text) {
  if (!text) return h("span", { class: "faint" }, "–");
  const at = new Date(text);
  return h("time", { datetime: text, title: `${MOMENT.format(at)} (${text})` }, BRIEF.format(at));
}

/** A part of a whole in percent, cut and never rounded up: 99.99 % is not 100 %. */
export function percent(part, whole) {
  return whole ? `${(Math.floor((part / whole) * 1000) / 10).toFixed(part === whole ? 0 : 1)} %` : "–";
}

export function millis(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} s`;
}

export function bytes(value) {
  return value < 1000 ? plural(value, "byte", "bytes") : value < 1e6 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function shortId(id) {
  return h("code", { title: id }, `${id.slice(0, 8)}…${id.slice(-6)}`);
}

/** A button that cannot be pressed twice while it works; `work` gets the event. */
export function button(text, work, given = {}) {
  const made = h("button", { type: "button", ...given, onclick: async () => {
    made.disabled = true;
    try {
      await work();
    } finally {
      made.disabled = false;
    }
  } }, text);
  return made;
}

/** A button that copies, and says so. */
export function copying(value) {
  const made = button("Copy", async () => {
    const worked = await navigator.clipboard?.writeText(value).then(() => true, () => false);
    made.textContent = worked ? "Copied" : "Select it and copy";
  }, { class: "quiet" });
  return made;
}

/** Tell what was done, or what went wrong, where a screen reader hears it; it goes when the next thing is said. */
export function say(text, kind = "good") {
  const place = document.getElementById("said");
  place.replaceChildren(
    h("p", { class: kind }, mark(kind === "bad" ? "failing" : "proven"), text,
      h("button", { type: "button", class: "quiet", "aria-label": "Close the message", onclick: () => place.replaceChildren() }, "Close")),
  );
}

/** Ask in a dialog; gives what `read` finds in its form when it is confirmed, null otherwise. */
export function ask({ title, text, confirm, kind = "", fields = [], read = () => true, cancel = "Cancel" }) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" },
      h("h2", { id: "asked" }, title), [text].flat().map((one) => (typeof one === "string" ? h("p", {}, one) : one)), fields,
      h("div", { class: "row" },
        h("button", { type: "submit", value: "yes", class: kind }, confirm),
        cancel && h("button", { type: "submit", value: "", formnovalidate: true, class: "quiet" }, cancel)));
    const dialog = h("dialog", { "aria-labelledby": "asked" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? read(form) : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
