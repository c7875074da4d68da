# Pombo's two commands are `make run` and `make test`; `make help` lists the rest.
# Everything is built in one profile (release) and always as part of the whole workspace, so that each dependency is compiled once, with
# one set of features, for use, tests and benchmarks.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build demo run test lint bench soak openapi clean

DATA ?= data
LISTEN ?= 127.0.0.1:8080

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

build: ## build the plugins and the engine (target/release/pombo), installing what the build needs
	tests/setup.sh build
	plugins/build.sh --shipped
	cargo build --release --locked --workspace --bin pombo
	$${CARGO_TARGET_DIR:-target}/release/pombo compile

demo: ## build what `make run` starts: the engine, the simulators of WhatsApp and of Meta's Cloud API, and the plugin that talks to the first
	tests/setup.sh build
	# Linking the WhatsApp plugin, once for WhatsApp and once for the simulator, keeps one core busy for two minutes each time.
	cargo build --release --locked --workspace --bin whatsapp-sim --bin graph-sim & simulator=$$!; \
	  plugins/build.sh --shipped && wait $$simulator
	plugins/build.sh --simulator & plugin=$$!; \
	  cargo build --release --locked --workspace --bin pombo && wait $$plugin
	$${CARGO_TARGET_DIR:-target}/release/pombo compile --plugin-dir $${CARGO_TARGET_DIR:-target}/simulator

run: demo ## build, then start a demo on 127.0.0.1:8080 with its data in ./data (LISTEN= and DATA= change them) and both simulators
	tests/run-demo.sh $(DATA) $(LISTEN)

test: ## run every test: unit, plugins, and end to end with the built binary; ends with a table of each step's seconds
	tests/all.sh

lint: ## check formatting, clippy (warnings are errors), and the licence and source of every dependency
	tests/setup.sh build lint
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path plugins/Cargo.toml
	plugins/build.sh
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	cargo clippy --release --locked --manifest-path plugins/Cargo.toml --workspace --all-targets -- -D warnings
	python3 tests/tools/licences.py Cargo.toml plugins/Cargo.toml

bench: ## measure Pombo and the service that it replaces on this machine; prints a table and writes target/bench.json
	tests/setup.sh build bench
	plugins/build.sh
	cargo build --release --locked --workspace --bin pombo
	cargo build --release --locked --workspace --example render
	cargo run --release --locked --bin bench
	tests/tools/settle_protocol.sh $${CARGO_TARGET_DIR:-target}
	cargo run --release --locked --bin sessions -- fleet
	tests/guests/build.sh
	cargo run --release --locked --bin automations -- rate
	cargo run --release --locked --bin automations -- swaps
	cargo run --release --locked --bin automations -- fairness
	cargo run --release --locked --bin cloud -- rows
	cargo run --release --locked --bin cloud -- webhooks

soak: ## kill the engine 300 times amid conversations, send a campaign of 20,000 amid kills, run WhatsApp sessions with breaking sockets for 20 minutes; all is accounted for
	tests/setup.sh build
	plugins/build.sh
	cargo build --release --locked --workspace --bin pombo
	cargo run --release --locked --bin kills
	cargo run --release --locked --bin campaigns
	cargo run --release --locked --bin sessions -- soak

openapi: build ## regenerate the OpenAPI documents and their operation tables in openapi/
	for facade in $$(target/release/pombo openapi --list); do \
	  target/release/pombo openapi --facade $$facade > openapi/$$facade.json && \
	  target/release/pombo openapi --facade $$facade --table > openapi/$$facade.md || exit 1; \
	done

clean: ## remove everything that was built; ./data stays
	cargo clean
	cargo clean --manifest-path plugins/Cargo.toml
	rm -rf tests/peers/*/node_modules
