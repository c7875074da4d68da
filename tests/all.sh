#!/usr/bin/env bash
# Every test, in steps; ends with a table of the seconds that each step took (`make test`).
#
#   tests/all.sh            all steps
#   tests/all.sh STEP…      these alone; `tests/all.sh --list` names them
#
# The engine's own crates are compiled without optimisation, for the binary, which the end-to-end tests run, and for their own tests;
# `make build` and `make bench` compile them at full optimisation, over the same compiled dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# plain CARGO-ARGUMENTS: cargo without optimisation of the workspace's own crates, and of these alone, so that no dependency is compiled
# again.
plain() {
  local crate levels=()
  for crate in $(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(*(package["name"] for package in json.load(sys.stdin)["packages"]))'); do
    levels+=(--config "profile.release.package.$crate.opt-level=${TEST_OPT_LEVEL:-0}")
  done
  cargo "$@" "${levels[@]}"
}

# The end-to-end suites are the only integration tests of this package.
suites=$(sed -n '/^\[\[test\]\]/{n;s/^name = "\(.*\)"/\1/p}' tests/Cargo.toml)

setup() { tests/setup.sh build test; }
# What can be checked without compiling: circles of imports, paths that documents name, and the programs that check.
structure() {
  python3 -m unittest discover -q -s tests/tools -p '*_test.py'
  python3 tests/tools/circles.py
}
# Linking them keeps one core busy for minutes; the other one compiles what needs none of them.
plugins() {
  plain build --release --locked --workspace --lib &
  local libraries=$!
  plugins/build.sh
  wait $libraries
  tests/tools/settle_protocol.sh "${CARGO_TARGET_DIR:-target}/release"
}
# The sandbox's tests start an example.
binary() {
  plain build --release --locked --workspace --bins --examples
  tests/tools/settle_protocol.sh "${CARGO_TARGET_DIR:-target}/release"
}
plugin-tests() {
  CARGO_PROFILE_DEV_DEBUG=false cargo test --locked --manifest-path plugins/Cargo.toml --workspace --no-fail-fast
}
sdk-tests() { sdk/test.sh; }
# The unit tests of all crates, and the integration tests of the engine's and of the two simulators.
units() {
  local file chosen=(--lib --bins)
  shopt -s nullglob
  for file in engine/*/tests/*.rs engine/facades/*/tests/*.rs tests/graph-sim/tests/*.rs; do chosen+=(--test "$(basename "$file" .rs)"); done
  for file in engine/*/tests/*/main.rs engine/facades/*/tests/*/main.rs tests/whatsapp-sim/tests/*/main.rs; do chosen+=(--test "$(basename "$(dirname "$file")")"); done
  shopt -u nullglob
  plain test --release --locked --workspace --no-fail-fast "${chosen[@]}"
}
# end-to-end SUITE
end-to-end() { plain test --release --locked --workspace --no-fail-fast --test "$1"; }

# Whether each documented operation succeeded in some test since `forget-operations`.
forget-operations() { python3 tests/tools/operation_coverage.py --begin; }
operations() { python3 tests/tools/operation_coverage.py; }

steps=(setup structure plugins binary plugin-tests sdk-tests units forget-operations)
for suite in $suites; do steps+=("end-to-end:$suite"); done
steps+=(operations)

rows=()
ended_well=no
table() {
  [ ${#rows[@]} -gt 0 ] || return 0
  printf '\n%-26s %8s\n' step seconds
  printf '%s\n' "${rows[@]}"
  printf '%-26s %8d   %s\n' 'all' "$SECONDS" "$([ $ended_well = yes ] && echo 'all steps passed' || echo 'FAILED in the last step')"
}
trap table EXIT

step() {
  local began=$SECONDS name=$1
  printf '\n== %s\n' "$name"
  rows+=("$(printf '%-26s %8s' "$name" '?')")
  if [[ $name == *:* ]]; then "${name%%:*}" "${name#*:}"; else "$name"; fi
  rows[-1]=$(printf '%-26s %8d' "$name" $((SECONDS - began)))
}

if [ "${1:-}" = --list ]; then
  printf '%s\n' "${steps[@]}"
  exit
fi
for name in "${@:-${steps[@]}}"; do
  [[ " ${steps[*]} " == *" $name "* ]] || { echo "all.sh: there is no step '$name'; there are: ${steps[*]}" >&2; exit 2; }
done
for name in "${@:-${steps[@]}}"; do step "$name"; done
ended_well=yes
