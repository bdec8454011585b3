// The page "Check in this browser": fetches what the server publishes and says, step by step, what holds.
import { NotSo, capable, differing, logged, opened, pinned, signedBy } from "./checks.mjs";

const MOST = 12;
const form = document.querySelector("#verify");
const list = document.querySelector("#steps");
const verdict = document.querySelector("#verdict");

const get = async (path) => {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new NotSo(`${path} answered ${answer.status}.`);
  return answer;
};

const tell = (state, title, detail) => {
  const item = document.createElement("li");
  item.className = state;
  const mark = document.querySelector(`#mark-${state}`).content.cloneNode(true);
  const said = document.createElement("b");
  said.textContent = title;
  const more = document.createElement("span");
  more.textContent = ` ${detail}`;
  item.append(mark, said, more);
  list.append(item);
};

const step = async (title, act) => {
  try {
    tell("proven", title, await act());
    return true;
  } catch (error) {
    tell("failing", title, error instanceof NotSo ? error.message : `It could not be checked: ${error.message}`);
    return false;
  }
};

const marksOf = (html) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  return [...page.querySelectorAll("[data-claim]")].map((one) => [
    one.dataset.claim, one.dataset.state, one.textContent.replace(/\s+/g, " "),
  ]);
};

/** Spread the checks over all claims, failing ones first; whoever wants all of them runs the verifier. */
const chosen = (claims) => {
  const pointers = claims.flatMap((claim) => claim.evidence.map((one) => ({ ...one, failing: claim.state === "failing" })));
  const every = Math.max(1, Math.ceil(pointers.length / MOST));
  return pointers.filter((one, at) => one.failing || at % every === 0).slice(0, MOST);
};

const check = async () => {
  list.replaceChildren();
  verdict.textContent = "Checking…";
  const held = [];
  let pin, told;
  held.push(await step("The key that you pasted can be read.", async () => {
    pin = await pinned(form.elements.pin.value);
    return `It is the key of ${pin.name}.`;
  }));
  if (!held[0]) return end(held);
  held.push(await step("The page's checkpoint is signed by that key.", async () => {
    told = await (await get("/trust.json")).json();
    if (!told.checkpoint) throw new NotSo("The page rests on no checkpoint.");
    const head = await opened(told.checkpoint.note, pin);
    if (head.size !== told.checkpoint.size) throw new NotSo("The page names another size than the checkpoint.");
    return `The log ${head.origin} had ${head.size} entries.`;
  }));
  if (!held[1]) return end(held);
  const files = [];
  held.push(await step("The log that is shown now is signed by that key, and not shorter.", async () => {
    const now = await opened(await (await get("/log/checkpoint")).text(), pin);
    if (now.size < told.checkpoint.size) throw new NotSo("The log is shorter than the page says.");
    return `It has ${now.size} entries.`;
  }));
  held.push(await step("Evidence is in the log, at the entry that the page names.", async () => {
    for (const one of chosen(told.claims)) {
      const file = await (await get(`/trust/evidence/${one.attack}/${one.number}.json`)).json();
      const index = await logged(file, pin);
      if (index !== one.index) throw new NotSo(`The page names entry ${one.index}; the proof is of entry ${index}.`);
      files.push(file);
    }
    if (!files.length) throw new NotSo("There is no evidence yet.");
    return `${files.length} results were checked, spread over the claims.`;
  }));
  held.push(await step("The evidence is signed by the key that it names.", async () => {
    const keys = new Set();
    for (const file of files) keys.add(await signedBy(file.document));
    return `Keys: ${keys.size}. Whether the log knows them, heldtrue-verify checks.`;
  }));
  held.push(await step("The page shows people what it tells machines.", async () => {
    let wrong = [];
    for (let turn = 0; turn < 3; turn += 1) { // the page moves on each second
      const json = await (await get("/trust.json")).json();
      wrong = differing(json, marksOf(await (await get("/trust")).text()));
      if (!wrong.length) return `${json.claims.length} claims, the same in both${json.pages > 1 ? ", on the first page" : ""}.`;
    }
    throw new NotSo(wrong.slice(0, 3).join(" "));
  }));
  return end(held);
};

const end = (held) => {
  const good = held.length > 1 && held.every(Boolean);
  verdict.className = good ? "proven" : "failing";
  verdict.textContent = good
    ? "What was checked holds. The script that checked it came from the server that it checks: run the verifier for more than that."
    : "Something does not hold, or could not be checked. See the first line that says so.";
};

if (await capable()) {
  form.hidden = false;
  form.addEventListener("submit", (event) => { event.preventDefault(); check(); });
} else {
  document.querySelector("#incapable").hidden = false;
}
