#!/usr/bin/env bash
# Installs the clients and servers that tests/it/namespaced/streams.rs and http2.rs run, and the streams
# and reflection of the end-to-end tests, and what retries in tests/verdicts.rs.
source "$(dirname "$0")/../../../.ci/clients"
into=$clients/streams
ws=8.23.0
eventsource=4.1.1
websockets=17.4
grpcio=1.85.3
hypercorn=0.18.0
grpc_js=1.14.7
grpc_loader=0.8.1
grpc_reflection=1.0.4
grpcio_reflection=1.85.1
urllib3=2.8.0
tenacity=9.2.1

begin "$into" $ws $eventsource $websockets $grpcio $hypercorn $grpc_js $grpc_loader $grpc_reflection $grpcio_reflection $urllib3 $tenacity
from_npm "$into/node" "ws@$ws" "eventsource@$eventsource" "@grpc/grpc-js@$grpc_js" \
  "@grpc/proto-loader@$grpc_loader" "@grpc/reflection@$grpc_reflection"
from_pypi "$into/python" "websockets==$websockets" "grpcio==$grpcio" "grpcio-reflection==$grpcio_reflection" \
  "hypercorn==$hypercorn" "urllib3==$urllib3" "tenacity==$tenacity"
finish
