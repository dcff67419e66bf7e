# Everything that is checked is checked here; .ci/run only calls these targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := all

TOOLS := $(CURDIR)/bin/tools
STATICCHECK := $(TOOLS)/staticcheck -checks all
GOFUMPT := $(TOOLS)/gofumpt
# Modules of their own, beside the product's.
EXAMPLES := $(dir $(wildcard examples/*/go.mod))

.PHONY: all
all: build lint test ## build, lint and test (the default)

.PHONY: build
build: ## build bin/tufoci and, where there is a C compiler, bin/sigstore-kms-pkcs11
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/tufoci ./cmd/tufoci
	if command -v "$$(go env CC)" >/dev/null; then $(MAKE) --no-print-directory pkcs11; fi

.PHONY: pkcs11
pkcs11: ## build bin/sigstore-kms-pkcs11, the plugin for PKCS#11 tokens (needs a C compiler)
	CGO_ENABLED=1 go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/sigstore-kms-pkcs11 ./cmd/sigstore-kms-pkcs11

.PHONY: test
test: ## run the tests that need nothing but Go, with the race detector
	go test -race -timeout 20m ./...
	# The stories are left out under the race detector: it does not see the program that they run.
	go test -timeout 20m -run '^TestScripts$$' ./cmd/tufoci/cli

.PHONY: e2e
e2e: build tools e2e/tufjs/node_modules/.package-lock.json ## run the stories with foreign programs: registries, copiers, clients
	go test -tags e2e -count=1 -parallel 12 -timeout 30m ./e2e
	# What the race detector makes too slow: every entry of large tables, every request and every step, crowds.
	go test -tags e2e -count=1 -timeout 20m ./publish ./metadata ./trust ./verify ./mirror ./ociremote ./internal/conformance
	for module in $(EXAMPLES); do (cd $$module && go test ./...); done

FUZZTIME ?= 10s
FUZZ ?= .

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s), or those whose names match FUZZ
	# One run takes one target; those of a package in which nothing can be built, for want of a C compiler, are none.
	tried=; for pkg in $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do \
		for target in $$({ grep -hoE '^func Fuzz\w+' "$$pkg"/*_test.go || true; } | cut -c6- | { grep -E '$(FUZZ)' || true; }); do \
			echo "$${pkg#$(CURDIR)/} $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg"; \
			tried=yes; \
		done; \
	done; \
	[[ -n $$tried ]] || { echo "no fuzz target matches $(FUZZ)" >&2; exit 1; }

.PHONY: bench
bench: build tools ## compare tufoci with plain go-tuf over http and with notation, and measure scale
	cd e2e/bench && go test -tags bench -count=1 -timeout 20m

.PHONY: demo
demo: build ## run the whole story against a registry on loopback
	bin/tufoci demo

.PHONY: lint
lint: $(TOOLS)/.linters ## check format, vet, static analysis and module files
	test -z "$$($(GOFUMPT) -l . | tee /dev/stderr)"
	go vet -tags e2e,bench ./...
	$(STATICCHECK) -tags e2e,bench ./...
	go fix -tags e2e,bench -diff ./...
	go mod tidy -diff
	cd e2e/tools && go mod tidy -diff
	for module in $(EXAMPLES); do (cd $$module && go vet ./... && $(STATICCHECK) ./... && go fix -diff ./... && go mod tidy -diff); done

.PHONY: fmt
fmt: $(TOOLS)/.linters ## format the code
	$(GOFUMPT) -w .

.PHONY: tools
tools: $(TOOLS)/.built ## build the linters and the foreign programs of e2e/tools

# The linters alone are built in seconds, cosign and the registries in minutes.
$(TOOLS)/.linters: e2e/tools/go.mod e2e/tools/go.sum
	mkdir -p $(TOOLS)
	cd e2e/tools && go build -trimpath -ldflags '-s -w' -o $(TOOLS)/ honnef.co/go/tools/cmd/staticcheck mvdan.cc/gofumpt
	touch $@

$(TOOLS)/.built: e2e/tools/go.mod e2e/tools/go.sum
	mkdir -p $(TOOLS)
	cd e2e/tools && go build -trimpath -ldflags '-s -w' -o $(TOOLS)/ tool
	touch $@

e2e/tufjs/node_modules/.package-lock.json: e2e/tufjs/package.json e2e/tufjs/package-lock.json
	cd e2e/tufjs && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: clean
clean: ## remove what was built
	rm -rf bin e2e/tufjs/node_modules

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10
