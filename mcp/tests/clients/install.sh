#!/usr/bin/env bash
# Installs the clients that the tests run: the official ones of MCP, Prometheus' own reader of metrics,
# and what opens an archive in a browser.
source "$(dirname "$0")/../../../.ci/clients"
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

begin "$clients" $sdk_v1 $sdk_v2 $python_sdk $prometheus $playwright $har_schema $ajv $conformance $inspector $suite_node
from_npm "$clients/node" "@modelcontextprotocol/sdk@$sdk_v1" "@modelcontextprotocol/client@$sdk_v2"
from_npm "$clients/browser" "playwright-core@$playwright" "har-schema@$har_schema" "ajv@$ajv"
from_npm "$clients/suite" "@modelcontextprotocol/conformance@$conformance" \
  "@modelcontextprotocol/inspector@$inspector" "node@$suite_node"
from_pypi "$clients/python" "mcp==$python_sdk" "prometheus-client==$prometheus"
finish
