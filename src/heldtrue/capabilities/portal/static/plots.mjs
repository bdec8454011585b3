// Plots drawn from the statistics of an endpoint, as wide as their place: no library, no picture from elsewhere.

import { count, h, millis, percent, svg } from "./parts.mjs";

const HOUR = 3_600_000;
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const LEFT = 46;
const RIGHT = 44;

/** Sum hours into bars of a width that fits the days: hours for a day, six for a week, whole days for a month. */
export function bars({ hours, since, until }, days) {
  const width = days <= 1 ? HOUR : days <= 7 ? 6 * HOUR : 24 * HOUR;
  const start = Math.floor(Date.parse(since) / width) * width;
  const made = [];
  for (let at = start; at < Date.parse(until); at += width) made.push({ at, width, attempts: 0, delivered: 0 });
  for (const one of hours) {
    const bar = made[Math.floor((Date.parse(one.hour) - start) / width)];
    if (bar) {
      bar.attempts += one.attempts;
      bar.delivered += one.delivered;
    }
  }
  return made;
}

/** What arrived stands on the line, what failed hangs below it: told apart without colour. */
export function outcomes(statistics, days) {
  const made = bars(statistics, days);
  return figure("Attempts", ["delivered, above the line", "failed, below it"], 170, (width, height) => {
    const most = Math.max(1, ...made.map((bar) => bar.delivered));
    const worst = Math.max(0, ...made.map((bar) => bar.attempts - bar.delivered));
    const line = 8 + (height - 34) * (most / (most + worst));
    const scale = (line - 8) / most;
    const step = (width - LEFT - RIGHT) / made.length;
    const shapes = made.map((bar, index) => {
      const failed = bar.attempts - bar.delivered;
      const at = { x: LEFT + index * step + step * 0.12, width: Math.max(1, step * 0.76) };
      return svg("g", {},
        svg("title", {}, `${label(bar.at, days)}: ${count(bar.delivered)} delivered, ${count(failed)} failed`),
        svg("rect", { class: "hit", x: LEFT + index * step, width: step, y: 8, height: height - 34 }),
        bar.delivered > 0 && svg("rect", { class: "good", ...at, y: line - grown(bar.delivered * scale), height: grown(bar.delivered * scale), rx: 1.5 }),
        failed > 0 && svg("rect", { class: "bad", ...at, y: line + 1, height: grown(failed * scale), rx: 1.5 }));
    });
    const marks = [[most, 8], ...(worst * scale > 14 ? [[worst, line + worst * scale]] : [])];
    return [axis(width, line), marks.map(([value, y]) => tick(value, y)), shapes, along(made, days, width, height)];
  });
}

const grown = (pixels) => Math.max(1.5, pixels);

/** Median and 95th percentile by hour; hours without an attempt leave a gap. */
export function latency({ hours, since, until }, days) {
  const known = hours.filter((one) => one.p95_ms !== null);
  return figure("Time to answer", ["95 of 100 within", "median"], 150, (width, height) => {
    const [from, to] = [Date.parse(since), Date.parse(until)];
    const most = nice(Math.max(10, ...known.map((one) => one.p95_ms)));
    const x = (one) => LEFT + Math.min(1, Math.max(0, (Date.parse(one.hour) + HOUR / 2 - from) / (to - from))) * (width - LEFT - RIGHT);
    const y = (value) => 10 + (1 - value / most) * (height - 36);
    const gap = days > 7 ? 6 * HOUR : days > 1 ? 3 * HOUR : 1.5 * HOUR;
    const path = (of) => known.map((one, index) => {
      const apart = index === 0 || Date.parse(one.hour) - Date.parse(known[index - 1].hour) > gap;
      return `${apart ? "M" : "L"}${x(one).toFixed(1)} ${y(of(one)).toFixed(1)}${apart ? "h.01" : ""}`;
    }).join("");
    const last = known.at(-1);
    const ends = last ? [["p95", y(last.p95_ms)], ["p50", y(last.p50_ms)]] : [];
    if (ends.length && Math.abs(ends[0][1] - ends[1][1]) < 12) ends[0][1] = ends[1][1] - 12;
    return [
      axis(width, y(0)), axis(width, y(most), "faint"), tick(most, y(most), millis), tick(0, y(0), () => "0"),
      svg("path", { class: "p95", d: path((one) => one.p95_ms) }), svg("path", { class: "p50", d: path((one) => one.p50_ms) }),
      last ? ends.map(([name, at]) => svg("text", { class: name, x: Math.min(x(last) + 7, width - RIGHT + 7), y: at + 4 }, name)) : null,
      along(bars({ hours: [], since, until }, days), days, width, height),
    ];
  });
}

