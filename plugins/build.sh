#!/bin/sh
# Builds plugins into components: target/plugins/NAME.wasm, and the hostile ones of the tests into target/hostile/CASE.wasm.
# What talks to the WhatsApp simulator instead of WhatsApp is a component of its own: target/simulator/connector-whatsapp.wasm.
#
#   plugins/build.sh             all of them
#   plugins/build.sh --shipped   those that the binary carries
#   plugins/build.sh --simulator the one that talks to the simulator
#   plugins/build.sh NAME…       these alone
#
# Needs a Rust compiler for wasm32-unknown-unknown: rustup's target where it can be had, otherwise Debian's packages with the
# standard library built from source. Says what it installs. Run again, it rebuilds only what changed.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/plugins"
target=wasm32-unknown-unknown
out=${CARGO_TARGET_DIR:-$root/target}
built=$out/wasm
say() { echo "plugins: $*"; }

connectors="connector-email connector-gateway connector-whatsapp connector-whatsapp-cloud"
renderers="renderer"
automations="integration-webhook integration-llm flow"
hostile=""
hostile_automations=""
simulator=connector-whatsapp
case ${1:-} in
--shipped) simulator="" ;;
--simulator) connectors="" renderers="" automations="" ;;
"")
    connectors="$connectors noop pipe"
    automations="$automations echo"
    for folder in "$root"/tests/hostile/*/Cargo.toml; do
        case=$(basename "$(dirname "$folder")")
        case $case in
        automation-*) hostile_automations="$hostile_automations hostile-$case" ;;
        *) hostile="$hostile hostile-$case" ;;
        esac
    done
    ;;
*)
    connectors="$connectors noop pipe"
    automations="$automations echo"
    # chosen ALL: those of ALL that were asked for.
    wanted=" $* "
    chosen() { for name in $1; do case $wanted in *" $name "*) echo "$name" ;; esac; done; }
    for name in "$@"; do
        case " $connectors $renderers $automations " in
        *" $name "*) ;;
        *) echo "plugins: there is no plugin $name; there are: $connectors $renderers $automations" >&2 && exit 1 ;;
        esac
    done
    connectors=$(chosen "$connectors") renderers=$(chosen "$renderers") automations=$(chosen "$automations")
    simulator=$(chosen "$simulator")
    ;;
esac

has_rustup_target() {
    command -v rustup >/dev/null 2>&1 && rustup target list --installed 2>/dev/null | grep -qx "$target"
}
has_debian_compiler() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -x /usr/bin/wasm-ld-19 ] &&
        [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std" ]
}
install_debian_compiler() {
    packages="rustc-web cargo-web rust-web-src lld-19"
    say "installing Debian's $packages (apt-get)"
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

if has_rustup_target; then
    compiler=rustup
elif has_debian_compiler; then
    compiler=debian
elif command -v rustup >/dev/null 2>&1 && say "adding rustup's target $target" &&
    timeout 120 rustup target add "$target" >/dev/null 2>&1; then
    compiler=rustup
else
    say "rustup's target cannot be had"
    install_debian_compiler
    compiler=debian
fi

# wasm_cargo ARGS: cargo for the guests. What the caller set for the host's own build must not reach them.
wasm_cargo() {
    if [ $compiler = rustup ]; then
        env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR="$built" \
            RUSTC_WRAPPER="$root/plugins/rustc-for-guests.sh" cargo "$@"
    else
        # A stable compiler builds its own standard library only when it is told to take unstable options.
        env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTUP_TOOLCHAIN CARGO_TARGET_DIR="$built" \
            PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            RUSTC_WRAPPER="$root/plugins/rustc-for-guests.sh" \
            CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
            /usr/bin/cargo -Zbuild-std=std,panic_abort "$@"
    fi
}
build() {
    wasm_cargo build --quiet --locked --release --lib --target "$target" "$@"
}

# of_world NAMES: compiles guests of one world. In separate runs: cargo joins the SDK's features within one, and a plugin must
# carry one world only.
of_world() {
    [ $# -eq 0 ] || build $(printf -- '-p %s ' "$@")
}
# automation NAME: a call has a fresh instance, and what it wrote to is cleared after it. A stack of 256 KiB instead of 1 MiB brings
# stack, data and heap together in what is cleared fast: that halves the time of a call. The deepest JSON takes less than a quarter of it.
automation() {
    wasm_cargo rustc --quiet --locked --release --lib --target "$target" -p "$1" -- -C link-arg=-zstack-size=262144
}
componentize() {
    "$out/release/pombo-componentize" "$built/$target/release/$(echo "$1" | tr - _).wasm" "$2"
}

say "compiling with the $compiler compiler"
of_world $connectors $hostile
"$root/tests/tools/settle_protocol.sh" "$built"
of_world $renderers
of_world $hostile_automations
for plugin in $automations; do
    automation "$plugin"
done
# `--simulator` may run beside a build of the engine, whose lock this would wait for: it takes the tool that is there.
if [ "${1:-}" != --simulator ] || [ ! -x "$out/release/pombo-componentize" ]; then
    (cd "$root" && cargo build --quiet --locked --release --workspace --bin pombo-componentize)
fi

for plugin in $connectors $renderers $automations; do
    componentize "$plugin" "$out/plugins/$plugin.wasm"
done
if [ -n "$simulator" ]; then
    # Last, because its module has the name of the one that is shipped. It shares every dependency below the handshake with it.
    build -p connector-whatsapp --features simulator
    componentize connector-whatsapp "$out/simulator/connector-whatsapp.wasm"
fi
for case in $hostile $hostile_automations; do
    componentize "$case" "$out/hostile/${case#hostile-}.wasm"
done
say "ready in $out/plugins: $(cd "$out/plugins" && echo *.wasm)"
