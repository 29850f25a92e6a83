# Everything is built without cgo, with one set of flags: another set would be
# a second cold build of every dependency.
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false -tags=grpcnotrace

GO ?= go
PROG := bin/reeve

.DEFAULT_GOAL := help
.PHONY: run build dist test check bench soak fuzz dev web generate proto help

run: ## watch this machine and print the address of the page (ARGS="--data DIR ...")
	$(GO) run ./cmd/reeve up $(ARGS)

build: ## build bin/reeve and bin/reeve-agent, stripped
	$(GO) build -trimpath -ldflags='-s -w' -o $(PROG) ./cmd/reeve
	$(GO) build -trimpath -ldflags='-s -w' -o $(PROG)-agent ./cmd/reeve-agent

dist: ## build every program for amd64 and arm64 into dist (VERSION=v1.2.3, RELEASE_KEY=FILE to sign)
	scripts/dist

test: ## install and start what the tests need, then run all of them
	scripts/test

check: ## formatting, vet and the rules of the architecture
	scripts/check

bench: build ## measure what README quotes; writes bench/results
	scripts/bench

soak: ## the long counts: 10,000 kills, long fuzzing; writes bench/results/soak.txt
	scripts/soak

fuzz: ## every fuzzer for FUZZTIME (default 20s)
	scripts/fuzz $(or $(FUZZTIME),20s)

web: ## build the page into web/dist (needs Node)
	cd web && npm ci --no-audit --no-fund && npm run build

generate: ## write docs/generated again
	$(GO) test ./internal/app ./internal/api ./internal/cli -run Generated -update

proto: ## write internal/linkpb again from link.proto (needs protoc)
	scripts/proto

dev: ## the server on a throw-away folder, and the page with reload (needs Node)
	scripts/dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
