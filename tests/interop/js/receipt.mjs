// A second verifier of eddsa-jcs-2022 (W3C vc-di-eddsa, section 3.3), on other people's libraries.
// Reads a signed document from standard input; exits 0 where its proof holds under the key that it names, else 1.
import { readFileSync } from "node:fs";
import { ed25519 } from "@noble/curves/ed25519";
import { sha256 } from "@noble/hashes/sha2";
import canonicalize from "canonicalize";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

function base58btc(text) {
  if (text[0] !== "z") throw new Error("not multibase base58btc");
  let number = 0n;
  for (const digit of text.slice(1)) {
    const value = ALPHABET.indexOf(digit);
    if (value < 0) throw new Error("not a base58 digit");
    number = number * 58n + BigInt(value);
  }
  const hex = number === 0n ? "" : number.toString(16);
  const zeros = text.slice(1).match(/^1*/)[0].length;
  return Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex")]);
}

function verify(secured) {
  const { proof, ...document } = secured;
  const { proofValue, ...options } = proof;
  if (options.type !== "DataIntegrityProof" || options.cryptosuite !== "eddsa-jcs-2022") throw new Error("another suite");
  if (options["@context"] !== undefined) document["@context"] = options["@context"];
  const key = base58btc(options.verificationMethod.split("#")[1]);
  if (key.length !== 34 || key[0] !== 0xed || key[1] !== 0x01) throw new Error("not an Ed25519 Multikey");
  const hash = (value) => sha256(new TextEncoder().encode(canonicalize(value)));
  const message = Buffer.concat([hash(options), hash(document)]);
  return ed25519.verify(base58btc(proofValue), message, key.subarray(2), { zip215: false });
}

const holds = verify(JSON.parse(readFileSync(0, "utf8")));
console.log(holds ? "holds" : "refused");
process.exit(holds ? 0 : 1);
