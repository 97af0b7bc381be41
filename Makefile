# Everything a developer does with Mergegate. `make` alone says what there is.

GO ?= go

.PHONY: test-upgrade release-data help run setup check test soak bench bench-isolation bench-scale bench-load dist image dist-test generate lint verify-generated versions

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

run: versions ## build and serve a demo on http://localhost:8080
	CGO_ENABLED=0 $(GO) build -o bin/mergegate ./cmd/mergegate && ./bin/mergegate demo

setup: ## install the Debian packages that the tests need (as root)
	@.ci/packages

check: versions ## before each commit: format, vet, tests on SQLite without a browser
	@.ci/check

test: ## check and test everything, as CI does
	@.ci/test

SOAK_TIME ?= 10m

soak: versions ## kill, cut and fill what Mergegate needs for SOAK_TIME (10m), and check that nothing is lost
	MERGEGATE_TEST_SOAK_TIME=$(SOAK_TIME) $(GO) run ./models/modelstest/pgserver -- \
		$(GO) test -count 1 -timeout 24h -run '^TestSoak$$' -v ./cmd/mergegate

bench: versions ## measure what has a benchmark
	$(GO) run ./models/modelstest/pgserver -durable -- $(GO) test -run '^$$' -bench . -skip 'Isolation|Scale' -benchmem ./...

bench-isolation: versions ## measure how far bad services delay others (8 minutes)
	$(GO) run ./models/modelstest/pgserver -durable -- $(GO) test ./jobs -run '^$$' -bench Isolation -benchtime 1x -timeout 30m

N ?= 200000

bench-scale: versions ## compare every page with 1,000 merge requests against N (200000)
	MERGEGATE_BENCH_MERGE_REQUESTS=$(N) $(GO) run ./models/modelstest/pgserver -durable -- \
		$(GO) test ./cmd/mergegate -run '^$$' -bench Scale -benchtime 1x -timeout 24h

test-upgrade: versions ## replace instances of the version at PREVIOUS (a tag or commit) by this one, under load
	@.ci/test-upgrade "$(PREVIOUS)"

release-data: versions ## store data of release VERSION (1.2.3), to which later versions must upgrade
	@.ci/released-migrations "$(VERSION)"
	$(GO) test ./cmd/mergegate -count 1 -run '^TestMakeRelease$$' -release "$(VERSION)"

LOAD_TIME ?= 1m
LOAD_OPENING ?= 20s

bench-load: versions ## measure 2,000 open pages, 50 responses and 20 events per second for LOAD_TIME (1m)
	MERGEGATE_TEST_LOAD_TIME=$(LOAD_TIME) MERGEGATE_TEST_LOAD_OPENING=$(LOAD_OPENING) $(GO) run ./models/modelstest/pgserver -durable -- \
		$(GO) test -count 1 -timeout 24h -run '^TestLoad$$' -v ./cmd/mergegate

generate: versions ## write the Go code of the templ files
	$(GO) tool templ generate

lint: versions ## format, vet, staticcheck
	@.ci/lint

verify-generated: versions ## fail if generated code is not what its source says
	@.ci/verify-generated

dist: versions ## build binaries, Debian packages, SBOMs and checksums for release into dist/
	@deploy/dist

image: ## make an OCI image of what make dist built, without a container engine (as root on Debian)
	@deploy/docker/image

dist-test: versions ## test what make dist builds: reproducibility, package, image (as root on Debian)
	@deploy/dist-test

versions:
	@.ci/versions
