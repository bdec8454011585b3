// The same table of messages as the Python verifier: ../vectors/webhooks.json. Run with `node --test`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MemoryReplayCache, ReplayCacheFullError, WebhookRefusedError, WebhookVerifier } from "./webhooks.mjs";

const { cases } = JSON.parse(readFileSync(new URL("../vectors/webhooks.json", import.meta.url)));
const good = cases[0];
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const made = (one, more = {}) =>
  new WebhookVerifier({ secrets: one.secrets, publicKeys: one.public_keys, now: () => one.now, ...more });
const told = async (verifier, headers, body) => {
  try {
    await verifier.verify(headers, body);
    return "accepted";
  } catch (error) {
    if (!(error instanceof WebhookRefusedError)) throw error;
    return error.code;
  }
};

for (const one of cases) {
  test(one.name, async () => {
    const verifier = made(one);
    let last;
    for (let time = 0; time < one.times; time += 1) last = await told(verifier, one.headers, bytes(one.body));
    assert.equal(last, one.outcome);
  });
}

test("headers and bodies of every kind", async () => {
  const text = Buffer.from(good.body, "base64").toString();
  const around = new Uint8Array([0, ...bytes(good.body), 0]);
  for (const headers of [good.headers, new Headers(good.headers), new Map(Object.entries(good.headers))]) {
    for (const body of [text, bytes(good.body), bytes(good.body).buffer, around.subarray(1, -1), Buffer.from(text)]) {
      assert.equal(await told(made(good), headers, body), "accepted");
    }
  }
  const twice = { ...good.headers, "webhook-id": ["msg_1", "msg_1"] };
  assert.equal(await told(made(good), twice, text), "malformed");
  assert.equal(await told(made(good), undefined, text), "malformed");
});

test("a cache that cannot answer accepts nothing", async () => {
  const away = { first: () => Promise.reject(new Error("away")) };
  await assert.rejects(made(good, { replayCache: away }).verify(good.headers, bytes(good.body)), /away/);
  const silent = { first: async () => undefined };
  assert.equal(await told(made(good, { replayCache: silent }), good.headers, bytes(good.body)), "replayed");
});

test("of many at once exactly one is first", async () => {
  const verifier = made(good);
  const all = await Promise.all(Array.from({ length: 20 }, () => told(verifier, good.headers, bytes(good.body))));
  assert.equal(all.filter((one) => one === "accepted").length, 1);
});

test("a refused message is not remembered", async () => {
  const cache = new MemoryReplayCache({ now: () => good.now });
  await told(made(good, { replayCache: cache }), good.headers, bytes(""));
  assert.equal(cache.size, 0);
});

test("what could still be replayed is never forgotten", () => {
  let now = 1000;
  const cache = new MemoryReplayCache({ most: 2, now: () => now });
  assert.equal(cache.first("a", 1300), true);
  assert.equal(cache.first("b", 1200), true);
  assert.equal(cache.first("a", 1400), false);
  assert.throws(() => cache.first("c", 1300), ReplayCacheFullError);
  now = 1200;
  assert.equal(cache.first("b", 1300), false);
  now = 1200.5;
  assert.equal(cache.first("c", 1500), true);
  assert.equal(cache.size, 2);
  now = 1301;
  assert.equal(cache.first("a", 1600), true);
});

test("what it cannot be made of", () => {
  const [secret] = good.secrets;
  for (const options of [{}, { secrets: ["whsec_AAAA"] }, { secrets: ["whpk_AAAA"] }, { publicKeys: [secret] }, { secrets: [""] }]) {
    assert.throws(() => new WebhookVerifier(options), TypeError);
  }
  assert.throws(() => new WebhookVerifier({ secrets: [secret], tolerance: 0 }), RangeError);
  assert.throws(() => new MemoryReplayCache({ most: 0 }), RangeError);
});
