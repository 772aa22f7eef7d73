# A target for every task that people repeat; `make` alone lists them. Each makes ready what it needs by itself.

SEEDS ?= 0..1000
target := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help ready demo dev test test-kafka simulate check fmt schemas docs ci

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'

ready: ## Install what a build needs besides Rust; silent where everything is there
	@scripts/bootstrap

# RocksDB is what takes long, and only once: nothing is said where its archive lies.
announce = @ls $(target)/debug/build/librocksdb-sys-*/out/librocksdb.a >/dev/null 2>&1 || \
	echo 'The first build compiles RocksDB and librdkafka: about 10 minutes on 2 cores. Later ones take seconds.'

demo: ready ## Show orders being fulfilled, from plain Kafka records to their results
	$(announce)
	cargo run -- demo

dev: ready ## Run a Kafka broker, the engine and the HTTP API for development
	$(announce)
	cargo run -- dev

test: ready ## Run all tests
	$(announce)
	cargo test --workspace

test-kafka: ready ## Run the end-to-end and conformance suites on real Apache Kafka (needs Java 17 and Maven)
	$(announce)
	scripts/test-kafka

simulate: ## Run simulated clusters full of faults: make simulate SEEDS=0..10000
	cargo run --release -p simulation -- --seeds $(SEEDS)

check: ready ## Check formatting, lints and generated files
	$(announce)
	cargo fmt --all --check
	cargo run -q -p tidewright-schemas -- check
	cargo clippy --workspace --all-targets -- -D warnings

fmt: ## Format the code
	cargo fmt --all

schemas: ## Generate the JSON Schemas anew
	cargo run -q -p tidewright-schemas -- write

docs: ready ## Write the generated parts of the documentation anew
	$(announce)
	cargo run -q -- config reference --update docs/configuration.md

ci: ## Do what CI does
	.ci/run
