#!/usr/bin/env bash
# Tests the SDKs for JavaScript and Python, and components built with them. Installs what it needs into target/sdk-venv and
# sdk/js/node_modules; needs Node 20 and Python 3.11.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! cmp -s js/package-lock.json js/node_modules/lock.installed; then
  echo "sdk: installing the npm packages of sdk/js"
  # Not `npm ci`: it insists on lock entries for platforms that componentize-qjs names and does not publish for.
  (cd js && npm install --no-save --ignore-scripts --silent)
  cp js/package-lock.json js/node_modules/lock.installed
fi
venv=${CARGO_TARGET_DIR:-../target}/sdk-venv
if ! cmp -s python/tests/requirements.txt "$venv/requirements.installed"; then
  echo "sdk: installing sdk/python/tests/requirements.txt into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r python/tests/requirements.txt
  cp python/tests/requirements.txt "$venv/requirements.installed"
fi
venv=$(realpath "$venv")

(cd js && npm test)
cd python
PYTHONPATH=src "$venv/bin/python" -m pytest -q -p no:cacheprovider
bindings=$(mktemp -d)
trap 'rm -rf "$bindings"' EXIT
"$venv/bin/componentize-py" --wit-path ../../wit/automation --world automation bindings "$bindings/world" >/dev/null
MYPYPATH="$bindings/world:src" "$venv/bin/mypy" --strict --python-version 3.11 --cache-dir "$bindings/cache" -p pombo_plugin
