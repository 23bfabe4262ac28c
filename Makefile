# SPDX-License-Identifier: Apache-2.0
# `make help` lists what can be made. Everything made lands in build/.
# V=1 shows the commands. ARCH=arm64 is for the BPF object only (make ARCH=arm64 bpf).

ARCH      ?= $(shell uname -m | sed 's/aarch64/arm64/')
CLANG     ?= clang
BPFTOOL   ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
CC        := gcc
CXX       := g++
V         ?= 0
Q         := $(if $(filter 1,$(V)),,@)
say        = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)';)
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

BUILD     := build
GEN       := $(BUILD)/gen
PACKAGES  := libbpf libmicrohttpd libprotobuf-c zlib
WARNINGS  := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wvla -Werror
CFLAGS    ?= -O2 -g
CPPFLAGS_ := -Isrc -isystem $(GEN) -D_GNU_SOURCE $(shell pkg-config --cflags $(PACKAGES) libcurl 2>/dev/null)
CFLAGS_   := -std=gnu11 $(WARNINGS) -Wstrict-prototypes -Wmissing-prototypes -fno-common
CXXFLAGS_ := -std=c++17 $(WARNINGS) -fno-exceptions -fno-rtti -isystem /usr/include/toml++
LDLIBS_   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lZydis -lpthread
SAN       := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# Rooms, left to right: a file includes headers of its own room or of one further left (scripts/check-layers.sh).
ROOMS     := base snapshot config catalog target plan probe export
SOURCES   := $(foreach room,$(ROOMS),$(wildcard src/$(room)/*.c src/$(room)/*.cpp))
MAIN      := $(wildcard src/*.c)
DATA      := $(wildcard src/catalog/*.toml)
UNIT      := $(wildcard tests/unit/test-*.c)
FUZZ      := $(wildcard tests/fuzz/fuzz-*.c)
PROTOS    := $(wildcard src/export/*.proto)

objects    = $(patsubst src/%,$(BUILD)/$(1)/%.o,$(2))
PROTO_HEADERS := $(patsubst src/export/%.proto,$(GEN)/%.pb-c.h,$(PROTOS))
GEN_OBJ    = $(patsubst src/export/%.proto,$(BUILD)/$(1)/%.pb-c.o,$(PROTOS)) $(BUILD)/$(1)/embedded.o

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
.PHONY: all bpf help clean deps run check unit fuzz fuzz-short bpf-tests kernels servers recipes exporters lint format bench comparison docs

all: $(BUILD)/mailgauge ## build the collector

# ---- BPF side

VMLINUX   := $(if $(filter arm64,$(ARCH)),arm64,x86_64)
BPF_ARCH  := $(if $(filter arm64,$(ARCH)),arm64,x86)
BPF_OBJ   := $(BUILD)/bpf-$(ARCH)/probe.bpf.o

bpf: $(BPF_OBJ) ## build the BPF object only

$(BPF_OBJ): bpf/probe.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Ivmlinux/$(VMLINUX) -Wall -Wextra -Werror \
		-MMD -MP -c $< -o $@

$(GEN)/probe.skel.h: $(BPF_OBJ)
	@mkdir -p $(@D)
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name probe_bpf > $@

# ---- generated sources

$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h: src/export/%.proto
	@mkdir -p $(@D)
	$(call say,PROTO,$<)protoc-c --proto_path=src/export --c_out=$(GEN) $<

# The catalog's data: NAME.toml becomes a row {name, text, length} of embedded_files[].
$(GEN)/embedded.S: $(DATA) scripts/embed.sh
	@mkdir -p $(@D)
	$(call say,EMBED,$@)scripts/embed.sh $(DATA) > $@

# ---- objects: build/obj for the program, build/asan for unit tests

define compile
$(BUILD)/$(1)/probe/load.c.o: $(GEN)/probe.skel.h
$(call objects,$(1),$(wildcard src/export/*.c)): $(PROTO_HEADERS)
$(BUILD)/$(1)/%.c.o: src/%.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)$(CC) $(CPPFLAGS_) -DMAILGAUGE_VERSION='"$(VERSION)"' $(CFLAGS_) $(CFLAGS) $(2) -MMD -MP -c $$< -o $$@
$(BUILD)/$(1)/%.cpp.o: src/%.cpp
	@mkdir -p $$(@D)
	$$(call say,CXX,$$@)$(CXX) $(CPPFLAGS_) $(CXXFLAGS_) $(CFLAGS) $(2) -MMD -MP -c $$< -o $$@
$(BUILD)/$(1)/%.pb-c.o: $(GEN)/%.pb-c.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)$(CC) $(CPPFLAGS_) -std=gnu11 $(CFLAGS) $(2) -c $$< -o $$@
$(BUILD)/$(1)/embedded.o: $(GEN)/embedded.S $(DATA)
	@mkdir -p $$(@D)
	$$(call say,AS,$$@)$(CC) -c $$< -o $$@
$(BUILD)/$(1)/libmailgauge.a: $(call objects,$(1),$(SOURCES)) $(call GEN_OBJ,$(1))
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
endef
$(eval $(call compile,obj,))
$(eval $(call compile,asan,$(SAN)))

$(BUILD)/mailgauge: $(call objects,obj,$(MAIN)) $(BUILD)/obj/libmailgauge.a
	$(call say,LD,$@)$(CXX) $(CFLAGS) -static-libstdc++ -static-libgcc -Wl,--gc-sections -o $@ $^ $(LDLIBS_)

# ---- run

deps: ## install what is missing to build (Debian 12 and 13)
	$(Q)scripts/deps.sh

run: ## count this host's mail servers; where none runs, start throw-away ones (root)
	$(Q)scripts/deps.sh run
	$(Q)$(MAKE) all
	$(Q)scripts/run.sh $(BUILD)/mailgauge

# ---- tests: four kinds, each alone or all by `make check`

check: ## all tests (root); installs what they need
	$(Q)scripts/deps.sh check
	$(Q)$(MAKE) all lint
	$(Q)$(MAKE) -j3 --output-sync=target unit fuzz-short bpf-tests exporters
	$(Q)$(MAKE) recipes servers

SAMPLES := $(BUILD)/samples/.made
$(SAMPLES): $(wildcard tests/unit/samples/*)
	@mkdir -p $(@D)
	$(call say,SAMPLES,$(@D))tests/unit/samples/build.sh $(@D) && touch $@

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/asan/libmailgauge.a | $(SAMPLES)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_) -Itests/unit -DGOLDEN_DIR='"$(CURDIR)/tests/golden"' \
		-DSAMPLES_DIR='"$(abspath $(BUILD)/samples)"' $(CFLAGS_) -Wno-missing-prototypes -g -O1 $(SAN) \
		-MMD -MP -MF $@.d -MT $@ -c $< -o $@.o
	$(Q)$(CXX) $(SAN) -o $@ $@.o $(BUILD)/asan/libmailgauge.a $(LDLIBS_) -lcmocka

unit: $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT)) ## unit tests (cmocka, no root, ASan and UBSan)
	$(Q)for t in $^; do $$t || exit 1; done

# Fuzzed code is built by clang with coverage and sanitizers, in a directory of its own.
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_ROOMS := $(filter-out src/probe/% src/export/%,$(SOURCES))
$(BUILD)/fuzz/obj/%.c.o: src/%.c
	@mkdir -p $(@D)
	$(call say,FUZZCC,$@)$(CLANG) $(CPPFLAGS_) -std=gnu11 $(FUZZ_FLAGS) -MMD -MP -c $< -o $@
$(BUILD)/fuzz/obj/%.cpp.o: src/%.cpp
	@mkdir -p $(@D)
	$(call say,FUZZCXX,$@)clang++ $(CPPFLAGS_) -std=c++17 -fno-exceptions -fno-rtti -isystem /usr/include/toml++ $(FUZZ_FLAGS) -MMD -MP -c $< -o $@
$(BUILD)/fuzz/fuzz-%: tests/fuzz/fuzz-%.c $(patsubst src/%,$(BUILD)/fuzz/obj/%.o,$(FUZZ_ROOMS)) $(BUILD)/obj/embedded.o
	@mkdir -p $(@D)
	$(call say,FUZZLD,$@)clang++ $(CPPFLAGS_) -x c -std=gnu11 $(FUZZ_FLAGS) -c $< -o $@.o
	$(Q)clang++ -g -fsanitize=fuzzer,address,undefined -o $@ $@.o $(filter %.o,$^) $(LDLIBS_)

# T seconds each; seeds are the samples and golden files, finds are kept in build/fuzz/corpus-*.
T ?= 300
fuzz: $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ)) $(SAMPLES) ## fuzz every parser of foreign files for T=300 s each
	$(Q)for t in $(patsubst tests/fuzz/fuzz-%.c,%,$(FUZZ)); do \
		mkdir -p $(BUILD)/fuzz/corpus-$$t && \
		$(BUILD)/fuzz/fuzz-$$t -max_total_time=$(T) -timeout=20 -rss_limit_mb=4096 -max_len=65536 -verbosity=0 \
			-artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus-$$t $(BUILD)/samples tests/golden/catalog src/catalog \
			>$(BUILD)/fuzz/$$t.log 2>&1 || { tail -n 60 $(BUILD)/fuzz/$$t.log; exit 1; }; \
		echo "fuzz-$$t: $(T) s without a finding"; \
	done
fuzz-short: T = 8
fuzz-short: fuzz

# BPF tests: toy programs, with and without CET, stripped
BPF_TESTS := $(addprefix $(BUILD)/bpf/,test-values test-counting test-attach test-metrics)
TOYS      := $(addprefix $(BUILD)/bpf/,library.so library-cet.so refused.so static tree)
$(BUILD)/bpf/library.so: TOYFLAGS := -fcf-protection=none
$(BUILD)/bpf/library-cet.so: TOYFLAGS := -fcf-protection=full
$(BUILD)/bpf/library.so $(BUILD)/bpf/library-cet.so: tests/bpf/toys/library.c tests/bpf/toys/library.h
	@mkdir -p $(@D)
	$(call say,TOY,$@)$(CC) -O2 $(TOYFLAGS) -shared -fPIC -Wl,-soname,$(@F) -o $@ $< && strip --strip-all $@
$(BUILD)/bpf/refused.so: tests/bpf/toys/refused.S
	@mkdir -p $(@D)
	$(call say,TOY,$@)$(CC) -shared -Wl,-soname,$(@F) -o $@ $<
$(BUILD)/bpf/static: tests/bpf/toys/static.c
	@mkdir -p $(@D)
	$(call say,TOY,$@)$(CC) -O2 -static-pie -fPIE -o $@ $< -lpthread && strip --strip-all $@
$(BUILD)/bpf/tree: tests/bpf/toys/tree.c $(BUILD)/bpf/library.so
	$(call say,TOY,$@)$(CC) -O2 -o $@ $^ -Wl,-rpath,'$$ORIGIN' && strip --strip-all $@
$(BUILD)/bpf/%.o: tests/bpf/%.c tests/bpf/bed.h tests/bpf/toys/library.h
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_) $(CFLAGS_) -Wno-missing-prototypes -g -O1 -MMD -MP -c $< -o $@
$(BPF_TESTS): %: %.o $(BUILD)/bpf/bed.o $(BUILD)/obj/libmailgauge.a
	$(call say,LD,$@)$(CXX) -o $@ $^ $(LDLIBS_) -lcmocka

bpf-tests: $(TOYS) $(BPF_TESTS) ## BPF tests: toy programs of known call counts, by both ways of attaching (root)
	$(Q)cd $(BUILD)/bpf && ./test-values library.so multi && ./test-values library-cet.so multi && \
		./test-values library-cet.so perf && ./test-counting multi && TOY_DIVISOR=10 ./test-counting perf && \
		./test-attach multi && ./test-attach perf && ./test-metrics multi && ./test-metrics perf

kernels: $(TOYS) $(BPF_TESTS) ## a part of them on Linux 6.1 and 6.12, emulated by qemu (root)
	$(Q)scripts/deps.sh kernels
	$(Q)tests/bpf/old-kernel.sh get $(BUILD)/kernels
	$(Q)tests/bpf/old-kernel.sh run $(BUILD)/kernels $(BUILD)/bpf

$(BUILD)/exporters/fake-exporter: tests/exporters/fake-exporter.c $(BUILD)/obj/libmailgauge.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_) $(CFLAGS_) $(CFLAGS) -c $< -o $@.o
	$(Q)$(CXX) -o $@ $@.o $(BUILD)/obj/libmailgauge.a $(LDLIBS_)

exporters: $(BUILD)/exporters/fake-exporter ## exporters against real receivers and independent decoders
	$(Q)venv=$$(scripts/venv.sh) && FAKE_EXPORTER=$(abspath $<) $$venv/bin/python -m pytest -q -p no:cacheprovider -n 6 tests/exporters

$(BUILD)/target/recipes: tests/target/recipes.c $(BUILD)/obj/libmailgauge.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_) $(CFLAGS_) $(CFLAGS) -MMD -MP -MF $@.d -MT $@ -c $< -o $@.o
	$(Q)$(CXX) -o $@ $@.o $(BUILD)/obj/libmailgauge.a $(LDLIBS_)

recipes: $(BUILD)/target/recipes ## how functions are found in real programs (root, once: to make the programs)
	$(Q)venv=$$(scripts/venv.sh) && RECIPES=$(abspath $<) $$venv/bin/python -m pytest -q -p no:cacheprovider tests/target

# They wait more than they compute: more workers than cores. What must be alone comes afterwards, whatever the others say.
WORKERS ?= 8
servers: $(BUILD)/mailgauge ## real mail servers of Debian 12 and 13 with known numbers (root)
	$(Q)venv=$$(scripts/venv.sh) && export MAILGAUGE=$(abspath $<) && status=0 && \
		set -- "$$venv/bin/python" -m pytest -q -p no:cacheprovider tests/servers && \
		{ "$$@" -m 'not alone' -n $(WORKERS) --dist loadgroup --no-loadscope-reorder || status=1; } && \
		{ "$$@" -m alone || status=1; } && exit $$status

# ---- benchmarks: figures, never a verdict

$(BUILD)/bench/library.so: tests/bpf/toys/library.c tests/bpf/toys/library.h
	@mkdir -p $(@D)
	$(call say,TOY,$@)$(CC) -O2 -fPIC -shared -s -o $@ $<
$(BUILD)/bench/bench-%: tests/bench/%.c $(BUILD)/bpf/bed.o $(BUILD)/obj/libmailgauge.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_) $(CFLAGS_) -Wno-missing-prototypes $(CFLAGS) -c $< -o $@.o
	$(Q)$(CXX) -o $@ $@.o $(BUILD)/bpf/bed.o $(BUILD)/obj/libmailgauge.a $(LDLIBS_) -lcmocka

bench: $(BUILD)/mailgauge $(addprefix $(BUILD)/bench/,library.so bench-hit bench-attach) ## what it costs (root)
	$(Q)scripts/deps.sh check
	$(Q)tests/bench/run.sh $(BUILD)

comparison: $(BUILD)/mailgauge ## who counts right, mailgauge or a reader of the log: docs/COMPARISON.md (root)
	$(Q)scripts/deps.sh check
	$(Q)MAILGAUGE=$(abspath $<) python3 tests/bench/comparison.py >$(BUILD)/COMPARISON.md
	$(Q)mv $(BUILD)/COMPARISON.md docs/COMPARISON.md

docs: ## docs/SERVERS.md, made from the catalog
	$(Q)scripts/servers-doc.py

lint: ## format, layers, clang's analyser, scripts
	$(Q)scripts/lint.sh

format: ## clang-format all C files
	$(Q)find bpf src tests -name '*.[ch]' | xargs clang-format -i

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

clean: ## remove build/
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
