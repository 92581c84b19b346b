# Two commands matter: `make demo` and `make test`. Both install what they need on Debian 12 (as root) and say exactly
# what is missing anywhere else.

SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help demo test lint unit lab-tests lab-up lab-down install

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: install ## three real hosts: deploy, a bad release, a rollback without a registry
	@tests/demo

test: install lint unit lab-tests ## everything

install:
	@tests/lab/lab need >/dev/null 2>&1 || tests/lab/lab install

lint: ## formatting, clippy, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked

unit: ## tests that need nothing but this machine's loopback
	$(CARGO) test --locked --lib --bins $(UNIT_TESTS:%=--test %)

lab-tests: ## tests on real hosts (root, network namespaces)
	$(CARGO) test --locked $(LAB_TESTS:%=--test %) -- --test-threads=1

lab-up: ## the lab, to play with by hand
	tests/lab/lab up

lab-down: ## takes the lab away
	tests/lab/lab down

# Test binaries by what they need: those that start a lab, and all others.
LAB_TESTS := $(basename $(notdir $(shell grep -l 'Lab::up' tests/*.rs)))
UNIT_TESTS := $(filter-out $(LAB_TESTS),$(basename $(notdir $(wildcard tests/*.rs))))
