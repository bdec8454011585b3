// The API, asked with a session token that this page was handed and that it gives to nobody else.

/** What the API refused, by the code of its problem. */
export class RefusedError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.status = status;
    this.code = String(problem.type ?? "").split("/").pop() || `http-${status}`;
    this.advice = problem.advice ?? "";
  }

  /** Whether the session itself is over or was never good. */
  get ends() { return this.status === 401; }
}

/** The server could not be reached at all. */
export class AwayError extends Error {}

const PLACE = "heldtrue.portal.session";
let held = null;

/** Take the token out of the address, if one is there, and out of the browser's history; return it, or the one kept. */
export function token() {
  const given = /^#token=([A-Za-z0-9_.-]+)$/.exec(location.hash);
  if (given) {
    held = { token: given[1], at: Date.now() };
    stored((place) => place.setItem(PLACE, JSON.stringify(held)));
    history.replaceState(null, "", `${location.pathname}#/`);
  }
  held ??= JSON.parse(stored((place) => place.getItem(PLACE)) ?? "null");
  return held?.token ?? null;
}

/** Forget the token. */
export function forget() {
  held = null;
  stored((place) => place.removeItem(PLACE));
}

/** Use this tab's storage; in frames where the browser refuses it, the token is in memory alone. */
function stored(use) {
  try {
    return use(sessionStorage);
  } catch (error) {
    console.info("Nothing is kept for this tab:", error.name);
    return null;
  }
}

/**
 * Return when the session ends by this machine's clock, in milliseconds; null where the token does not tell. It is
 * counted from the token's arrival, so that a wrong clock ends nothing; the server judges, this is for the reader.
 */
export function end() {
  try {
    const said = JSON.parse(atob(held.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return held.at + (said.exp - said.iat) * 1000 || null;
  } catch {
    return null;
  }
}

/** Ask the API; give its JSON, or throw RefusedError or AwayError. */
export function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = crypto.randomUUID();
  return asked(method, path, headers, body === undefined ? undefined : JSON.stringify(body));
}

async function asked(method, path, more, body) {
  const headers = { Accept: "application/json", Authorization: `Bearer ${token()}`, ...more };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, credentials: "omit", cache: "no-store" });
  } catch (error) {
    throw new AwayError("The server does not answer.", { cause: error });
  }
  if (!answer.ok) throw new RefusedError(answer.status, await answer.json().catch(() => ({})));
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, query = {}) => {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== ""));
  return call("GET", given.size ? `${path}?${given}` : path);
};
/** Post bytes as they are, under their own type. */
export const send = (path, query, body, type) => asked("POST", `${path}?${new URLSearchParams(query)}`, { "Content-Type": type }, body);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

/** Give the first bytes of a payload as text, or null where it is no text. */
export async function contentOf(payload, most) {
  const answer = await fetch(`/v1/payloads/${payload}/content`, {
    headers: { Accept: "*/*", Authorization: `Bearer ${token()}` }, credentials: "omit", cache: "no-store",
  });
  if (!answer.ok) throw new RefusedError(answer.status, await answer.json().catch(() => ({})));
  const reader = answer.body.getReader();
  const parts = [];
  let size = 0;
  while (size < most) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
  }
  await reader.cancel();
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer()).subarray(0, most);
  const text = new TextDecoder("utf-8").decode(bytes, { stream: true });
  return /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text) ? null : text;
}
