# The programs and tests of one build: flags that differ between targets would compile everything anew.
# The run-time checks of exclusive access cost the data path a sixth of its instructions; what is checked at compile time stays.
SWIFT_FLAGS := -c release --explicit-target-dependency-import-check error -Xswiftc -warnings-as-errors \
	-Xswiftc -enforce-exclusivity=unchecked
SUPPORT := Tests/Support
PYTHON := /usr/bin/python3

# What continuous integration runs of each of the simulator's profiles.
SEEDS ?= 1-40

export RUN_DIR SHEEP_PORTS NBD_PORTS VOLUME SIZE QUICK ROUNDS BENCH_DIR

.PHONY: help build run stop test unit-test simulation acceptance mutations bench clean

help:
	@echo 'make run         build, then start a three-node cluster here that keeps its data (RUN_DIR, SHEEP_PORTS, NBD_PORTS)'
	@echo 'make stop        stop it; the data stays'
	@echo 'make test        everything that continuous integration checks: unit tests, the simulator, then real clients'
	@echo 'make simulation  the cluster in a simulated world: each profile, SEEDS=1-40'
	@echo 'make acceptance  real clients alone; FULL=1 for all scenarios, NAMES="…" for some'
	@echo 'make mutations   plant faults in a copy of the code, one by one: the simulator or a test must find each (NAMES="…" for some)'
	@echo 'make bench       measure, write docs/benchmarks.md (under 25 minutes; QUICK=1: under 5)'
	@echo 'make build       the programs, in .build/release'
	@echo 'make clean       remove what was built'

build:
	@$(SUPPORT)/toolchain.sh
	@$(SUPPORT)/packages.sh build
	@test -e .build/release/sheep || echo 'A first release build takes 4 to 5 minutes.'
	@swift build $(SWIFT_FLAGS)

run:
	@$(SUPPORT)/packages.sh run
	@$(MAKE) --no-print-directory build
	@$(PYTHON) $(SUPPORT)/run_cluster.py start

stop:
	@$(PYTHON) $(SUPPORT)/run_cluster.py stop

test: unit-test simulation acceptance

# Hashing is made deterministic so that a simulated seed is the same run in every process.
unit-test:
	@$(SUPPORT)/toolchain.sh
	@$(SUPPORT)/packages.sh test
	@test -e .build/release/sheep || echo 'A first release build takes 4 to 5 minutes.'
	@swift build $(SWIFT_FLAGS) --build-tests
	@SWIFT_DETERMINISTIC_HASHING=1 swift test $(SWIFT_FLAGS) --skip-build
	@Tests/Mutations/run --check

simulation:
	@test -e .build/release/simulate || $(MAKE) --no-print-directory build
	@.build/release/simulate --profile all --seeds $(SEEDS)

mutations:
	@Tests/Mutations/run $(NAMES)

acceptance:
	@$(SUPPORT)/packages.sh test
	@test -e .build/release/sheep || $(MAKE) --no-print-directory build
	@Tests/Acceptance/run $(if $(FULL),--full) $(NAMES)

bench:
	@$(SUPPORT)/packages.sh bench
	@$(MAKE) --no-print-directory build
	@$(PYTHON) Benchmarks/run.py

clean:
	swift package clean
