// Checks an archive against the schema of HAR 1.2, then has Chromium ask for everything in it and be
// answered from it alone. Prints what Chromium got, as JSON.
//
//     node har.mjs DIRECTORY-WITH-NODE_MODULES FILE ORIGIN
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [directory, file, origin] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
const Ajv = require("ajv");
const { chromium } = require("playwright-core");

const archive = JSON.parse(readFileSync(file, "utf8"));
const ajv = new Ajv({ allErrors: true });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-06.json"));
ajv.addSchema(Object.values(require("har-schema")));
const valid = ajv.validate("har.json#", archive);

const browser = await chromium.launch({
  executablePath: process.env.REMORA_CHROMIUM ?? "/usr/bin/chromium-headless-shell",
  args: ["--no-sandbox"],
});
const context = await browser.newContext();
await context.routeFromHAR(file, { notFound: "abort" });
// A page of the same origin, from which everything may be asked for.
await context.route(`${origin}/-/page`, (route) => route.fulfill({ body: "<!doctype html>", contentType: "text/html" }));
const page = await context.newPage();
await page.goto(`${origin}/-/page`);
const answers = await page.evaluate(
  (requests) =>
    Promise.all(
      requests.map(async ({ method, url, postData }) => {
        const response = await fetch(url, { method, body: postData?.text });
        const bytes = new Uint8Array(await response.arrayBuffer());
        return { url, status: response.status, body: btoa(String.fromCharCode(...bytes)) };
      }),
    ),
  archive.log.entries.map((entry) => entry.request),
);
await browser.close();
console.log(JSON.stringify({ valid, errors: ajv.errors, answers }));
