// The first three places of the page: all endpoints, one endpoint, one delivery. Each asks the API and gives elements.

import { RefusedError, contentOf, get, post, remove } from "./api.mjs";
import { ask, button, bytes, copying, count, h, millis, percent, plural, say, shortId, state, time } from "./parts.mjs";
import { WORDS, failures, latency, outcomes, spark, table } from "./plots.mjs";

const PAGE = 25;
const EXCERPT = 2048;
const WHY = {
  customer: "You disabled it. What comes for it is kept.",
  gone: "It answered 410 Gone, so nothing more is sent to it. What comes for it is kept.",
};
const disabledFor = (word) => WHY[word] ?? "It failed for too long, so nothing more is sent to it. What comes for it is kept.";
const may = (self, permission) => self.permissions.includes(permission);
const tries = (self) => may(self, "transform.read") && may(self, "transform.write");
const enc = encodeURIComponent;

/** Do something that the API may refuse for a reason the reader can act on; say what came of it. */
export async function attempt(work, done) {
  try {
    const answer = await work();
    if (done) say(typeof done === "function" ? done(answer) : done);
    return answer;
  } catch (error) {
    if (!(error instanceof RefusedError) || error.ends) throw error;
    say(`${error.message} ${error.advice}`.trim(), "bad");
    return null;
  }
}

// ---------------------------------------------------------------- all endpoints

export async function overview(self, _id, again) {
  const asked = get("/v1/endpoints", { limit: 100 });
  const where = asked.then((found) => new Map(found.data.map((one) => [one.id, one.url])));
  const [listed, recent] = await Promise.all([
    asked, may(self, "delivery.read") ? deliveries({}, "No delivery yet. The next payload will be one, for each endpoint.", where) : null,
  ]);
  const endpoints = listed.data;
  const add = may(self, "endpoint.write") && button("Add an endpoint", () => adding(again), { class: "main" });
  return [
    h("div", { class: "title" }, h("h1", { class: "page" }, "Where your data goes"), endpoints.length > 0 && add),
    endpoints.length === 0
      ? h("section", { class: "empty inline" }, h("h2", {}, "No endpoint yet"),
        h("p", {}, "An endpoint is an https address of yours. Each payload that we accept is sent there, signed, and again and again until it answers."), add)
      : h("ul", { class: "endpoints" }, endpoints.map(row)),
    tries(self) && h("p", {}, h("a", { href: "#/transforms" }, "Try a transform on a sample")),
    recent && [h("h2", { class: "apart" }, "Latest deliveries"), recent],
  ];
}

function row(one) {
  const place = h("div", { class: "lately", "aria-busy": "true" });
  get(`/v1/endpoints/${one.id}/statistics`, { days: 7 }).then(
    (found) => place.replaceChildren(spark(found), h("p", {},
      found.attempts ? [h("b", {}, percent(found.delivered, found.attempts)), ` of ${plural(found.attempts, "attempt", "attempts")}, median ${millis(found.p50_ms)}`] : "Nothing in 7 days")),
    () => place.replaceChildren(h("p", {}, "No figures at the moment")),
  ).finally(() => place.removeAttribute("aria-busy"));
  return h("li", { class: one.state },
    h("div", {}, h("a", { class: "where", href: `#/endpoints/${one.id}` }, one.url),
      h("p", { class: "facts" }, state(one.state), one.description && ` · ${one.description}`)), place);
}

async function adding(again) {
  const url = h("input", { name: "url", type: "url", required: true, maxlength: 2048, pattern: "https://.+", placeholder: "https://", autocomplete: "off", title: "It begins with https://" });
  const about = h("input", { name: "description", maxlength: 1000, autocomplete: "off" });
  const given = await ask({
    title: "Add an endpoint", text: "From now on, each payload is sent there as a signed webhook.", confirm: "Add it",
    fields: [h("label", {}, "Address", url), h("label", {}, "What it is for, for people ", h("small", {}, "(may be left out)"), about)],
    read: () => ({ url: url.value.trim(), description: about.value.trim() }),
  });
  if (!given) return;
  const made = await attempt(() => post("/v1/endpoints", given));
  if (!made) return;
  await secretOf(made, "The endpoint is added");
  await again();
}

/** Show a secret, this once. */
async function secretOf(made, title) {
  const secret = made.secret ?? "It was shown before. Roll the secret to get another one.";
  await ask({
    title, confirm: "I have kept it", cancel: "",
    text: [
      h("p", {}, "Your receiver checks each message with this secret. ", h("b", {}, "It is shown this once"), ": put it where your receiver reads its secrets."),
      h("div", { class: "secret" }, h("code", {}, secret), made.secret && copying(secret)),
      h("p", {}, "Or check with the public key, which is no secret:"),
      h("div", { class: "secret" }, h("code", {}, made.public_key), copying(made.public_key)),
      made.former_until && h("p", {}, "Until ", time(made.former_until), " the former secret signs beside it."),
    ],
  });
}

