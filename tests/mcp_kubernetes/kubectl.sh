#!/bin/sh
# Stands in for kubectl where there is no kubelet that could forward a port: what is asked is written to $PLACE/asked,
# `port-forward` leads to the port in $PLACE/port, `create token` prints $PLACE/token if that is there, and everything else
# is asked of the real one, $KUBECTL.
echo "$*" >>"$PLACE/asked"
case "$1" in
port-forward)
  [ -f "$PLACE/port" ] || { echo "error: unable to forward port because pod is not running" >&2; exit 1; }
  echo $$ >>"$PLACE/pids"
  echo "Forwarding from 127.0.0.1:$(cat "$PLACE/port") -> 8899"
  exec sleep 600
  ;;
create)
  [ ! -f "$PLACE/token" ] || exec cat "$PLACE/token"
  ;;
esac
exec "$KUBECTL" "$@"
