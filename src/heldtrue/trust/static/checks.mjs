// What a reader's browser can check of a trust page, by WebCrypto alone. Formats: C2SP signed-note, tlog-checkpoint and
// tlog-proof, RFC 6962, RFC 8785 in the narrow profile of the log, W3C eddsa-jcs-2022. No part of it asks for anything.

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const text = new TextEncoder();

/** Something does not hold, or cannot be read; the message says what. */
export class NotSo extends Error {}

const fail = (message) => { throw new NotSo(message); };

export const bytes = (base64) => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4) fail("This is not base64.");
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
};

const joined = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
};

const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

export const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

/** Whether this browser can verify Ed25519 at all. */
export async function capable() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
    return true;
  } catch {
    return false;
  }
}

const holds = async (key, signature, message) => {
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
};

/** Read a verifier key, `name+hex8+base64(type ‖ public key)` (C2SP signed-note). */
export async function pinned(vkey) {
  const found = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey.trim());
  if (!found) fail("This is not a verifier key: it is written name+8 hex digits+base64.");
  const [, name, id, encoded] = found;
  const data = bytes(encoded);
  if (data.length !== 33 || data[0] !== 1) fail("The verifier key is not an Ed25519 key.");
  const digest = await sha256(text.encode(`${name}\n`), data);
  const hex = [...digest.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== id) fail("The verifier key is mistyped: its id does not fit it.");
  return { name, id: digest.slice(0, 4), key: data.slice(1) };
}

/** Return origin, size and root of a signed checkpoint, if the pinned key signed it. */
export async function opened(note, pin) {
  const cut = note.lastIndexOf("\n\n");
  if (cut < 0) fail("The checkpoint has no signatures.");
  const said = note.slice(0, cut + 1);
  for (const line of note.slice(cut + 2).split("\n").filter(Boolean)) {
    const [dash, name, encoded] = line.split(" ");
    if (dash !== "—" || name !== pin.name) continue;
    const data = bytes(encoded);
    if (!same(data.slice(0, 4), pin.id)) continue;
    if (!await holds(pin.key, data.slice(4), text.encode(said))) fail("The checkpoint's signature does not hold.");
    const [origin, size, root] = said.split("\n");
    if (!/^(0|[1-9][0-9]{0,15})$/.test(size)) fail("The checkpoint's size is no number.");
    return { origin, size: Number(size), root: bytes(root) };
  }
  return fail("The checkpoint is not signed by the key that you pasted.");
}

/** RFC 8785, for documents of the log's profile: strings, integers, booleans, null, lists, objects. */
export function canonical(value) {
  if (typeof value === "number" && !Number.isSafeInteger(value)) fail("A number is not an integer.");
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

/** Read a tlog-proof. */
export function proofOf(written) {
  const found = /^c2sp\.org\/tlog-proof@v1\n(?:extra [A-Za-z0-9+/=]+\n)?index (0|[1-9][0-9]{0,15})\n((?:[A-Za-z0-9+/=]+\n)*)\n([^]*)$/.exec(written);
  if (!found) fail("The proof is not a c2sp.org/tlog-proof@v1.");
  return { index: Number(found[1]), hashes: found[2].split("\n").filter(Boolean).map(bytes), checkpoint: found[3] };
}

/** Whether an entry is in the tree (RFC 6962, section 2.1.1; RFC 9162, section 2.1.3.2). */
export async function includes(entry, proof, checkpoint) {
  let fn = proof.index;
  let sn = checkpoint.size - 1;
  if (fn > sn) return false;
  let hash = await sha256(Uint8Array.of(0), entry);
  for (const sibling of proof.hashes) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = await sha256(Uint8Array.of(1), sibling, hash);
      while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
    } else {
      hash = await sha256(Uint8Array.of(1), hash, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && same(hash, checkpoint.root);
}

/** Decode multibase base58btc. */
export function base58(written) {
  if (!/^z[1-9A-HJ-NP-Za-km-z]{1,128}$/.test(written)) fail("This is not multibase base58btc.");
  const digits = written.slice(1);
  let number = 0n;
  for (const digit of digits) number = number * 58n + BigInt(ALPHABET.indexOf(digit));
  const found = [];
  for (; number > 0n; number >>= 8n) found.unshift(Number(number & 255n));
  return Uint8Array.from([...Array(/^1*/.exec(digits)[0].length).fill(0), ...found]);
}

/** Return the key that a document names, if the document's own proof holds under it (eddsa-jcs-2022). */
export async function signedBy(document) {
  const { proof, ...unsecured } = document;
  const { proofValue, ...options } = proof ?? {};
  if (options.cryptosuite !== "eddsa-jcs-2022" || options.type !== "DataIntegrityProof") fail("The evidence has no proof.");
  const multikey = String(options.verificationMethod).split("#")[1] ?? "";
  const key = base58(multikey);
  if (key.length !== 34 || key[0] !== 0xed || key[1] !== 0x01) fail("The evidence names no Ed25519 key.");
  const message = joined(await sha256(text.encode(canonical(options))), await sha256(text.encode(canonical(unsecured))));
  if (!await holds(key.slice(2), base58(proofValue), message)) fail("The evidence's signature does not hold.");
  return multikey;
}

/** Return the entry's index if a file of evidence is in the log under the pinned key. */
export async function logged(file, pin) {
  const proof = proofOf(file.proof);
  const checkpoint = await opened(proof.checkpoint, pin);
  if (!await includes(text.encode(canonical(file.document)), proof, checkpoint)) {
    fail(`The evidence is not entry ${proof.index} of the log.`);
  }
  return proof.index;
}

/** Return what differs between the page as people see it and its JSON; `marks`: [id, state, text] of each claim. */
export function differing(told, marks) {
  const wrong = [];
  const shown = new Map(marks.map(([id, state, said]) => [id, { state, said }]));
  for (const claim of told.claims) {
    const seen = shown.get(claim.id);
    if (!seen) wrong.push(`The page does not show ${claim.id}.`);
    else if (seen.state !== claim.state) wrong.push(`The page shows ${claim.id} as ${seen.state}, its JSON as ${claim.state}.`);
    else if (!seen.said.includes(claim.sentence)) wrong.push(`The page words ${claim.id} otherwise than its JSON.`);
    shown.delete(claim.id);
  }
  for (const id of shown.keys()) wrong.push(`The page shows ${id}, which its JSON does not have.`);
  return wrong;
}
