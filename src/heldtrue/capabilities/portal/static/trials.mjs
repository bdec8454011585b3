// Two more places: all transforms, and one of them with a form that tries it on a sample. Nothing of a trial is kept.

import { get, send } from "./api.mjs";
import { button, bytes, h, mark, millis, plural, say } from "./parts.mjs";
import { attempt } from "./views.mjs";

const LARGEST = 1 << 20;
const TYPES = ["application/json", "text/plain", "text/csv", "application/xml", "application/x-www-form-urlencoded", "message/rfc822"];
const CAME = {
  ok: "It ran", error: "The code raised an error", output: "What it returned cannot be sent", refused: "It could not be run",
  timeout: "It took too long", memory: "It used too much memory", crashed: "Its process ended",
};

export async function transforms() {
  const listed = await get("/v1/transforms", { limit: 100 });
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/" }, "All endpoints")),
    h("h1", { class: "page" }, "What is made of your data"),
    listed.data.length === 0
      ? h("section", { class: "empty inline" }, h("h2", {}, "No transform yet"), h("p", {}, "A transform is code that makes something of each payload before it is delivered."))
      : h("ul", { class: "endpoints" }, listed.data.map((one) => h("li", {},
        h("div", {}, h("a", { class: "where", href: `#/transforms/${one.id}` }, one.name), one.description && h("p", { class: "facts" }, one.description)),
        h("p", { class: "facts" }, `Version ${one.current.number}, ${one.current.language}`)))),
    listed.next_cursor && h("p", { class: "faint" }, "There are more: these are the newest."),
  ];
}

export async function transform(_self, id) {
  const path = `/v1/transforms/${id}`;
  const [one, versions] = await Promise.all([get(path), get(`${path}/versions`, { limit: 100 })]);
  const came = h("section", { class: "came", tabindex: -1, "aria-label": "What came of it" });
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/" }, "All endpoints"), " / ", h("a", { href: "#/transforms" }, "Transforms")),
    h("h1", { class: "page" }, one.name),
    h("p", { class: "lede" }, one.description || "Try it on a sample: it runs as it would on a payload, and nothing is stored or sent."),
    trying(path, versions.data, came), came,
  ];
}

/** The form; what came of it is put into *came*. */
function trying(path, versions, came) {
  const option = (value, text, selected = false) => h("option", { value, selected }, text);
  const version = h("select", { name: "version" }, versions.map((each) => option(String(each.number), `${each.number}${each.current ? ", current" : ""}${each.note ? `: ${each.note.slice(0, 60)}` : ""}`, each.current)));
  const type = h("select", { name: "type" }, TYPES.map((each) => option(each, each)));
  const sample = h("textarea", { name: "sample", rows: 10, spellcheck: "false", autocomplete: "off" });
  const file = h("input", { name: "file", type: "file" });
  const config = h("textarea", { name: "config", rows: 3, spellcheck: "false", autocomplete: "off" });
  config.value = "{}";
  const run = button("Try it", async () => {
    const chosen = file.files[0];
    const body = chosen ?? new Blob([sample.value]);
    if (body.size > LARGEST) return say(`A sample has ${bytes(LARGEST)} at most, and this is ${bytes(body.size)}.`, "bad");
    const query = { version: version.value, config: config.value, ...(chosen ? { name: chosen.name } : {}) };
    const told = await attempt(() => send(`${path}/test`, query, body, chosen ? chosen.type || "application/octet-stream" : type.value));
    if (!told) return;
    came.replaceChildren(...shown(told));
    came.focus();
  }, { class: "main" });
  return h("form", { class: "trial", onsubmit: (event) => event.preventDefault() },
    h("label", {}, "Sample", sample),
    h("div", { class: "pair" }, h("label", {}, "Its type", type), h("label", {}, "Or a file in its place", file)),
    h("div", { class: "pair" }, h("label", {}, "Version", version), h("label", {}, "Configuration, as JSON", config)),
    h("div", { class: "row" }, run, h("span", { class: "faint" }, "Calls to other hosts are refused in a trial.")));
}

function shown(told) {
  const files = (number) => (told.attachments[number] ?? []).map((each) => each.of ? `attachment ${each.of}` : `${each.name} (${each.content_type}, ${bytes(each.size)})`);
  const kind = told.outcome === "ok" ? "proven" : "failing";
  return [
    h("h2", { class: "apart" }, h("span", { class: `state ${kind}` }, mark(kind), CAME[told.outcome] ?? told.outcome)),
    told.error && h("pre", { class: "body" }, told.error),
    told.outcome === "ok" && h("h3", {}, told.outputs.length ? plural(told.outputs.length, "output", "outputs") : "No output"),
    told.outputs.map((each, number) => [h("pre", { class: "body" }, JSON.stringify(each, null, 2)), files(number).length > 0 && h("p", { class: "faint" }, `With ${files(number).join(", ")}`)]),
    told.logs.length > 0 && [h("h3", {}, "What it logged"), h("pre", { class: "body" }, told.logs.join("\n"), told.logs_cut && "\n…")],
    h("dl", { class: "grid" },
      h("dt", {}, "Version"), h("dd", {}, String(told.version)), h("dt", {}, "Digest"), h("dd", {}, h("code", {}, told.digest)),
      h("dt", {}, "Sandbox"), h("dd", {}, h("code", {}, told.sandbox), `, level ${told.level}`),
      h("dt", {}, "Time"), h("dd", {}, `${millis(told.wall_ms)}, ${millis(told.cpu_ms)} of processor`),
      told.peak_bytes !== null && [h("dt", {}, "Memory"), h("dd", {}, bytes(told.peak_bytes))]),
  ].flat(Infinity).filter(Boolean);
}
