# Two commands matter: `make demo` and `make test`. Both install what they need on Debian 12 (as root) and say exactly
# what is missing anywhere else.

SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help demo test lint quick bench lab-up lab-down install

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: install ## three real hosts: deploy, a bad release, a rollback without a registry
	@tests/demo

test: install lint ## everything: formatting, clippy, documentation, all tests, those on real hosts included
	$(CARGO) test --locked --no-fail-fast

install:
	@tests/lab/lab need >/dev/null 2>&1 || tests/lab/lab install || { tests/lab/lab need; exit 1; }

lint: ## formatting, clippy, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked

quick: ## tests that need neither root nor a lab
	$(CARGO) test --locked --lib --test cli --test runs_sim --test contract_sim --test convergence

bench: install ## the same work by windlass and by real Kamal on the same hosts, and the ratios
	@benches/against-kamal

lab-up: ## the lab, to play with by hand
	tests/lab/lab up

lab-down: ## takes the lab away
	tests/lab/lab down
