# Everything that is done with this repository. "make help" lists it.

SHELL    := /bin/sh
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.stamp=$(VERSION)
FUZZTIME ?= 5s
ARGS     ?=
PKGS     ?= $(SLOW) ./...

# The packages whose tests take longest: they start first, so that none of them is left alone at the end.
SLOW := ./test/e2e ./mover ./test/browser ./transfer ./cmd/roomtide ./test/crash ./test/chaos ./lane ./queue/jetstream \
	./store/postgres ./test/adopt ./test/clusterbench ./test/php ./store/mysql ./test/planted ./server ./engine

# Tests wait for servers, disks and browsers more than they compute.
TESTERS := $(shell expr 2 '*' "$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)")

# SQLite and its C library are C, translated to Go. Their memory is mapped outside of Go's heap, where the
# race detector watches nothing; with it in them, tests that store compute 1.5 to 2.5 times as much.
UNWATCHED := -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

# Where scripts/need puts Go if the system has none, or an old one.
export PATH := $(CURDIR)/.tools/go/bin:$(PATH)

.PHONY: help run build test race check generate bench bench-fanout bench-sql bench-cluster bench-push chaos fuzz clean go

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: build ## build and start a node (ARGS="--listen 127.0.0.1:9000" for flags)
	@./bin/roomtide serve $(ARGS)

build: go ## build bin/roomtide, one static program
	@echo "building bin/roomtide"
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/roomtide ./cmd/roomtide

test: ## install missing tools, then check and run all tests with the race detector
	@scripts/need go cc curl chromium node npm python php composer nginx apache caddy haproxy systemd mariadb postgresql pgbouncer redis promtool helm wordpress java
	$(MAKE) check
	$(MAKE) race

race: go ## the tests of PKGS, all if there are none, with the race detector (PKGS=./lane ARGS="-run Twice -v")
	go test -race -shuffle=on -timeout 30m -vet=off -p $(TESTERS) $(UNWATCHED) $(PKGS) $(ARGS)

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

bench-cluster: ## three nodes, three NATS servers, two database servers and Redis under load, and ended (ARGS="-rounds 20 -profiles DIR", "-shards 1,2 -window 4")
	@scripts/need go mariadb postgresql redis
	go test -count=1 -v -timeout 120m ./test/clusterbench -args -figures $(ARGS)

bench-push: ## notifications a second, how late they are, and what sending costs (ARGS="-profiles DIR")
	@scripts/need go
	go test -count=1 -v -timeout 60m ./test/pushbench -args -figures $(ARGS)

chaos: ## break a whole cluster for half an hour, and report (ARGS="-for 8h", "-rounds 1000 -seed 1", "-faults SQL")
	@scripts/need go mariadb postgresql redis node npm
	go test -count=1 -v -timeout 72h ./test/chaos -args -full $(ARGS)

fuzz: go ## run every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

clean: ## remove what was built
	rm -rf bin

go:
	@scripts/need go
