# A target for every task that people repeat; `make` alone lists them. Each makes ready what it needs by itself.

SEEDS ?= 0..1000
target := $(or $(CARGO_TARGET_DIR),target)

# Where `make install` puts things, and what it installs. DESTDIR is for those who build packages.
PREFIX ?= /usr/local
DESTDIR ?=
PROGRAM ?= $(target)/release/tidewright
bin := $(DESTDIR)$(PREFIX)/bin
man := $(DESTDIR)$(PREFIX)/share/man/man1
doc := $(DESTDIR)$(PREFIX)/share/doc/tidewright
bash := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zsh := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fish := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

.DEFAULT_GOAL := help
.PHONY: help ready demo dev test test-kafka simulate check fmt schemas docs ci release install uninstall

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

release: ready ## Build the program, optimised
	cargo build --release --locked -p tidewright-cli --bins

# Builds nothing that is there already: `make release && sudo make install` runs no compiler as root.
$(PROGRAM):
	$(MAKE) release

install: $(PROGRAM) ## Install the program, its manual pages and completions: make install PREFIX=/usr/local DESTDIR=
	install -d "$(bin)" "$(man)" "$(doc)" "$(bash)" "$(zsh)" "$(fish)"
	install -m 755 "$(PROGRAM)" "$(bin)/tidewright"
	install -m 644 LICENSE "$(doc)/LICENSE"
	"$(PROGRAM)" man "$(man)"
	"$(PROGRAM)" completions bash >"$(bash)/tidewright"
	"$(PROGRAM)" completions zsh >"$(zsh)/_tidewright"
	"$(PROGRAM)" completions fish >"$(fish)/tidewright.fish"

uninstall: ## Remove what `make install` has installed under the same PREFIX and DESTDIR
	rm -f "$(bin)/tidewright" "$(man)"/tidewright.1 "$(man)"/tidewright-*.1 "$(doc)/LICENSE"
	rm -f "$(bash)/tidewright" "$(zsh)/_tidewright" "$(fish)/tidewright.fish"
	rmdir "$(doc)" 2>/dev/null || true
