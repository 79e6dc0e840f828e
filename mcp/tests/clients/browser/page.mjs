// Opens the web page of a hub in Chromium, asks it for a filter and a call, and prints what it showed,
// as JSON. With a fourth argument, pictures go to that directory.
//
//     node page.mjs DIRECTORY-WITH-NODE_MODULES URL FILTER [PICTURES]
import { createRequire } from "node:module";

const [directory, url, filter, pictures] = process.argv.slice(2);
const { chromium } = createRequire(`${directory}/`)("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.REMORA_CHROMIUM ?? "/usr/bin/chromium-headless-shell",
  args: ["--no-sandbox"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
const problems = [];
const asked = [];
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
page.on("pageerror", (error) => problems.push(String(error)));
page.on("dialog", (dialog) => { problems.push(dialog.message()); dialog.dismiss(); });
page.on("request", (request) => asked.push(request.url()));

const text = (selector) => page.textContent(selector);
const picture = (name) => pictures && page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });

await page.goto(url);
await page.waitForSelector("body[data-ready]");
const shown = {
  status: await text("#status"),
  nodes: await page.locator("svg .node").count(),
  edges: await page.locator("svg .edge").count(),
  calls: await page.locator("#calls tr").count(),
};
await picture("all");
await page.fill("#filter", "methd == 1");
await page.click("#ask button");
await page.waitForFunction(() => document.getElementById("problem").textContent !== "");
shown.problem = await text("#problem");
await page.fill("#filter", filter);
await page.click("#ask button");
await page.waitForFunction(() => document.getElementById("problem").textContent === "");
shown.filtered = await page.locator("#calls tr").count();
await page.locator("#calls tr").first().click();
await page.waitForSelector("#call pre");
shown.call = await text("#call");
shown.row = await text("#calls tr");
await picture("call");
shown.elements = await page.locator("#call *, #calls *, svg *").evaluateAll((all) => [...new Set(all.map((it) => it.localName))].sort());
shown.strangers = asked.filter((it) => new URL(it).origin !== new URL(url).origin);
shown.problems = problems;
await browser.close();
console.log(JSON.stringify(shown));