// ---------------------------------------------------------------- one endpoint

export async function endpoint(self, id, again) {
  const one = await get(`/v1/endpoints/${id}`);
  const figures = h("section", { class: "figures", "aria-label": "How it answered" });
  const choose = async (days) => {
    const found = await get(`/v1/endpoints/${id}/statistics`, { days });
    figures.replaceChildren(...statistics(found, days, choose).flat().filter(Boolean));
  };
  const [listed] = await Promise.all([
    may(self, "delivery.read") ? deliveries({ endpoint_id: id }, "Nothing was sent to it yet.") : null, choose(7),
  ]);
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/" }, "All endpoints")),
    h("h1", { class: "page where" }, one.url),
    one.description && h("p", { class: "lede" }, one.description),
    one.state === "disabled" && h("div", { class: "notice stale" }, h("p", { class: "say" }, "Disabled"), h("p", { class: "more" }, disabledFor(one.disabled_for))),
    may(self, "endpoint.write") && actions(one, again),
    figures,
    listed && [h("h2", { class: "apart" }, "Deliveries"), listed],
    h("h2", { class: "apart" }, "About it"),
    h("dl", { class: "grid" },
      h("dt", {}, "State"), h("dd", {}, state(one.state)),
      h("dt", {}, "Id"), h("dd", {}, h("code", {}, one.id)),
      h("dt", {}, "Public key"), h("dd", { class: "copied" }, h("code", {}, one.public_key), copying(one.public_key)),
      h("dt", {}, "Added"), h("dd", {}, time(one.created_at))),
  ];
}

function actions(one, again) {
  const path = `/v1/endpoints/${one.id}`;
  const enabled = one.state === "enabled";
  return h("div", { class: "row actions" },
    enabled && button("Send me a test", () => testing(path, again), { class: "main" }),
    !enabled && button("Enable it", () => enabling(path, again), { class: "main" }),
    button("Roll the secret", () => rolling(path)),
    enabled && button("Disable", async () => {
      const sure = await ask({ title: "Disable this endpoint?", text: "Nothing more is sent to it. What comes for it is kept, and can be sent when you enable it.", confirm: "Disable it" });
      if (sure && (await attempt(() => post(`${path}/disable`), (told) => (told.deliveries ? `Disabled. ${plural(told.deliveries, "delivery is", "deliveries are")} kept for it.` : "Disabled. Nothing was on its way to it.")))) await again();
    }),
    button("Delete", async () => {
      const sure = await ask({ title: "Delete this endpoint?", text: "Its address and its secrets are forgotten for good, and what waits for it is not sent any more. Receipts stay.", confirm: "Delete it", kind: "bad" });
      if (sure && (await attempt(() => remove(path), (told) => (told.deliveries ? `Deleted. ${plural(told.deliveries, "delivery", "deliveries")} that waited ended here.` : "Deleted. Nothing was on its way to it.")))) location.hash = "#/";
    }, { class: "quiet bad" }));
}

async function testing(path, again) {
  try {
    await post(`${path}/test`);
    say("A test is on its way: it is the first of the deliveries below in a moment.");
    await again();
  } catch (error) {
    if (!(error instanceof RefusedError) || error.ends) throw error;
    const none = error.status === 404 || error.status === 405;
    say(none ? "This server cannot send tests yet. Send a payload of your own: it is delivered here like any other." : `${error.message} ${error.advice}`, "bad");
  }
}

async function enabling(path, again) {
  const held = h("input", { type: "checkbox", name: "held", checked: true });
  const given = await ask({
    title: "Enable this endpoint?", text: "What comes from now on is sent to it again.", confirm: "Enable it",
    fields: [h("label", { class: "check-line" }, held, "Send what was kept for it, too")], read: () => ({ replay_held: held.checked }),
  });
  if (given && (await attempt(() => post(`${path}/enable`, given), (told) => (told.replayed ? `Enabled. ${plural(told.replayed, "delivery is", "deliveries are")} on the way.` : "Enabled.")))) await again();
}

async function rolling(path) {
  const overlap = h("select", { name: "overlap" }, [["86400", "a day"], ["3600", "an hour"], ["604800", "a week"], ["0", "not at all: it has leaked"]].map(([value, text]) => h("option", { value }, text)));
  const given = await ask({
    title: "Give it a new secret?", text: "Both secrets sign while you put the new one in place, so that no message is refused.", confirm: "Roll it",
    fields: [h("label", {}, "The former secret still signs for", overlap)], read: () => ({ overlap_seconds: Number(overlap.value) }),
  });
  if (!given) return;
  const made = await attempt(() => post(`${path}/roll`, given));
  if (made) await secretOf(made, "The new secret");
}

