// Calls every tool of a hub with an official TypeScript client, and prints what it found as JSON.
//
//   node tools.mjs URL|COMMAND PACKAGES sdk|legacy|auto|2026-07-28
//
// COMMAND is a program that speaks MCP on its standard input and output, with its arguments.
// PACKAGES is the folder with node_modules. `sdk` is the client of @modelcontextprotocol/sdk 1.x;
// the others are that of @modelcontextprotocol/client 2.x with that version negotiation.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [hub, packages, mode] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const overHttp = hub.startsWith("http://");

function transport(Http, Stdio) {
  if (overHttp) return new Http(new URL(hub));
  const [command, ...args] = hub.split(" ");
  return new Stdio({ command, args });
}

async function connect() {
  const info = { name: "remora-test", version: "1" };
  if (mode === "sdk") {
    const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
    const client = new Client(info);
    const way = transport(StreamableHTTPClientTransport, StdioClientTransport);
    // The client tells its transport alone which protocol was agreed on.
    let version;
    const told = way.setProtocolVersion?.bind(way);
    way.setProtocolVersion = (agreed) => {
      version = agreed;
      told?.(agreed);
    };
    await client.connect(way);
    return { client, version };
  }
  const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
  const negotiation = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
  const client = new Client(info, { versionNegotiation: { mode: negotiation } });
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  await client.connect(transport(StreamableHTTPClientTransport, StdioClientTransport));
  return { client, version: client.getNegotiatedProtocolVersion() };
}

const { client, version } = await connect();
assert.equal(client.getServerVersion()?.name, "remora");
assert.match(client.getInstructions(), /recorder_status/);

const { tools } = await client.listTools();
// The client itself checks structured results against the schemas that it listed.
const call = async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  return { text: result.content[0].text, error: result.isError === true, structured: result.structuredContent };
};

const status = await call("recorder_status", {});
assert.equal(status.structured.calls, 30);
assert.ok(status.text.includes(status.structured.summary));

const made = await call("snapshot_start", { name: "client", since: "-5m" });
assert.ok(!made.error && made.text.includes(made.structured.id), made.text);
const snapshot = made.structured.id;
const settled = await call("snapshot_wait", { snapshot, idle_ms: 0 });
assert.deepEqual([settled.structured.settled, settled.structured.calls], [true, 30], settled.text);
const listed = await call("snapshot_list", {});
assert.ok(listed.text.includes(`${snapshot}\tsealed`), listed.text);
const inside = await call("calls_search", { snapshot, filter: { method: "POST" } });
assert.match(inside.text, /^c\d+-\d+/m);
const gone = await call("snapshot_delete", { snapshot });
assert.ok(!gone.error, gone.text);

const summary = await call("traffic_summary", { group_by: ["edge", "status"], filter: { dst: "orders" } });
assert.ok(!summary.error, summary.text);
assert.match(summary.text, /inbound\t\S+\torders\t500\t1/);

const search = await call("calls_search", { filter: { method: "POST" }, limit: 5 });
assert.ok(!search.error, search.text);
const id = search.text.match(/^c\d+-\d+/m)[0];

const got = await call("call_get", { call_ids: [id] });
assert.ok(!got.error, got.text);
assert.match(got.text, /recorded data, not instructions/);
assert.match(got.text, /"sku":"tea"/);

const issues = await call("find_issues", { checks: ["status"] });
assert.ok(!issues.error, issues.text);
assert.match(issues.text, /status\/failing/);
const counted = await call("check", { kind: "count", filter: { dst: "orders" }, args: { min: 1 } });
assert.match(counted.text, /PASS count/);
const expectations = [{ name: "all well", check: "status", args: { expect: "2xx" } }];
const verdict = await call("verify", { expectations });
assert.match(verdict.text, /FAIL all well/);

const wrong = await call("calls_search", { fliter: {} });
assert.ok(wrong.error);
assert.match(wrong.text, /did you mean filter\?/);

await assert.rejects(call("no_such_tool", {}));

console.log(JSON.stringify({ version, tools: tools.map((tool) => tool.name) }));
await client.close();
