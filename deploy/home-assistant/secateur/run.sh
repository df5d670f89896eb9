#!/bin/sh
# Options of the add-on (/data/options.json) to those of `secateur serve`; the supervisor gives address and token.
set -eu
read_option() { jq -r --arg key "$1" '.[$key] // ""' /data/options.json; }
language=$(read_option language)
model=$(read_option model)
key=$(read_option api_key)
case "$language" in zh) grammar=home_zh ;; *) grammar=home ;; esac
if [ -n "$key" ]; then SECATEUR_API_KEY=$key; export SECATEUR_API_KEY; fi
export SECATEUR_CACHE=/data
set -- --host 0.0.0.0 --port 8000 --wyoming-port 10300 --wyoming-without-key yes --assistant "$grammar" \
    --settings.home-assistant-url http://supervisor/core --settings.home-token "$SUPERVISOR_TOKEN" \
    --settings.notes /data/notes.txt
[ -z "$model" ] || set -- "$@" --models "$model"
exec secateur serve "$@"