function statistics(found, days, choose) {
  const choices = [[1, "A day"], [7, "A week"], [30, "A month"]].map(([value, text]) =>
    button(text, () => choose(value), { class: "choice", "aria-pressed": String(value === days) }));
  const failed = found.attempts - found.delivered;
  return [
    h("div", { class: "title" }, h("h2", {}, "How it answered"), h("div", { class: "row choices", role: "group", "aria-label": "Period" }, choices)),
    found.attempts === 0
      ? h("p", { class: "faint" }, "Nothing was sent to it in these days.")
      : [
        h("dl", { class: "tiles" },
          [["Attempts", count(found.attempts)], ["Delivered", percent(found.delivered, found.attempts)], ["Failed", count(failed)], ["Median", millis(found.p50_ms)], ["95 of 100 within", millis(found.p95_ms)]]
            .map(([name, value]) => h("div", { class: name === "Failed" && failed ? "bad" : "" }, h("dt", {}, name), h("dd", {}, value)))),
        !found.complete && h("p", { class: "faint" }, "So much was sent that only the newest deliveries are counted; the oldest of these days are missing."),
        outcomes(found, days), latency(found, days),
        h("h3", {}, "Why attempts failed"), failures(found), table(found, days),
      ],
  ].flat().filter(Boolean);
}

// ---------------------------------------------------------------- deliveries

/** A list with a filter and a way to the older ones. */
async function deliveries(query, nothing, where = null) {
  const body = h("tbody");
  const place = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Deliveries" });
  const more = button("Show older ones", () => load(false));
  let wanted = "";
  let cursor = null;
  async function load(anew) {
    const urls = await where;
    const found = await get("/v1/deliveries", { ...query, state: wanted, limit: PAGE, cursor: anew ? "" : cursor });
    cursor = found.next_cursor;
    body.replaceChildren(...(anew ? [] : body.children), ...found.data.map((one) => line(one, urls)));
    more.hidden = !cursor;
    place.replaceChildren(body.children.length
      ? h("table", { class: "deliveries" }, h("thead", {}, h("tr", {}, ["Made", "State", urls && "To", "Attempts", "Next attempt", "Delivery"].filter(Boolean).map((one) => h("th", { scope: "col" }, one)))), body)
      : h("p", { class: "faint" }, wanted ? `None is ${wanted}.` : nothing));
  }
  const filter = h("select", { "aria-label": "State", onchange: () => { wanted = filter.value; return load(true); } },
    [["", "All states"], ["pending", "Pending"], ["delivered", "Delivered"], ["failed", "Failed"], ["held", "Held"]].map(([value, text]) => h("option", { value }, text)));
  await load(true);
  return [h("div", { class: "row" }, filter, button("Look again", () => load(true), { class: "quiet" })), place, more];
}

function line(one, where) {
  return h("tr", {}, h("td", {}, time(one.created_at)), h("td", {}, state(one.state)),
    where && h("td", { class: "to" }, h("a", { href: `#/endpoints/${one.endpoint_id}` }, brief(where.get(one.endpoint_id)))),
    h("td", { class: "number wide" }, count(one.attempts)), h("td", { class: "wide" }, time(one.due_at)), h("td", {}, h("a", { href: `#/deliveries/${one.id}` }, shortId(one.id))));
}

/** An address without its scheme, short enough for a row. */
function brief(url) {
  const text = url?.replace("https://", "") ?? "a deleted endpoint";
  return text.length > 44 ? `${text.slice(0, 30)}…${text.slice(-12)}` : text;
}

