# SPDX-License-Identifier: MIT
#
# Builds kith with GNU make. `make help` lists the targets.
#
# No file is named here: every .cpp of a folder belongs to that folder's library, except main.cpp, which is a
# program. Each flavour (debug, release, asan, tsan, fuzz) has an object tree of its own in build/<flavour>/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules -j$(shell nproc)
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

ifeq ($(origin CXX),default)
CXX := g++
endif
FUZZ_CXX ?= clang++
CCACHE ?= $(shell command -v ccache)
PREFIX ?= /usr/local
DESTDIR ?=
SEEDS ?= 200
SEED ?= 1
KILLS ?= 20
HEAL_SECONDS ?= 600
LEVEL ?= message
NODES ?=
FUZZ_SECONDS ?= 30
MEGABYTES ?= 1000
VERSION := $(shell cat VERSION)

# ---- Packages -------------------------------------------------------------------------------------------------

# A stamp says that the packages of a kind are present. It is checked again when the list or dpkg's own state changes.
dpkg_state := $(wildcard /var/lib/dpkg/status)
pkg_modules := libsodium libuv sqlite3 tomlplusplus spdlog fmt

ifneq ($(filter-out clean help,$(or $(MAKECMDGOALS),all)),)
include build/packages.mk
endif

build/packages.mk: build/deps/build Makefile
	@{ echo "pkg_cflags := $$(pkg-config --cflags $(pkg_modules))"; \
	   echo "pkg_libs := $$(pkg-config --libs $(pkg_modules))"; } > $@

build/deps/test: build/deps/build
build/deps/tools: build/deps/test
build/deps/bench: build/deps/test
build/deps/%: packaging/debian-packages.txt packaging/install-packages $(dpkg_state)
	@packaging/install-packages $*
	@mkdir -p $(@D) && touch $@

# ---- Flags ----------------------------------------------------------------------------------------------------

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
cppflags := -I. -Iinclude -DMSGPACK_NO_BOOST -DKITH_VERSION='"$(VERSION)"' -D_GLIBCXX_ASSERTIONS $(pkg_cflags)
cxxflags := -std=c++20 -pthread -fno-omit-frame-pointer $(warnings)
test_libs := -lrapidcheck

flags_debug := -O1 -g1
flags_release := -O2 -g1 -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# Checks of each pointer's alignment and type double the time of a build, and a null one faults anyway: the fuzzers have
# them.
flags_asan := -O1 -g1 -fsanitize=address,undefined -fno-sanitize=null,alignment,vptr -fno-sanitize-recover=all
flags_tsan := -O1 -g1 -fsanitize=thread
flags_fuzz := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

# Two types of one name in a program are a bug that no compiler sees; gold does, where it has line tables.
link_debug := -fuse-ld=gold -Wl,--detect-odr-violations,--fatal-warnings

compiler = $(if $(filter fuzz,$1),$(FUZZ_CXX),$(CXX))
compile = $(compiler) $(cppflags) $(cxxflags) $(flags_$1) $(CPPFLAGS) $(CXXFLAGS)

# ---- Sources --------------------------------------------------------------------------------------------------

# Ordered for the linker: each library may use those after it.
folders := cli daemon store dht crypto
sources_in = $(sort $(filter-out %/main.cpp,$(wildcard $1/*.cpp $1/*/*.cpp)))
objects = $(patsubst %.cpp,build/$1/obj/%.o,$2)
libraries = $(foreach folder,$2,build/$1/libkith_$(folder).a)

