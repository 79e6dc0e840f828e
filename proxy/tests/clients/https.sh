#!/usr/bin/env bash
# Installs the Python clients that tests/it/intercepted/clients.rs runs.
source "$(dirname "$0")/../../../.ci/clients"
into=$clients/https
requests=2.34.2
httpx=0.28.1
h2=4.4.1

begin "$into" $requests $httpx $h2
from_pypi "$into/python" "requests==$requests" "httpx==$httpx" "h2==$h2"
finish