export async function delivery(self, id, again) {
  const one = await get(`/v1/deliveries/${id}`);
  const [to, payload] = await Promise.all([
    may(self, "endpoint.read") ? get(`/v1/endpoints/${one.endpoint_id}`).catch(gone) : null,
    one.payload_id && may(self, "payload.read") ? get(`/v1/payloads/${one.payload_id}`).catch(gone) : null,
  ]);
  const replay = may(self, "delivery.replay") && to?.state === "enabled" && button("Send it again", async () => {
    const sure = await ask({ title: "Send it again?", text: "The same message goes out, with the same id and a new time, signed with the present secret. A receiver that knows the id will drop it.", confirm: "Send it" });
    if (sure && (await attempt(() => post(`/v1/deliveries/${id}/replay`), "It is on its way again."))) await again();
  }, { class: "main" });
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/" }, "All endpoints"), to && [" / ", h("a", { href: `#/endpoints/${one.endpoint_id}` }, to.url)]),
    h("h1", { class: "page" }, { delivered: "Delivered", failed: "Not delivered", pending: "On its way", held: "Kept for a disabled endpoint" }[one.state]),
    h("p", { class: "lede" }, summary(one, to)),
    h("div", { class: "row actions" }, replay, button("Look again", again, { class: "quiet" })),
    h("h2", { class: "apart" }, one.tries.length ? plural(one.tries.length, "attempt", "attempts") : "No attempt yet"),
    h("ol", { class: "tries" }, [...one.tries].reverse().map((tried, index) => attemptOf(tried, one, to, payload, index === 0))),
    h("h2", { class: "apart" }, "About it"),
    h("dl", { class: "grid" },
      h("dt", {}, "Delivery"), h("dd", {}, h("code", {}, one.id)), h("dt", {}, "Payload"), h("dd", {}, h("code", {}, one.payload_id ?? "none: a notice of ours")),
      payload && [h("dt", {}, "Its bytes"), h("dd", {}, `${payload.content_type ?? "of an unknown type"}, ${bytes(payload.size)}`)],
      one.receipt_id && [h("dt", {}, "Receipt"), h("dd", {}, h("code", {}, one.receipt_id))],
      h("dt", {}, "Made"), h("dd", {}, time(one.created_at))),
  ];
}

const gone = (error) => {
  if (error instanceof RefusedError && !error.ends) return null;
  throw error;
};

function summary(one, to) {
  const where = to ? h("span", { class: "where" }, to.url) : "an endpoint that is deleted";
  if (one.state === "delivered") return ["To ", where, ", at attempt ", String(one.attempts), ", ", time(one.settled_at), "."];
  if (one.state === "failed") return ["To ", where, ". No more attempts are made by themselves."];
  if (one.state === "held") return ["To ", where, ". It is sent when the endpoint is enabled and you ask for it."];
  return ["To ", where, ". ", one.tries.length ? "The next attempt is due " : "The first attempt is due ", time(one.due_at), "."];
}

function attemptOf(tried, one, to, payload, open) {
  const good = tried.status >= 200 && tried.status < 300;
  const word = tried.status ? `answered ${tried.status}` : (WORDS[tried.failure] ?? tried.failure ?? "no answer");
  const body = h("pre", { class: "body" }, "…");
  const details = h("details", { ontoggle: () => details.open && fill(body, one, payload) },
    h("summary", {}, h("span", { class: "number" }, `${tried.number}.`), state(good ? "delivered" : "failed", ""), h("span", { class: "word" }, word), h("span", { class: "faint" }, millis(tried.latency_ms)), time(tried.started_at)),
    h("div", { class: "exchange" },
      h("section", {}, h("h3", {}, "Request"), h("pre", {}, requestOf(tried, one, to)), h("h4", {}, "Payload in its body"), body),
      h("section", {}, h("h3", {}, "Response"), h("pre", {}, responseOf(tried)), tried.excerpt ? [h("h4", {}, `Body, the first ${bytes(EXCERPT)} at most`), h("pre", { class: "body" }, tried.excerpt)] : h("p", { class: "faint" }, tried.status ? "It had no body, or none that is kept." : WORDS[tried.failure] ?? "There was none."))));
  details.open = open;
  return h("li", {}, details);
}

function requestOf(tried, one, to) {
  const at = to ? new URL(to.url) : null;
  return [
    `POST ${at ? at.pathname + at.search : "(the endpoint is deleted)"}`, at && `host: ${at.host}`, "content-type: application/json",
    `webhook-id: ${one.id}`, `webhook-timestamp: ${Math.floor(Date.parse(tried.started_at) / 1000)}`, "webhook-signature: v1,… v1a,…  (not kept)",
  ].filter(Boolean).join("\n");
}

function responseOf(tried) {
  const headers = Object.entries(tried.response_headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return [tried.status ? `HTTP ${tried.status}` : `no answer: ${tried.failure}`, `after ${millis(tried.latency_ms)}`, ...headers].join("\n");
}

/** Put the payload's first bytes there, once. */
async function fill(place, one, payload) {
  if (place.dataset.filled) return;
  place.dataset.filled = "yes";
  if (!payload || payload.state === "erased") {
    place.textContent = one.payload_id ? "It was erased, or this session may not read it." : "None: this is a notice of ours.";
    return;
  }
  const found = await contentOf(enc(one.payload_id), EXCERPT).catch(gone);
  place.textContent = found === null ? `${payload.content_type ?? "Bytes"}, ${bytes(payload.size)}: not shown as text.` : payload.size > EXCERPT ? `${found}…` : found || "(empty)";
}
