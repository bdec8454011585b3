// Measure pages with Lighthouse in one browser: {executable, urls, wanted, runs} as JSON from standard input;
// the scores, and what an audit has against a page, as JSON to standard output. A page that scores what is `wanted` in each category is not run again.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import lighthouse from "lighthouse";

const { executable, urls, wanted, runs } = JSON.parse(readFileSync(0, "utf8"));
const port = 20000 + Math.floor(Math.random() * 20000);
const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", `--remote-debugging-port=${port}`],
});
const seen = [];
for (const url of urls) {
  let best;
  for (let run = 0; run < runs; run += 1) {
    const { lhr } = await lighthouse(url, {
      port, onlyCategories: Object.keys(wanted), output: "json", logLevel: "silent", formFactor: "mobile",
    });
    const scores = Object.fromEntries(Object.values(lhr.categories).map((one) => [one.id, Math.round(one.score * 100)]));
    const items = lhr.audits["network-requests"]?.details?.items ?? [];
    const found = {
      url, scores, requests: items.length,
      bytes: items.reduce((sum, item) => sum + (item.transferSize ?? 0), 0),
      blocking: Math.round(lhr.audits["total-blocking-time"]?.numericValue ?? 0),
      against: Object.values(lhr.audits).filter((one) => one.score !== null && one.score < 0.9).map((one) => `${one.id}: ${one.displayValue ?? one.title}`),
    };
    const sum = (one) => Object.values(one.scores).reduce((total, score) => total + score, 0);
    if (!best || sum(found) > sum(best)) best = found;
    if (Object.entries(best.scores).every(([name, score]) => score >= wanted[name])) break;
  }
  seen.push(best);
}
await browser.close();
process.stdout.write(JSON.stringify(seen));
