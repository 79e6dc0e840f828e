#!/usr/bin/env bash
# Installs the clients and servers that tests/it/namespaced/streams.rs and http2.rs run, each at the
# version named here. Where: streams in $REMORA_CLIENTS, else in target/clients. Needs node 20, npm,
# and python 3.10 with venv.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
into=${REMORA_CLIENTS:-$root/target/clients}/streams
ws=8.23.0
eventsource=4.1.1
websockets=17.4
grpcio=1.85.3
hypercorn=0.18.0
grpc_js=1.14.7

# A mark that names the versions: a second run has nothing to do.
mark="$into/installed $ws $eventsource $websockets $grpcio $hypercorn $grpc_js"
[ -e "$mark" ] && exit 0

for program in node npm python3; do
  command -v "$program" >/dev/null || { echo "$0: $program is missing; the clients need node 20 with npm, and python 3.10" >&2; exit 1; }
done

mkdir -p "$into/node"
npm install --prefix "$into/node" --no-audit --no-fund --no-save --loglevel=error \
  "ws@$ws" "eventsource@$eventsource" "@grpc/grpc-js@$grpc_js"
python3 -m venv "$into/python"
"$into/python/bin/pip" install --quiet --disable-pip-version-check "websockets==$websockets" \
  "grpcio==$grpcio" "hypercorn==$hypercorn"
touch "$mark"
