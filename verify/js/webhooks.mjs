// Refuse webhooks that are forged, stale or replayed: Standard Webhooks 1.0.0, signatures v1 and v1a.
// One module on WebCrypto, for Node 20 or newer, Deno, Bun, browsers and edge runtimes. It needs nothing else.

const TOLERANCE = 300;
const MOST_REMEMBERED = 100_000;
const utf8 = new TextEncoder();

/** The message must not be acted on: answer 400. `code`: malformed, forged, stale, early or replayed. */
export class WebhookRefusedError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "WebhookRefusedError";
    this.code = code;
  }
}

/** More messages came within the tolerance than can be remembered: answer 503, and give the cache more room. */
export class ReplayCacheFullError extends Error {
  constructor(most) {
    super(`${most} messages are remembered, and none can be forgotten yet.`);
    this.name = "ReplayCacheFullError";
  }
}

/** Remembers accepted messages in this process's memory: bounded, and empty after a restart. */
export class MemoryReplayCache {
  #most;
  #now;
  #ends = new Map();
  #swept = -Infinity;

  constructor({ most = MOST_REMEMBERED, now = () => Date.now() / 1000 } = {}) {
    if (!(most >= 1)) throw new RangeError("A replay cache has room for one message at least.");
    this.#most = most;
    this.#now = now;
  }

  get size() { return this.#ends.size; }

  /** Remember `key` until that unix time and return true; return false when it is remembered. */
  first(key, until) {
    const now = this.#now();
    if (now >= this.#swept + 1 || this.#ends.size >= this.#most) {
      for (const [known, end] of this.#ends) if (end < now) this.#ends.delete(known);
      this.#swept = now;
    }
    const end = this.#ends.get(key);
    if (end !== undefined && end >= now) return false;
    if (this.#ends.size >= this.#most) throw new ReplayCacheFullError(this.#most);
    this.#ends.set(key, until);
    return true;
  }
}

/** Judges webhooks of one sender; make one and keep it. */
export class WebhookVerifier {
  #keys;
  #tolerance;
  #cache;
  #now;

  constructor({ secrets = [], publicKeys = [], tolerance = TOLERANCE, replayCache, now = () => Date.now() / 1000 } = {}) {
    const parsed = [
      ...secrets.map((text) => parse(text, "whsec_", "v1", 24, 64)),
      ...publicKeys.map((text) => parse(text, "whpk_", "v1a", 32, 32)),
    ];
    if (parsed.length === 0) throw new TypeError("Without a secret or a public key nothing can be verified.");
    if (!(tolerance >= 1)) throw new RangeError("The tolerance is in seconds, one at least.");
    this.#keys = parsed;
    this.#tolerance = tolerance;
    this.#now = now;
    this.#cache = replayCache ?? new MemoryReplayCache({ now });
  }

  /**
   * Return the event of a message that is genuine, fresh and new; reject with `WebhookRefusedError` otherwise.
   * `body`: what came, as bytes or as text before any parsing. What is remembered is id and time together: the
   * sender's next attempt of the same event is accepted, because your answer to this one may be lost.
   */
  async verify(headers, body) {
    const bytes = typeof body === "string" ? utf8.encode(body) : new Uint8Array(body.buffer ?? body, body.byteOffset ?? 0, body.byteLength);
    const message = read(headers);
    await this.#requireSignature(message, bytes);
    this.#requireTime(message.timestamp);
    const event = parseEvent(bytes);
    // Only what is genuine is remembered, or strangers could fill the cache; and for as long as it is fresh.
    const key = `${message.id}.${message.timestamp}`;
    if ((await this.#cache.first(key, message.timestamp + this.#tolerance + 1)) !== true) {
      throw new WebhookRefusedError("replayed", "This message was accepted before: it is a copy.");
    }
    return event;
  }

  async #requireSignature({ id, timestamp, signatures }, body) {
    const head = utf8.encode(`${id}.${timestamp}.`);
    const signed = new Uint8Array(head.length + body.length);
    signed.set(head);
    signed.set(body, head.length);
    for (const [version, encoded] of signatures) {
      const value = fromBase64(encoded);
      if (value === null) continue;
      for (const key of this.#keys) {
        // WebCrypto compares in constant time.
        if (key.version === version && (await crypto.subtle.verify(key.algorithm, await imported(key), value, signed))) return;
      }
    }
    throw new WebhookRefusedError("forged", "No signature holds: id, time or body was changed, or another secret signed.");
  }

  #requireTime(timestamp) {
    const age = this.#now() - timestamp;
    if (age > this.#tolerance) {
      throw new WebhookRefusedError("stale", `The message was sent ${Math.round(age)} s ago; ${this.#tolerance} s are accepted.`);
    }
    if (age < -this.#tolerance) throw new WebhookRefusedError("early", `The message is dated ${Math.round(-age)} s in the future.`);
  }
}

function parse(text, prefix, version, least, most) {
  const key = String(text).trim().startsWith(prefix) ? fromBase64(String(text).trim().slice(prefix.length)) : null;
  if (key === null || key.length < least || key.length > most) {
    throw new TypeError("A secret is whsec_ with 24 to 64 bytes, a public key whpk_ with 32, in base64.");
  }
  return { version, key, algorithm: version === "v1" ? "HMAC" : "Ed25519", imported: null };
}

/** Import a key at its first use: a runtime without Ed25519 still verifies v1. */
function imported(one) {
  const algorithm = one.version === "v1" ? { name: "HMAC", hash: "SHA-256" } : { name: "Ed25519" };
  one.imported ??= crypto.subtle.importKey("raw", one.key, algorithm, false, ["verify"]);
  return one.imported;
}

function read(headers) {
  const found = {};
  const pairs = typeof headers?.entries === "function" ? headers.entries() : Object.entries(headers ?? {});
  for (const [given, value] of pairs) {
    const name = String(given).toLowerCase();
    if (!name.startsWith("webhook-")) continue;
    if (name in found || Array.isArray(value)) throw new WebhookRefusedError("malformed", `The header ${name} appears twice.`);
    found[name] = String(value ?? "").trim();
  }
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    if (!found[name]) throw new WebhookRefusedError("malformed", `The header ${name} is missing.`);
  }
  const id = found["webhook-id"];
  const timestamp = found["webhook-timestamp"];
  if (id.includes(".") || !/^[1-9][0-9]{0,11}$/.test(timestamp)) {
    throw new WebhookRefusedError("malformed", 'The webhook-id has a ".", or the webhook-timestamp is not in unix seconds.');
  }
  const signatures = found["webhook-signature"].split(/\s+/).map((one) => {
    const comma = one.indexOf(",");
    return comma < 0 ? [one, ""] : [one.slice(0, comma), one.slice(comma + 1)];
  });
  return { id, timestamp: Number(timestamp), signatures };
}

function parseEvent(bytes) {
  let event;
  try {
    event = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new WebhookRefusedError("malformed", "The body is not JSON in UTF-8.");
  }
  if (typeof event?.type !== "string" || typeof event?.timestamp !== "string" || Array.isArray(event)) {
    throw new WebhookRefusedError("malformed", "The body is no event: it has no type and timestamp.");
  }
  return event;
}

/** Decode standard base64 (RFC 4648 section 4) in its one canonical spelling; null for any other text. */
function fromBase64(text) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  return btoa(binary) === text ? Uint8Array.from(binary, (letter) => letter.charCodeAt(0)) : null;
}