/** Failures by word, the most frequent first. */
export function failures({ hours }) {
  const words = new Map();
  for (const one of hours) for (const [word, times] of Object.entries(one.failures)) words.set(word, (words.get(word) ?? 0) + times);
  const whole = [...words.values()].reduce((sum, times) => sum + times, 0);
  const rows = [...words].sort((a, b) => b[1] - a[1]);
  if (rows.length === 0) return h("p", { class: "faint" }, "No attempt failed in these days.");
  return h("ul", { class: "words" }, rows.map(([word, times]) => h("li", {},
    h("span", {}, WORDS[word] ?? word), h("b", {}, count(times)),
    h("meter", { min: 0, max: whole, value: times, "aria-label": percent(times, whole) }))));
}

export const WORDS = {
  timeout: "No answer in time", tls: "Its certificate is not trusted", connect: "Nothing listens there",
  "refused-address": "The address is not allowed", protocol: "It does not speak HTTP", "unknown-outcome": "We were interrupted",
  "http-3xx": "It answered with a redirect (3xx)", "http-4xx": "It refused (4xx)", "http-5xx": "It failed (5xx)", "http-1xx": "It did not end its answer (1xx)",
};

/** The last days of an endpoint in a line of text height. */
export function spark(statistics) {
  const made = bars(statistics, 7);
  const most = Math.max(1, ...made.map((bar) => bar.attempts));
  const told = `${count(statistics.delivered)} of ${count(statistics.attempts)} attempts delivered in 7 days`;
  return svg("svg", { class: "spark", viewBox: `0 0 ${made.length * 4} 22`, preserveAspectRatio: "none", role: "img", "aria-label": told }, made.map((bar, index) => {
    const tall = (bar.attempts / most) * 20;
    const failed = bar.attempts ? (1 - bar.delivered / bar.attempts) * tall : 0;
    return [
      svg("rect", { class: "none", x: index * 4, y: 21, width: 3, height: 1 }),
      bar.attempts > 0 && svg("rect", { class: "good", x: index * 4, y: 22 - Math.max(1.5, tall), width: 3, height: Math.max(1.5, tall) }),
      failed > 0 && svg("rect", { class: "bad", x: index * 4, y: 22 - Math.max(2, failed), width: 3, height: Math.max(2, failed) }),
    ];
  }));
}

/** A figure that is drawn anew when its place changes its width, with its legend. */
function figure(title, legend, height, draw) {
  const place = h("div", { class: "plot" });
  const redraw = () => {
    const width = Math.max(260, place.clientWidth);
    place.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${title}; the table below has its numbers` }, draw(width, height).flat(Infinity).filter(Boolean)));
  };
  new ResizeObserver(redraw).observe(place);
  return h("figure", {}, h("figcaption", {}, h("b", {}, title), legend.map((one, index) => h("span", { class: `key key-${index}` }, one))), place);
}

/** The numbers behind the plots, for whoever does not see them. */
export function table(statistics, days) {
  const made = bars(statistics, days).filter((bar) => bar.attempts > 0);
  const hours = statistics.hours;
  const worst = (bar) => Math.max(...hours.filter((one) => Date.parse(one.hour) >= bar.at && Date.parse(one.hour) < bar.at + bar.width).map((one) => one.p95_ms ?? 0));
  return h("details", { class: "numbers" }, h("summary", {}, "The same as a table"),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Statistics" },
      h("table", {}, h("thead", {}, h("tr", {}, ["From", "Attempts", "Delivered", "Failed", "Slowest hour, p95"].map((one) => h("th", { scope: "col" }, one)))),
        h("tbody", {}, made.map((bar) => h("tr", {}, h("th", { scope: "row" }, `${DAY.format(bar.at)} ${CLOCK.format(bar.at)}`),
          [count(bar.attempts), count(bar.delivered), count(bar.attempts - bar.delivered), millis(worst(bar))].map((one) => h("td", {}, one))))))));
}

function axis(width, y, kind = "") {
  return svg("line", { class: `axis ${kind}`, x1: LEFT, x2: width - RIGHT, y1: y, y2: y });
}

function tick(value, y, show = count) {
  return svg("text", { class: "tick", x: LEFT - 7, y: y + 4 }, show(value));
}

function along(made, days, width, height) {
  const shown = [[made[0], "start", LEFT], [made[Math.floor(made.length / 2)], "middle", width / 2], [made.at(-1), "end", width - RIGHT]];
  return shown.map(([bar, anchor, x]) => svg("text", { class: "day", "text-anchor": anchor, x, y: height - 4 }, label(bar.at, days)));
}

const label = (at, days) => (days <= 1 ? CLOCK.format(at) : DAY.format(at));

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= value);
}
