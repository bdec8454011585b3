// Look at pages with a real browser: read jobs as JSON from standard input, write what was seen as JSON to standard output.
// A job: {url, width, height, scheme, media?, focus?, keys?, open?, click?, eval?, axe?, out?, pdf?, now?, scripts?, steps?, views?, together?}. Everything
// asked of another host is refused and reported. `now` fixes the page's clock; jobs that go `together` are done in one tab. A view looks at the same page again: {width, height, scheme, rules?},
// `rules` being those of axe that are asked, all where it is left out. A step: {wait?, click?, fill?: [selector, text], select?: [selector, value], press?, goto?, eval?, out?}.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8");
const { executable, jobs } = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const seen = [];
async function judged(page, rules) {
  return await page.evaluate(async ([source, only]) => {
    if (!window.axe) (0, eval)(source);
    const report = await window.axe.run(document, { resultTypes: ["violations"], ...(only ? { runOnly: only } : {}) });
    const violations = report.violations.map((v) => ({ id: v.id, impact: v.impact, help: v.help,
      nodes: v.nodes.slice(0, 5).map((n) => `${n.target.join(" ")}: ${n.failureSummary}`) }));
    return { violations, passes: report.passes.length };
  }, [axe, rules]);
}
const shared = new Map();
async function opened(job) {
  const options = {
    viewport: { width: job.width, height: job.height },
    colorScheme: job.scheme,
    ignoreHTTPSErrors: job.insecure === true,
    bypassCSP: job.axe === true,
    javaScriptEnabled: job.scripts !== false,
    timezoneId: "UTC",
    locale: "en-GB",
  };
  const name = JSON.stringify(options);
  const found = job.together ? shared.get(name) : undefined;
  const page = found ?? await (await browser.newContext(options)).newPage();
  if (job.together) shared.set(name, page.removeAllListeners());
  return page;
}
for (const job of jobs) {
  const page = await opened(job);
  page.setDefaultTimeout(60_000);
  const messages = [];
  const foreign = [];
  const own = new URL(job.url).origin;
  page.on("pageerror", (error) => messages.push(String(error)));
  page.on("console", (message) => messages.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(own) && !request.url().startsWith("data:")) foreign.push(request.url());
  });
  const failed = [];
  page.on("response", (response) => { if (response.status() >= 400 && response.url() !== job.url) failed.push(response.url()); });
  if (job.now) await page.clock.setFixedTime(job.now);
  const answer = await page.goto(job.url, { waitUntil: "load" });
  if (job.media) await page.emulateMedia({ media: job.media, colorScheme: job.scheme });
  if (job.focus) await page.locator(job.focus).first().focus();
  for (const key of job.keys ?? []) await page.keyboard.press(key);
  if (job.open) await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  await page.evaluate(() => document.fonts.ready.then(() => true));
  if (job.click) await page.locator(job.click).click({ force: true });
  const result = { url: job.url, status: answer.status(), messages, foreign, failed, told: [] };
  for (const [number, step] of (job.steps ?? []).entries()) try {
    if (step.goto) await page.evaluate((hash) => { location.hash = hash; }, step.goto);
    if (step.wait) await page.locator(step.wait).first().waitFor();
    if (step.fill) await page.locator(step.fill[0]).fill(step.fill[1]);
    if (step.select) await page.locator(step.select[0]).selectOption(step.select[1]);
    if (step.click) await page.locator(step.click).first().click();
    for (const key of step.press ?? []) await page.keyboard.press(key);
    if (step.eval) result.told.push(await page.evaluate(step.eval));
    if (step.out) await page.screenshot({ path: step.out, fullPage: step.full !== false });
  } catch (error) {
    throw new Error(`step ${number}: ${error.message}\n${messages.join("\n")}\n${await page.locator("body").innerText()}`);
  }
  if (job.eval) result.value = await page.evaluate(job.eval);
  if (job.axe) Object.assign(result, await judged(page, null));
  for (const view of job.views ?? []) {
    await page.setViewportSize({ width: view.width, height: view.height });
    await page.emulateMedia({ colorScheme: view.scheme });
    (result.views ??= []).push({ view, value: await page.evaluate(job.eval), ...await judged(page, view.rules ?? null) });
  }
  if (job.out) await page.screenshot({ path: job.out, fullPage: job.full !== false });
  if (job.pdf) await page.pdf({ path: job.pdf, format: "A4", printBackground: true });
  seen.push(result);
  if (!job.together) await page.context().close();
}
await browser.close();
process.stdout.write(JSON.stringify(seen));
