#!/usr/bin/env bash
# Builds the automations that benchmarks upload, with the SDKs' own builders as `pombo plugin build` calls them:
# target/sdk/echo-js.wasm and target/sdk/echo-python.wasm. The one in Rust is plugins/echo, built by plugins/build.sh.
# Installs what the SDKs name into sdk/js/node_modules and target/sdk/venv; needs Node 20 and Python 3.11.
# Run again, it builds only what changed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/sdk
mkdir -p "$out"
say() { printf 'guests: %s\n' "$*"; }

# is_new COMPONENT FOLDER…: whether it was made after the last change in the folders.
is_new() {
  local component=$1
  shift
  [ -f "$component" ] && [ -z "$(find "$@" -name node_modules -prune -o -name __pycache__ -prune -o -type f -newer "$component" -print -quit)" ]
}

javascript() {
  is_new "$out/echo-js.wasm" tests/guests/echo-js sdk/js/bin sdk/js/src sdk/js/wit sdk/js/package.json && return
  command -v npm >/dev/null || { say "Node 20 and npm are missing" >&2; exit 1; }
  if ! cmp -s sdk/js/package-lock.json sdk/js/node_modules/lock.installed; then
    say "installing the npm packages of sdk/js"
    # Not `npm ci`: it insists on lock entries for platforms that componentize-qjs names and does not publish for.
    (cd sdk/js && npm install --no-save --ignore-scripts --silent)
    cp sdk/js/package-lock.json sdk/js/node_modules/lock.installed
  fi
  rm -rf "$out/echo-js"
  cp -r tests/guests/echo-js "$out/echo-js"
  mkdir -p "$out/echo-js/node_modules/@pombo"
  ln -s "$root/sdk/js" "$out/echo-js/node_modules/@pombo/plugin"
  (cd "$out/echo-js" && node "$root/sdk/js/bin/pombo-build.js" --out "$out/echo-js.wasm")
}

python() {
  is_new "$out/echo-python.wasm" tests/guests/echo-python sdk/python/src sdk/python/pyproject.toml && return
  local venv=$out/venv
  if ! cmp -s sdk/python/pyproject.toml "$venv/installed"; then
    say "installing what sdk/python/pyproject.toml names into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
      "$(sed -n 's/^dependencies = \["\(.*\)"\]$/\1/p' sdk/python/pyproject.toml)"
    cp sdk/python/pyproject.toml "$venv/installed"
  fi
  (cd tests/guests/echo-python && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$root/sdk/python/src" \
    "$venv/bin/python" -m pombo_plugin.build --out "$out/echo-python.wasm")
}

javascript
python
say "ready in $out"
