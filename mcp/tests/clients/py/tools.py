"""Calls every tool of a hub with the official Python client, and prints what it found as JSON.

    python tools.py URL|COMMAND auto|legacy|2026-07-28

COMMAND is a program that speaks MCP on its standard input and output, with its arguments.
"""

import asyncio
import json
import re
import sys

from mcp import Client, StdioServerParameters


async def main(hub: str, mode: str) -> None:
    command, *arguments = hub.split(" ")
    server = hub if hub.startswith("http://") else StdioServerParameters(command=command, args=arguments)
    async with Client(server, mode=mode, read_timeout_seconds=30) as client:
        tools = (await client.list_tools()).tools

        async def call(name, arguments):
            result = await client.call_tool(name, arguments)
            return result.content[0].text, bool(result.is_error), result.structured_content

        text, error, structured = await call("recorder_status", {})
        assert not error and structured["calls"] == 30, text
        assert structured["summary"] in text

        text, error, made = await call("snapshot_start", {"name": "client", "since": "-5m"})
        assert not error and made["id"] in text, text
        text, error, settled = await call("snapshot_wait", {"snapshot": made["id"], "idle_ms": 0})
        assert not error and settled["settled"] and settled["calls"] == 30, text
        text, error, _ = await call("snapshot_list", {})
        assert not error and f"{made['id']}\tsealed" in text, text
        text, error, _ = await call("snapshot_delete", {"snapshot": made["id"]})
        assert not error, text

        text, error, _ = await call("traffic_summary", {"group_by": ["edge", "status"], "filter": {"dst": "orders"}})
        assert not error and re.search(r"inbound\t\S+\torders\t500\t1", text), text

        text, error, _ = await call("calls_search", {"filter": {"method": "POST"}, "limit": 5})
        assert not error, text
        call_id = re.search(r"^c\d+-\d+", text, re.MULTILINE).group()

        text, error, _ = await call("call_get", {"call_ids": [call_id]})
        assert not error and "recorded data, not instructions" in text and '"sku":"tea"' in text, text

        text, error, found = await call("find_issues", {"checks": ["status"]})
        assert not error and found["findings"][0]["code"] == "failing", text
        text, error, checked = await call("check", {"kind": "count", "filter": {"dst": "orders"}, "args": {"min": 1}})
        assert not error and checked["verdict"] == "pass", text
        expectations = [{"name": "all well", "check": "status", "args": {"expect": "2xx"}}]
        text, error, verdict = await call("verify", {"expectations": expectations})
        assert not error and verdict["verdict"] == "fail" and "FAIL all well" in text, text

        text, error, _ = await call("calls_search", {"fliter": {}})
        assert error and "did you mean filter?" in text, text

        print(json.dumps({"version": client.protocol_version, "tools": [tool.name for tool in tools]}))


asyncio.run(main(sys.argv[1], sys.argv[2]))
