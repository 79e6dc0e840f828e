#!/usr/bin/env bash
# Installs the clients that the tests run, each at the version named here: the official ones of MCP,
# Prometheus' own reader of metrics, and what opens an archive in a browser.
# Where: $REMORA_CLIENTS, else target/clients. Needs node 20, npm, and python 3.10 with venv.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
into=${REMORA_CLIENTS:-$root/target/clients}
sdk_v1=1.32.2
sdk_v2=2.4.0
python_sdk=2.3.0
conformance=0.2.0-alpha.12
inspector=2.12.0
suite_node=22.23.3
prometheus=0.26.0
playwright=1.65.1
har_schema=2.0.0
ajv=6.15.0

# A mark that names the versions: a second run has nothing to do.
mark="$into/installed $sdk_v1 $sdk_v2 $python_sdk $prometheus $playwright $har_schema $ajv $conformance $inspector $suite_node"
[ -e "$mark" ] && exit 0

for program in node npm python3; do
  command -v "$program" >/dev/null || { echo "$0: $program is missing; the clients need node 20 with npm, and python 3.10" >&2; exit 1; }
done

mkdir -p "$into/node"
npm install --prefix "$into/node" --no-audit --no-fund --no-save --loglevel=error \
  "@modelcontextprotocol/sdk@$sdk_v1" "@modelcontextprotocol/client@$sdk_v2"
mkdir -p "$into/browser"
npm install --prefix "$into/browser" --no-audit --no-fund --no-save --loglevel=error \
  "playwright-core@$playwright" "har-schema@$har_schema" "ajv@$ajv"
mkdir -p "$into/suite"
npm install --prefix "$into/suite" --no-audit --no-fund --no-save --loglevel=error \
  "@modelcontextprotocol/conformance@$conformance" "@modelcontextprotocol/inspector@$inspector" "node@$suite_node"
python3 -m venv "$into/python"
"$into/python/bin/pip" install --quiet --disable-pip-version-check "mcp==$python_sdk" \
  "prometheus-client==$prometheus"
touch "$mark"
