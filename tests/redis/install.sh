#!/usr/bin/env bash
# Installs the clients of Redis that tests/redis.rs runs.
source "$(dirname "$0")/../../.ci/clients"
into=$clients/redis
redis_py=8.1.0
ioredis=6.0.0
node_redis=6.3.1

begin "$into" $redis_py $ioredis $node_redis
from_npm "$into/node" "ioredis@$ioredis" "redis@$node_redis"
from_pypi "$into/python" "redis==$redis_py"
finish
