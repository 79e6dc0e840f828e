#!/usr/bin/env bash
# Installs the clients of Redis that tests/redis.rs runs, and what the services of tests/cache_story.rs
# stand on.
source "$(dirname "$0")/../../.ci/clients"
into=$clients/redis
redis_py=8.1.0
psycopg=3.3.9
requests_cache=1.3.3
ioredis=6.0.0
node_redis=6.3.1

begin "$into" $redis_py $psycopg $requests_cache $ioredis $node_redis
from_npm "$into/node" "ioredis@$ioredis" "redis@$node_redis"
from_pypi "$into/python" "redis==$redis_py" "psycopg[binary]==$psycopg" "requests-cache==$requests_cache"
finish
