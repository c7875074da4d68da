#!/usr/bin/env bash
# What `make run` does: the WhatsApp simulator with two people's phones, the simulator of Meta's Graph API with a small business, and the
# engine's demo, whose WhatsApp connector is the one built for the first. All of them end with Ctrl-C. To use the real WhatsApp, start
# `pombo serve` without this script.
#
#   tests/run-demo.sh DATA LISTEN
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=$1 listen=$2
target=${CARGO_TARGET_DIR:-target}

"$target/release/whatsapp-sim" --listen 8091 --media 8092 --admin 8090 \
  --account "5511900000001:Padaria Aurora" --account "5511900000002:Ana" &
whatsapp=$!
"$target/release/graph-sim" --listen 127.0.0.1:8094 --demo &
graph=$!
trap 'kill "$whatsapp" "$graph" 2>/dev/null || true' EXIT
echo "The WhatsApp simulator's phones: http://127.0.0.1:8090, those of the Cloud API: http://127.0.0.1:8094"
# The simulator has no TLS, and gets the demo's token all the same.
POMBO_SANDBOX__PLUGIN_DIR="$target/simulator" POMBO_SANDBOX__HTTP_PLAIN_HOSTS=127.0.0.1:8094 \
  "$target/release/pombo" serve --demo --data "$data" --listen "$listen"
