// Call an API from a page with a session token: kept in memory only, refreshed before it ends, asked for once.
//
//   import { Session } from "./session_browser.mjs";
//   const session = new Session(async () => (await fetch("/my/session", { method: "POST" })).json());
//   const answer = await session.fetch("https://api.example.com/v1/receipts");
//
// `mint` asks your own server, with your own login, and gives {token, expires_at}. No cookie, no storage: what a script
// of somebody else's could read later is not there.

const MARGIN = 30_000; // milliseconds before the end at which another token is asked for

export class Session {
  #mint;
  #now;
  #token = null;
  #ends = 0;
  #asking = null;

  constructor(mint, now = () => Date.now()) {
    this.#mint = mint;
    this.#now = now;
  }

  // Call with the token; one refusal (401) asks for a fresh token and tries once more.
  async fetch(url, options = {}) {
    const answer = await this.#call(url, options);
    if (answer.status !== 401) return answer;
    this.forget();
    return this.#call(url, options);
  }

  // Forget the token: at the end of your user's own session.
  forget() {
    this.#token = null;
    this.#ends = 0;
  }

  async #call(url, options) {
    const headers = new Headers(options.headers);
    headers.set("Authorization", `Bearer ${await this.#current()}`);
    return fetch(url, { ...options, headers, credentials: "omit", referrerPolicy: "no-referrer" });
  }

  async #current() {
    if (this.#token !== null && this.#now() < this.#ends - MARGIN) return this.#token;
    this.#asking ??= this.#ask().finally(() => (this.#asking = null)); // many callers, one request
    return this.#asking;
  }

  async #ask() {
    const minted = await this.#mint();
    this.#token = minted.token;
    this.#ends = Date.parse(minted.expires_at);
    return this.#token;
  }
}
