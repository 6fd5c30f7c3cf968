# make            what there is
# make dev        run everything on this machine (needs Go; Node for the dashboard)
# make test       the one test command; CI runs it and nothing else

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO        ?= go
NPM       ?= npm
ARGS      ?=
NEED      ?= postgres,redis,chromium
FUZZTIME  ?= 10s
TESTFLAGS ?=
VERSION   := $(or $(VERSION),$(shell git describe --tags --always --dirty 2>/dev/null || echo dev))
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

STAMP     = -X main.version=$(VERSION)

# Folders with a package.json: assets, libraries with tests of their own, and
# the clients that the Go tests run.
UI      := $(patsubst %/package.json,%,$(wildcard dashboard/ui/package.json))
JSTESTS := $(patsubst %/package.json,%,$(wildcard sdk/js/package.json dashboard/ui/package.json))
CLIENTS := $(patsubst %/package.json,%,$(wildcard cmd/platform/testdata/clients/package.json))
INSTALLED = $(1)/node_modules/.installed

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: bin/platform ## run the platform with a demo app, a playground and snippets to paste
	@exec ./bin/platform dev $(ARGS)

.PHONY: build
build: bin/platform ## build bin/platform

# Go knows what is stale. -v shows what is being compiled. The flags are those
# of the tests' builds, so that both share one build cache.
.PHONY: bin/platform
bin/platform: dashboard sdk
	@echo "building bin/platform (the first build compiles SQLite and takes some minutes)"
	@$(GO) build -v -ldflags "$(STAMP)" -o $@ ./cmd/platform

.PHONY: bin/testenv
bin/testenv:
	@$(GO) build -o $@ ./cmd/testenv

.PHONY: dashboard
dashboard: $(foreach d,$(UI),$(d)/dist/index.html) ## build the dashboard's assets

.PHONY: sdk
sdk: dashboard/sdk/client.js ## build the JavaScript client and put it where the binary serves it

