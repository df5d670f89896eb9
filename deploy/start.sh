#!/bin/sh
# What the image runs; further options of `secateur serve` may follow. Without a key nobody outside the container is answered.
#   SECATEUR_API_KEY or /run/secrets/secateur_key   the key that HTTP clients send
#   SECATEUR_OPEN=yes       answer everybody on the network without a key
#   SECATEUR_WYOMING=yes    serve Wyoming, which knows no key, at 10300: keep that port inside your network
set -eu
key=/run/secrets/secateur_key
host=127.0.0.1
if [ -s "$key" ]; then
    host=0.0.0.0
    set -- --api-key-file "$key" "$@"
elif [ -n "${SECATEUR_API_KEY:-}" ] || [ "${SECATEUR_OPEN:-no}" = yes ]; then
    host=0.0.0.0
else
    echo "secateur: no key, so only 127.0.0.1 of this container is listened on: set SECATEUR_API_KEY" >&2
fi
if [ "${SECATEUR_WYOMING:-no}" = yes ]; then
    set -- --wyoming-port 10300 --wyoming-without-key yes "$@"
fi
exec secateur serve --host "$host" --port 8000 "$@"
