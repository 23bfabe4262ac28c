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
PACKAGES  := libbpf libelf libmicrohttpd libprotobuf-c zlib
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
.PHONY: all bpf help clean deps run check unit bpf-tests servers exporters lint format analyze fuzz bench tests-deps

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
$(call objects,$(1),$(wildcard src/probe/*.c)): | $(GEN)/probe.skel.h
$(call objects,$(1),$(wildcard src/export/*.c)): | $(PROTO_HEADERS)
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

# ---- tests

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/asan/libmailgauge.a
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_) -Itests/unit -DGOLDEN_DIR='"$(CURDIR)/tests/golden"' $(CFLAGS_) -Wno-missing-prototypes -g -O1 $(SAN) \
		-MMD -MP -MF $@.d -c $< -o $@.o
	$(Q)$(CXX) $(SAN) -o $@ $@.o $(BUILD)/asan/libmailgauge.a $(LDLIBS_) -lcmocka

unit: $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT)) ## unit tests (cmocka, no root, ASan + UBSan)
	$(Q)for t in $^; do $$t || exit 1; done

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

clean: ## remove build/
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
