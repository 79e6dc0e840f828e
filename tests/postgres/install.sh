#!/usr/bin/env bash
# Installs the clients of PostgreSQL that tests/postgres.rs runs, and an ORM.
source "$(dirname "$0")/../../.ci/clients"
into=$clients/postgres
psycopg=3.3.9
sqlalchemy=2.1.9
pg=8.23.1

begin "$into" $psycopg $sqlalchemy $pg
from_npm "$into/node" "pg@$pg"
from_pypi "$into/python" "psycopg[binary]==$psycopg" "sqlalchemy==$sqlalchemy"
finish
