#!/usr/bin/env bash
# Installs what a target of the Makefile needs on Debian 12, and says what it installs. What is already there is left alone.
#
#   tests/setup.sh build   a C compiler (for the few dependencies with C or assembly in them)
#   tests/setup.sh lint    rustfmt and clippy
#   tests/setup.sh test    build's, postfix, curl, Node with npm, Baileys (tests/whatsapp/baileys), PHP, and a Python environment in
#                          target/venv (tests/requirements.txt)
#   tests/setup.sh bench   redis, Node with npm, and the benchmark peer's npm packages (tests/peers/queue-bench)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "needs root for: $* (run it yourself, or install sudo)"
  fi
}

# Installs the Debian packages given that are missing.
packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "please install: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Installs the npm packages that a folder's lock file names. Not by `npm ci`: npm 11 refuses with it every lock in which an optional
# package names a platform that it was never published for. `npm install` takes the same versions from the same lock.
npm_packages() {
  local folder=$1
  cmp -s "$folder/package-lock.json" "$folder/node_modules/lock.installed" && return
  say "installing the npm packages of $folder"
  (cd "$folder" && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$folder/package-lock.json" "$folder/node_modules/lock.installed"
}

for_build() {
  command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup (https://rustup.rs)"
  local want have
  want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version | cut -d' ' -f2)
  if [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n1)" != "$want" ]; then
    fail "Rust $want or newer is needed and $have is active: run 'rustup update stable && rustup default stable'"
  fi
  command -v cc >/dev/null || packages gcc libc6-dev
  # What an earlier command compiled is not to be compiled again.
  tests/tools/settle_protocol.sh "${CARGO_TARGET_DIR:-target}"
}

for_lint() {
  local component
  for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 && continue
    say "installing the Rust component $component"
    rustup component add "$component"
  done
}

for_test() {
  command -v curl >/dev/null || packages curl
  if [ ! -x /usr/sbin/postfix ]; then
    # "No configuration": the system gets no mail server of its own; the test starts one with a private configuration.
    echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
    packages postfix
  fi
  command -v npm >/dev/null || packages nodejs npm
  npm_packages tests/whatsapp/baileys
  command -v php >/dev/null || packages php-cli
  python3 -c 'import ensurepip, venv' 2>/dev/null || packages python3-venv
  local venv=target/venv
  if ! cmp -s tests/requirements.txt "$venv/requirements.installed"; then
    say "installing the test tools of tests/requirements.txt into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/requirements.txt
    cp tests/requirements.txt "$venv/requirements.installed"
  fi
}

for_bench() {
  command -v redis-server >/dev/null || packages redis-server
  command -v npm >/dev/null || packages nodejs npm
  npm_packages tests/peers/queue-bench
}

[ $# -gt 0 ] || fail "say what for: build, lint, test, bench"
for purpose in "$@"; do
  case $purpose in
    build|lint|test|bench) "for_$purpose" ;;
    *) fail "unknown purpose '$purpose' (build, lint, test, bench)" ;;
  esac
done