core_folders := $(filter-out cli daemon,$(folders))
unit_sources := $(filter-out tests/unit/main.cpp,$(wildcard tests/unit/*.cpp tests/papers/*.cpp tests/support/*.cpp)) \
  $(addprefix tests/sim/,linearizability.cpp counter_history.cpp counter_replay.cpp sibling_history.cpp history_file.cpp)
sim_sources := $(wildcard tests/sim/*.cpp)
bench_sources := $(wildcard tests/bench/*.cpp)
figures_sources := $(wildcard tests/figures/*.cpp) tests/support/liveness_mesh.cpp $(filter-out %/main.cpp,$(sim_sources))
fuzzers := $(patsubst tests/fuzz/%.cpp,%,$(wildcard tests/fuzz/fuzz_*.cpp))
long_tests := tests/mesh/heal_test.py
script_tests := $(filter-out $(long_tests),\
  $(sort $(shell find tests/tools tests/mesh -maxdepth 1 -name '[!_]*.[ps][yh]' -perm -u+x 2>/dev/null)))
programs := $(if $(wildcard daemon/main.cpp),build/kithd) $(if $(wildcard cli/main.cpp),build/kith)
our_code := $(shell find $(wildcard $(folders)) include tests examples -name '*.cpp' -o -name '*.h' 2>/dev/null)

# ---- Targets --------------------------------------------------------------------------------------------------

.PHONY: all
all: $(programs)  ## Build build/kithd and build/kith (release flavour); the default.

.PHONY: deps
deps: build/deps/tools  ## Install every Debian package that kith needs and lacks.
	@packaging/install-packages build test tools

# Everything is built before the first test runs. The last line is `N passed, N failed, N skipped`.
replays := $(fuzzers:%=build/debug/replay_%)
units = $(if $(unit_sources),build/debug/unit_tests)
simulate = $(foreach level,message datagram,'build/release/sim --quiet --level $(level) --seeds $(TEST_SEEDS)')
suites = $(units) $(replays) $(if $(sim_sources),$(simulate)) $(script_tests)
TEST_SEEDS ?= 20

.PHONY: test
test: build/deps/test all $(units) $(replays) $(if $(sim_sources),build/release/sim)  ## Build and run all tests.
	@tests/run $(suites)

# The whole unit suite, then one mesh scenario with a daemon that is instrumented too.
mesh_scenario := $(wildcard tests/mesh/mesh_test.py)
sanitized = $(units:build/debug/%=build/$1/%) $(if $(mesh_scenario),build/$1/kithd)
run_sanitized = KITHD=$(CURDIR)/build/$1/kithd tests/run $(units:build/debug/%=build/$1/%) $(mesh_scenario)

.PHONY: asan tsan
asan: build/deps/test all $(call sanitized,asan)  ## Run unit tests and a mesh under AddressSanitizer and UBSan.
	@$(call run_sanitized,asan)
tsan: build/deps/test all $(call sanitized,tsan)  ## Run unit tests and a mesh under ThreadSanitizer.
	@TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp $${TSAN_OPTIONS:-}" $(call run_sanitized,tsan)

.PHONY: sim sim-long
sim: build/release/sim  ## Run the simulator: SEEDS=200, LEVEL=message or datagram, NODES=any (each seed draws some).
	build/release/sim --quiet --level $(LEVEL) --seeds $(SEEDS) $(if $(NODES),--nodes $(NODES))
# Seeds that no run before has tried. What fails prints the command that repeats it.
.PHONY: fresh-seeds
fresh-seeds: build/deps/test $(if $(sim_sources),build/release/sim)
	@$(if $(sim_sources),tests/run "build/release/sim --quiet --seed $$RANDOM$$RANDOM --seeds $(TEST_SEEDS)",\
	  echo '0 passed, 0 failed, 0 skipped')
sim-long: build/release/sim  ## Run the simulator for long: 10,000 seeds, then one run of 1,000 nodes.
	build/release/sim --quiet --seeds 10000
	build/release/sim --quiet --level datagram --seeds 2000
	build/release/sim --seed 1 --nodes 1000 --operations 10000 --joined

.PHONY: figures
figures: build/release/figures  ## Measure the design's figures, goals beside them: SEED=1.
	build/release/figures detection --seed $(SEED)
	build/release/figures composure --seed $(SEED)
	for name in restart join balance hot churn-hours churn-days; do build/release/figures $$name --seed $(SEED); done

.PHONY: fuzz
fuzz: $(fuzzers:%=build/fuzz/%)  ## Run every fuzzer for FUZZ_SECONDS=30.
	@for name in $(fuzzers); do mkdir -p build/fuzz/corpus/$$name tests/fuzz/corpus/$$name; \
	  build/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 build/fuzz/corpus/$$name tests/fuzz/corpus/$$name; done

.PHONY: bench
bench: all build/release/bench  ## Measure kith against bare SQLite and the raw limits.
	build/release/bench

.PHONY: bench-snapshot
bench-snapshot: all build/deps/test  ## Measure puts while a database of MEGABYTES=1000 is being snapshot.
	tests/bench/snapshot.py $(MEGABYTES)

.PHONY: bench-sweep
bench-sweep: all build/deps/bench  ## Measure puts while KEYS=1000000 expired keys are being forgotten.
	tests/bench/sweep.py $(KEYS)

.PHONY: bench-batch
bench-batch: all build/deps/test  ## Read a thousand keys at once, beside a thousand single reads.
	tests/bench/batch.py

.PHONY: bench-detection
bench-detection: all build/deps/bench  ## Kill one of eight daemons KILLS=20 times, beside serf.
	tests/bench/detection.py $(KILLS)

.PHONY: test-heal
test-heal: build/deps/test all  ## Ten daemons under load and every fault for HEAL_SECONDS=600 (needs root).
	tests/mesh/heal_test.py $(HEAL_SECONDS)

.PHONY: demo
demo: build/deps/test all  ## Show a mesh of five daemons that loses two and keeps every value.
	tools/demo

.PHONY: layers
layers: build/deps/test  ## Refuse an include against docs/architecture.md.
	@tools/layers

.PHONY: style
style: build/deps/test  ## Refuse what clang-format and clang-tidy cannot see.
	@tools/style

.PHONY: format format-check
format: build/deps/tools  ## Format our sources.
	@clang-format -i $(our_code)
format-check: build/deps/tools  ## Refuse sources that are not formatted.
	@$(if $(our_code),clang-format --dry-run --Werror $(our_code))

# One stamp a file, next to its object, whose own dependencies say when a header it includes has changed.
tidied := $(patsubst %.cpp,build/debug/tidy/%.ok,$(filter-out tests/unit/main.cpp,$(filter %.cpp,$(our_code))))
.PHONY: tidy
tidy: $(tidied)  ## Run clang-tidy over our sources; only those that changed since.
build/debug/tidy/%.ok: build/debug/obj/%.o .clang-tidy | build/deps/tools
	@echo "tidy $*.cpp"
	@clang-tidy --quiet $*.cpp -- $(cppflags) $(filter-out -Werror,$(cxxflags)) 2> >(grep -v 'warnings\? generated' >&2)
	@mkdir -p $(@D) && touch $@

.PHONY: install
install: all  ## Install below PREFIX=/usr/local (and DESTDIR).
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install $(programs) $(DESTDIR)$(PREFIX)/bin
	sed 's|/usr/local|$(PREFIX)|' packaging/kithd.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/kithd.service
	for page in $(wildcard docs/man/*.[158]); do \
	  install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done

.PHONY: clean
clean:  ## Remove everything that was built.
	rm -rf build

.PHONY: help
help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---- Rules for each flavour ---------------------------------------------------------------------------------

# A file that changes only when its text does, so that what depends on it is rebuilt when, and only when, it must be.
define write_if_changed
@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$1)' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$1)' > $@
endef

.PHONY: always
always:

# $1 flavour
define flavour_rules
build/$1/flags: always
	$$(call write_if_changed,$$(call compile,$1))
build/$1/obj/%.o: %.cpp build/$1/flags
	@mkdir -p $$(@D); echo "$1 $$<"
	@$(CCACHE) $$(call compile,$1) -MMD -MP -c $$< -o $$@
endef

# $1 flavour, $2 folder. The list of members is a file too: a source that goes away must leave the archive.
define library_rules
build/$1/libkith_$2.members: always
	$$(call write_if_changed,$$(call sources_in,$2))
build/$1/libkith_$2.a: $(call objects,$1,$(call sources_in,$2)) build/$1/libkith_$2.members
	@rm -f $$@; ar rcs $$@ $$(filter %.o,$$^)
endef

# $1 program, $2 flavour, $3 sources, $4 folders, $5 further objects, $6 further flags and libraries
define program_rules
$1: $(call objects,$2,$3) $5 $(call libraries,$2,$4)
	@mkdir -p $$(@D); echo "link $$@"
	@$$(call compiler,$2) -pthread $(flags_$2) $(link_$2) $(LDFLAGS) $$(filter %.o,$$^) $$(filter %.a,$$^) -Wl,--as-needed $6 $(pkg_libs) $(LDLIBS) -o $$@
endef

flavours := debug release asan tsan fuzz
$(foreach flavour,$(flavours),$(eval $(call flavour_rules,$(flavour))))
$(foreach flavour,$(flavours),$(foreach folder,$(folders),$(eval $(call library_rules,$(flavour),$(folder)))))

$(eval $(call program_rules,build/kithd,release,daemon/main.cpp,$(filter-out cli,$(folders))))
$(eval $(call program_rules,build/kith,release,cli/main.cpp,$(folders)))
$(eval $(call program_rules,build/release/sim,release,$(sim_sources),$(core_folders),,$(test_libs)))
$(eval $(call program_rules,build/release/figures,release,$(figures_sources),$(core_folders)))
$(eval $(call program_rules,build/release/bench,release,$(bench_sources),$(folders)))
$(foreach flavour,debug asan tsan,$(eval $(call program_rules,build/$(flavour)/unit_tests,$(flavour),$(unit_sources),$(folders),build/catch2_main.o,$(test_libs))))
$(foreach flavour,debug asan tsan,$(eval $(call program_rules,build/$(flavour)/sim,$(flavour),$(sim_sources),$(core_folders),,$(test_libs))))
$(foreach flavour,debug asan tsan,$(eval $(call program_rules,build/$(flavour)/kithd,$(flavour),daemon/main.cpp,$(filter-out cli,$(folders)))))
$(foreach fuzzer,$(fuzzers),$(eval $(call program_rules,build/fuzz/$(fuzzer),fuzz,tests/fuzz/$(fuzzer).cpp,$(folders),,-fsanitize=fuzzer)))
$(foreach fuzzer,$(fuzzers),$(eval $(call program_rules,build/debug/replay_$(fuzzer),debug,tests/fuzz/$(fuzzer).cpp tests/fuzz/replay.cpp,$(folders))))

# Catch2's own code is most of what a test program compiles: once, unoptimised, for all flavours.
build/catch2_main.o: tests/unit/main.cpp build/debug/flags | build/deps/test
	@echo "catch2 $<"
	@$(CCACHE) $(CXX) -std=c++20 -O0 -c $< -o $@

$(foreach flavour,$(flavours),$(patsubst %.cpp,build/$(flavour)/obj/%.o,$(filter tests/%.cpp,$(our_code)))): | build/deps/test
$(filter build/fuzz/%,$(foreach fuzzer,$(fuzzers),build/fuzz/$(fuzzer))): | build/deps/tools

-include $(foreach flavour,$(flavours),$(patsubst %.cpp,build/$(flavour)/obj/%.d,$(filter %.cpp,$(our_code))))