dashboard/sdk/client.js: $(call INSTALLED,sdk/js) $(wildcard sdk/js/*.ts sdk/js/scripts/* sdk/js/src/* sdk/js/src/server/*)
	@echo "building the JavaScript client"
	@cd sdk/js && $(NPM) run build >/dev/null
	@cp sdk/js/dist/client.mjs dashboard/sdk/client.mjs
	@cp sdk/js/dist/global.js $@

%/node_modules/.installed: %/package.json %/package-lock.json
	@echo "npm ci in $*"
	@cd $* && $(NPM) ci --ignore-scripts --no-audit --no-fund
	@mkdir -p $(@D) && touch $@

ifneq ($(UI),)
$(UI)/dist/index.html: $(call INSTALLED,$(UI)) $(wildcard sdk/js/src/*.ts) $(shell find $(UI) -type f -not -path '*/node_modules/*' -not -path '*/dist/*')
	@echo "building the dashboard"
	@cd $(UI) && $(NPM) run build
	@touch $@
endif

.PHONY: test
test: vet test-go test-js ## vet, all Go tests with -race on real servers, all JavaScript tests

.PHONY: examples
examples: bin/platform ## the six examples in the browser, on a server of their own
	@cd sdk/js && PLATFORM="$(CURDIR)/bin/platform" exec node examples/run.mjs

.PHONY: vet
vet:
	$(GO) vet ./...

# SQLite is C that was translated to Go: watching its own memory for races would
# double the time of every test on a database and could only find races in C.
NORACE := -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

.PHONY: test-go
test-go: bin/testenv dashboard $(foreach d,$(CLIENTS),$(call INSTALLED,$(d))) ## the Go tests (TESTFLAGS="-run Name")
	./bin/testenv -need $(NEED) -- $(GO) test -race $(NORACE) -shuffle=on -p 2 -timeout 14m $(TESTFLAGS) ./...

.PHONY: test-js
test-js: bin/testenv bin/platform $(foreach d,$(JSTESTS),$(call INSTALLED,$(d))) ## the JavaScript tests
	@set -e; for dir in $(JSTESTS); do echo "npm test in $$dir"; (cd $$dir && TEST_PLATFORM="$(CURDIR)/bin/platform" "$(CURDIR)/bin/testenv" -need redis,chromium -- $(NPM) test); done

.PHONY: lint
lint: vet ## gofmt, go vet, golangci-lint (its first build takes minutes)
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not formatted; run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) tool -modfile=tools.mod golangci-lint run $(ARGS) ./...

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (10s)
	@GO="$(GO)" .ci/fuzz $(FUZZTIME)

.PHONY: chaos
chaos: bin/testenv ## break three nodes and their Redis and check what clients saw (ARGS="-rounds 200 -seed 7")
	./bin/testenv -need postgres,redis -- $(GO) test -race -run TestChaos -v -count 1 -timeout 6h ./cmd/platform -args -rounds 200 -readers 20 $(ARGS)

.PHONY: chaos-webhooks
chaos-webhooks: bin/testenv ## kill nodes and Redis during 20,000 comings and goings and compare webhooks with what clients saw
	./bin/testenv -need postgres,redis -- $(GO) test -race -run TestChaosWebhooks -v -count 1 -timeout 2h ./cmd/platform -args -transitions 20000 $(ARGS)

.PHONY: bench
bench: bin/testenv ## measure against other ways to build this (ARGS="-quick"), an installation of 1,000 tenants, hostile webhooks
	$(GO) run ./bench $(ARGS)
	./bin/testenv -need postgres -- $(GO) test ./tenants/sqlstore -run '^$$' -bench ThousandTenants -benchtime 300x
	$(GO) test ./webhooks -run '^$$' -bench HostileReceivers -benchtime 10x

.PHONY: soak
soak: bin/testenv ## churn for SOAK (20m) and look at what is left
	SOAK=$(or $(SOAK),20m) ./bin/testenv -need redis -- $(GO) test ./cmd/platform -run 'TestSoak$$' -v -timeout 2h

.PHONY: neighbour
neighbour: bin/testenv ## what a loud tenant costs a quiet one, NEIGHBOUR (10) times, alone and over two nodes (12m)
	NEIGHBOUR=$(or $(NEIGHBOUR),10) ./bin/testenv -need postgres -- $(GO) test ./cmd/platform -run 'TestNoisyNeighbour$$' -v -count 1 -timeout 1h

.PHONY: console-load
console-load: bin/testenv dashboard $(foreach d,$(CLIENTS),$(call INSTALLED,$(d))) ## how a live console feels at 1,000 events a second, in a browser, for CONSOLE_LOAD (30) seconds
	CONSOLE_LOAD=$(or $(CONSOLE_LOAD),30) ./bin/testenv -need chromium -- $(GO) test ./cmd/platform -run 'TestConsoleLoad$$' -v -count 1

.PHONY: pictures
pictures: bin/testenv dashboard $(foreach d,$(CLIENTS),$(call INSTALLED,$(d))) ## the README's pictures of the dashboard, taken anew
	@set -e; shots=$$(mktemp -d); \
	  SHOTS="$$shots" ./bin/testenv -need chromium -- $(GO) test ./cmd/platform -run 'TestDashboardEmbedded$$' -count 1; \
	  for scheme in light dark; do for page in app-overview app-console delivery; do \
	    cp "$$shots/$$page-$$scheme-1440.png" "docs/images/$${page#app-}-$$scheme.png"; \
	    cp "$$shots/$$page-$$scheme-390.png" "docs/images/$${page#app-}-390-$$scheme.png"; \
	  done; done; rm -r "$$shots"

.PHONY: release
release: dashboard sdk ## static binaries for every platform, with checksums, in dist/
	@rm -rf dist && mkdir dist
	@set -e; for target in $(PLATFORMS); do \
	  os=$${target%/*}; arch=$${target#*/}; out=platform-$(VERSION)-$$os-$$arch; \
	  echo "building dist/$$out"; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags "-s -w $(STAMP)" -o dist/$$out ./cmd/platform; \
	done
	@cd dist && if command -v sha256sum >/dev/null; then sha256sum platform-* > SHA256SUMS; else shasum -a 256 platform-* > SHA256SUMS; fi
	@cat dist/SHA256SUMS

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
	find . -name node_modules -type d -prune -exec rm -rf {} +
	rm -rf sdk/js/dist dashboard/sdk/client.*
	find dashboard/ui/dist -mindepth 1 -not -name .gitkeep -delete 2>/dev/null || true
