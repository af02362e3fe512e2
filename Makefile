# Everything that is done with this repository. "make help" lists it.

SHELL    := /bin/sh
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.stamp=$(VERSION)
FUZZTIME ?= 5s
ARGS     ?=

# Where scripts/need puts Go if the system has none, or an old one.
export PATH := $(CURDIR)/.tools/go/bin:$(PATH)

.PHONY: help run build test check generate bench bench-fanout bench-sql bench-cluster chaos fuzz clean go

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: build ## build and start a node (ARGS="--listen 127.0.0.1:9000" for flags)
	@./bin/roomtide serve $(ARGS)

build: go ## build bin/roomtide, one static program
	@echo "building bin/roomtide"
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/roomtide ./cmd/roomtide

test: ## install missing tools, then check and run all tests with the race detector
	@scripts/need go cc curl chromium node npm python php composer nginx apache caddy haproxy systemd mariadb postgresql pgbouncer redis promtool helm wordpress
	$(MAKE) check
	go test -race -shuffle=on -timeout 30m ./...

check: go ## format, vet, staticcheck, floors, documents, generated files, modules
	@unformatted=$$(find . -path './.?*' -prune -o -name '*.go' -print | xargs gofmt -l) && test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted" >&2; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test .
	go test -run '^TestDocIsUpToDate$$' ./config
	go mod verify
	go mod tidy -diff

generate: go ## write the files that are made from code
	go test -run '^TestDocIsUpToDate$$' ./config -args -update
	go test -run '^TestFloorsAreDocumented$$' . -args -update
	go test -run '^TestPermissions$$' ./test/matrix -args -update
	@scripts/need helm
	go test -run '^TestManifestsAreTheChart$$' ./test/deploy -args -update
	go test -run '^TestScale$$' ./test/scale -args -update

bench: build ## benchmarks of SQLite and the hub, then of fresh nodes under load (ARGS="rooms --floors")
	go test -run '^$$' -bench . -benchmem ./store/sqlite
	go test -run '^$$' -bench . -benchmem ./hub
	./bin/roomtide bench $(ARGS)

bench-fanout: build ## the fan-out figures beside both floors and Socket.IO on Node (ARGS="--proto socketio")
	@scripts/need node npm
	npm install --no-save --no-package-lock --no-audit --no-fund --silent --prefix .tools/node socket.io@4.8.3
	./bin/roomtide bench fanout fanout5k rooms rate idle10k storm slow --floors --node .tools/node $(ARGS)

bench-sql: ## MariaDB and PostgreSQL beside their bare drivers, a long room, a node under load, one of two servers down
	@scripts/need go mariadb postgresql
	go test -count=1 -v -timeout 60m -run '^Test(Appends|Latest|Rooms|OtherShardWhileOneIsDown)$$' ./test/sqlbench -args -figures

bench-cluster: ## three nodes, three NATS servers, two database servers and Redis under load, and ended (ARGS="-rounds 20 -profiles DIR")
	@scripts/need go mariadb postgresql redis
	go test -count=1 -v -timeout 120m ./test/clusterbench -args -figures $(ARGS)

chaos: ## break a whole cluster for half an hour, and report (ARGS="-for 8h", "-rounds 1000 -seed 1", "-faults SQL")
	@scripts/need go mariadb postgresql redis
	go test -count=1 -v -timeout 72h ./test/chaos -args -full $(ARGS)

fuzz: go ## run every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

clean: ## remove what was built
	rm -rf bin

go:
	@scripts/need go
