// The customers' page: takes its token out of the address, shows the place that the address names, and keeps nothing.

import { AwayError, RefusedError, end, forget, get, token } from "./api.mjs";
import { button, h, mark } from "./parts.mjs";
import { transform, transforms } from "./trials.mjs";
import { delivery, endpoint, overview } from "./views.mjs";

const PLACES = [
  [/^#\/endpoints\/(end_[0-9a-f]{32})$/, endpoint],
  [/^#\/deliveries\/(del_[0-9a-f]{32})$/, delivery],
  [/^#\/transforms$/, transforms],
  [/^#\/transforms\/(trf_[0-9a-f]{32})$/, transform],
  [/^(#\/?)?$/, overview],
];
const ENDED = {
  none: ["This page is opened by a link", "It shows where your data is delivered to, and how it went, to whoever comes with a link that was made for them. Go to the place where you found it, and open it from there; a link works for some minutes."],
  "session-expired": ["Your session is over", "It lasted for as long as it was made for, and nothing went wrong. Go back to where you came from, and open this page again."],
  "session-revoked": ["Your session was ended", "Whoever runs this ended all sessions of your organisation. Go back to where you came from, and open this page again; if that does not help, ask them why."],
  other: ["This link is not for this place", "Its token was not issued here, or was changed on the way. Ask whoever gave you the link for another one."],
};
let self = null;
let clock = 0;
let shown = 0;

async function show() {
  const main = document.getElementById("main");
  const value = token();
  const mine = ++shown;
  if (!value) return ended("none");
  tick();
  const found = PLACES.map(([pattern, view]) => [pattern.exec(location.hash), view]).find(([match]) => match);
  main.setAttribute("aria-busy", "true");
  try {
    self ??= await get("/v1/self");
    const view = found ? await found[1](self, found[0][1], show) : nowhere();
    if (mine !== shown) return;
    main.replaceChildren(...[view].flat(Infinity).filter(Boolean));
    document.title = `${main.querySelector("h1")?.textContent ?? "Your deliveries"} – Deliveries`;
  } catch (error) {
    if (mine === shown) failed(error);
  } finally {
    if (mine === shown) main.removeAttribute("aria-busy");
  }
}

/** Whatever a view or a button throws ends up here: a session that is over, or something that can be tried again. */
function failed(error) {
  if (error instanceof RefusedError && error.ends) return ended(error.code);
  if (!(error instanceof RefusedError || error instanceof AwayError)) console.error(error);
  const away = error instanceof AwayError || error.status >= 500;
  const title = away ? "The server cannot say now" : error.status === 403 ? "You may not see this" : error.status === 404 ? "There is no such thing" : "Something went wrong";
  const text = away ? "Nothing is lost: deliveries go on by themselves. Try again in a moment." : `${error.message} ${error.advice ?? ""}`;
  notice("failing", title, text, button("Try again", show), h("a", { href: "#/" }, "All endpoints"));
}

function ended(code) {
  const [title, text] = ENDED[code] ?? ENDED.other;
  forget();
  self = null;
  clearInterval(clock);
  document.getElementById("session").textContent = "";
  document.querySelectorAll("dialog").forEach((one) => one.close());
  tell("session-ended");
  notice(code === "none" ? "promised" : "stale", title, text);
}

function notice(kind, title, text, ...more) {
  document.title = title;
  document.getElementById("main").replaceChildren(
    h("section", { class: `empty ${kind}` }, mark(kind), h("h1", { class: "page" }, title), h("p", { class: "lede" }, text), more.length ? h("div", { class: "row" }, more) : null));
}

function nowhere() {
  return h("section", { class: "empty" }, mark("promised"), h("h1", { class: "page" }, "There is nothing at this address"), h("p", {}, h("a", { href: "#/" }, "All endpoints")));
}

/** Show how long the session lasts, and tell a page that frames this one in time for it to hand in another token. */
function tick() {
  const over = end();
  const place = document.getElementById("session");
  let warned = false;
  const look = () => {
    const left = Math.round((over - Date.now()) / 1000);
    if (left <= 0) return ended("session-expired");
    if (left <= 60 && !warned) {
      warned = true;
      tell("session-ending");
    }
    place.textContent = `Session ends in ${left < 90 ? `${left} s` : `${Math.ceil(left / 60)} min`}`;
  };
  clearInterval(clock);
  if (over === null) return;
  clock = setInterval(look, 1000);
  look();
}

/** Tell the page that frames this one; it says nothing that a stranger could use. */
function tell(event) {
  if (window.parent !== window) window.parent.postMessage({ source: "heldtrue-portal", event }, "*");
}

window.addEventListener("hashchange", () => {
  const renewed = location.hash.startsWith("#token=");
  if (renewed) self = null;
  show().then(() => renewed || document.getElementById("main").focus({ preventScroll: false }));
});
document.querySelector("a.skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment is where we are, and not to be replaced
  document.getElementById("main").focus();
});
window.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  failed(event.reason);
});
await show();
