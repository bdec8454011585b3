// The receiver's side of Standard Webhooks, by the reference library of its authors.
// Reads {secret, headers, body, now} from standard input; exits 0 where the message is accepted, else 1.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, headers, body, now } = JSON.parse(readFileSync(0, "utf8"));
Date.now = () => now * 1000;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [now * 1000]));
  }
};
try {
  const event = new Webhook(secret).verify(body, headers);
  console.log(JSON.stringify(event));
} catch (error) {
  console.log(`refused: ${error.message}`);
  process.exit(1);
}
