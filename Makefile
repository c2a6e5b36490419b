# Builds everything into build/: host libraries and programs, the nano_core image, the cells, their archive, the tests.
# Sources are found by wildcard: a new file or a new cell folder needs no line here.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

B    := build
CC   := gcc
CLANG := clang

# make V=1 shows whole commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-8s %s\n' $(1) $@)

# ---- flags -------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla
BASE := -std=gnu2x -I. -g -MMD -MP

HOST_PKGS   := libelf libdw capstone ncursesw libcyaml jansson sqlite3
HOST_CFLAGS  = $(BASE) $(WARN) -O2 -D_GNU_SOURCE -pthread $(shell pkg-config --cflags $(HOST_PKGS))
HOST_LIBS    = $(shell pkg-config --libs $(HOST_PKGS)) -lpthread -lm
ASAN        := -fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -fno-omit-frame-pointer

GUEST_CFLAGS := $(BASE) $(WARN) -O2 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
    -ffunction-sections -fdata-sections -fno-merge-constants -fvisibility=hidden -fno-common -fno-stack-protector \
    -fcf-protection=none -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-omit-frame-pointer \
    -fno-ipa-icf -fno-optimize-sibling-calls -fno-partial-inlining -fno-reorder-blocks-and-partition \
    -fexceptions -fnon-call-exceptions -fasynchronous-unwind-tables \
    -fsanitize=bounds -fsanitize-undefined-trap-on-error
# For cells of a namespace whose tasks save SIMD state; -O3 also vectorizes loops whose length GCC does not know.
SIMD_CFLAGS = $(filter-out -O2 -mgeneral-regs-only,$(GUEST_CFLAGS)) -O3 -mavx2 -mfma

# ---- sources -----------------------------------------------------------------------------------------------------

# The cells that are linked into the nano_core: what loading the first cell takes, and nothing else. They are in the
# archive too: later each is loaded like any other, from the same object, and takes the place of the one in the image.
CORE_CELLS := boot frame page arena archive loader exception panic cpu lock string

CELL_DIRS  := $(patsubst %/,%,$(sort $(wildcard cells/kernel/*/ cells/drivers/*/ cells/net/*/ cells/fs/*/ cells/gfx/*/ cells/lib/*/ cells/app/*/)))
TEST_CELL_DIRS := $(patsubst %/,%,$(sort $(wildcard tests/guest/*/)))
CORE_DIRS  := $(foreach c,$(CORE_CELLS),$(filter %/$(c),$(CELL_DIRS)))
LOAD_DIRS  := $(foreach d,$(CELL_DIRS),$(if $(wildcard $(d)/*.c),$(d)))
# A cell folder NAME_vN is another version of cell NAME: in the archive as NAME_vN.o, for swaps only.
ALT_CELLS  := $(foreach n,2 3 4 5 6 7 8 9,$(filter %_v$(n),$(notdir $(LOAD_DIRS))))
CELLS      := $(filter-out $(ALT_CELLS),$(notdir $(LOAD_DIRS)))
# These are built a second time, for AVX2: in the archive as NAME_avx2.o, for namespaces whose tasks save SIMD state.
AVX2_CELLS := canvas
AVX2_ALT_CELLS := $(AVX2_CELLS:%=%_avx2)
# Test cells that are built for AVX2 only.
TEST_SIMD_CELLS := ymm
TEST_ALT_CELLS := $(foreach n,2 3 4 5 6 7 8 9,$(filter %_v$(n),$(notdir $(TEST_CELL_DIRS))))
TEST_CELLS := $(filter-out $(TEST_ALT_CELLS),$(notdir $(TEST_CELL_DIRS)))

LIBS := machine introspect inject tui cell
machine_DIR    := vmm/machine
introspect_DIR := introspect
inject_DIR     := injector
tui_DIR        := tui
cell_DIR       := cells/tool

UNIT_SRC   := $(wildcard tests/unit/*.c)
HOSTED_SRC := $(wildcard tests/hosted/*.c)
# Each line is a cell, or CELL/FILE for one of its files.
HOSTED_CELLS := $(wildcard $(foreach c,$(shell cat tests/hosted/cells 2>/dev/null),cells/*/$(c)$(if $(findstring /,$(c)),,/*).c))
FUZZ       := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
# tests/unit/NAME.c defines Suite *suite_NAME(void); tests/hosted/suite_NAME.c defines Suite *suite_hosted_NAME(void).
SUITES     := $(patsubst suite_%,hosted_%,$(basename $(notdir $(UNIT_SRC) $(filter tests/hosted/suite_%,$(HOSTED_SRC))))) scale

PROGRAMS := $(if $(wildcard vmm/*.c),$(B)/bin/delias-vmm) $(if $(wildcard cli/*.c),$(B)/bin/delias) $(B)/bin/cell
KERNEL   := $(B)/delias.elf
ARCHIVE  := $(B)/cells.archive
TEST_ARCHIVE := $(B)/tests/guest.archive
PROBE    := $(B)/tests/probe.elf

# ---- targets -----------------------------------------------------------------------------------------------------

.PHONY: all deps run test soak check lab iso bench help clean fuzz
help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

deps: ## install what is missing, from Debian by name
	@configs/deps.sh

all: ## build everything
all: $(PROGRAMS) $(KERNEL) $(ARCHIVE) $(patsubst %,$(B)/cells/%.o,$(ALT_CELLS) $(AVX2_ALT_CELLS)) $(B)/compile_commands.json

run: deps ## install, build, boot the guest, open the TUI on it
	@$(MAKE) --no-print-directory all
	@tests/tools/run.sh $(B)/bin/delias

test: deps ## install, build, run every test, print one closing summary
	@$(MAKE) --no-print-directory all $(B)/tests/delias-tests $(TEST_ARCHIVE) $(PROBE) $(FUZZ:%=$(B)/fuzz/%)
	@$(B)/tests/delias-tests

soak: deps ## a cell loaded, swapped and unloaded 10,000 times, minutes long
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE)
	@CHURN=10000 CHURN_CPUS=2 GUEST_SECONDS=7200 bash tests/guest/test_churn.sh

check: deps ## format, analyzers, lock annotations, layering: all as errors
	@$(MAKE) --no-print-directory all
	@tests/tools/check.sh

lab: deps ## the KVM path on a real /dev/kvm, inside an emulated machine where the host has none
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE) $(PROBE)
	@tests/lab/lab.sh

iso: deps ## one hybrid ISO for BIOS and UEFI
	@$(MAKE) --no-print-directory $(B)/delias.iso

bench: deps ## measurements, each with its peer in the same run
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE)
	@tests/bench/bench.sh

fuzz: deps ## every fuzz target, FUZZ_SECONDS each (default 600)
	@$(MAKE) --no-print-directory all $(FUZZ:%=$(B)/fuzz/%)
	@tests/fuzz/run.sh $(or $(FUZZ_SECONDS),600) $(FUZZ)

clean: ## remove build/
	rm -rf $(B)

# ---- flag stamps: an object is rebuilt when the flags change --------------------------------------------------------

$(B)/flags/%: FORCE
	@mkdir -p $(@D)
	@echo '$($*_CFLAGS) $(ASAN)' | cmp -s - $@ || echo '$($*_CFLAGS) $(ASAN)' > $@
.PHONY: FORCE

# ---- host --------------------------------------------------------------------------------------------------------

$(B)/host/%.o: %.c $(B)/flags/HOST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(HOST_CFLAGS) -c -o $@ $<

$(B)/asan/%.o: %.c $(B)/flags/HOST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(HOST_CFLAGS) $(ASAN) -c -o $@ $<

define LIB_template
$(1)_SRC := $$(filter-out %/main.c,$$(wildcard $$($(1)_DIR)/*.c))
$(B)/lib/lib$(1).a: $$($(1)_SRC:%.c=$(B)/host/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)ar rcs $$@ $$^
$(B)/asan/lib$(1).a: $$($(1)_SRC:%.c=$(B)/asan/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(LIBS),$(eval $(call LIB_template,$(l))))

# In the order that the linker wants: who uses comes before what is used.
LINK_LIBS := tui inject machine introspect cell

$(B)/bin/delias: $(patsubst %.c,$(B)/host/%.o,$(wildcard cli/*.c)) $(LINK_LIBS:%=$(B)/lib/lib%.a)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -o $@ $^ $(HOST_LIBS)

VMM_SRC := $(wildcard vmm/*.c)
$(B)/bin/delias-vmm: $(VMM_SRC:%.c=$(B)/host/%.o)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -o $@ $^ $(shell pkg-config --libs jansson) -lpthread

$(B)/bin/cell: $(B)/host/cells/tool/main.o $(B)/lib/libcell.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -o $@ $^ $(shell pkg-config --libs libelf libdw jansson capstone)

# ---- guest -------------------------------------------------------------------------------------------------------

$(B)/guest/%.o: %.c $(B)/flags/GUEST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$(B)/guest/%.o: %.S $(B)/flags/GUEST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(GUEST_CFLAGS) -D__ASSEMBLY__ -c -o $@ $<

$(B)/simd/%.o: %.c $(B)/flags/SIMD
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(SIMD_CFLAGS) -c -o $@ $<

$(B)/simd/%.o: %.S $(B)/flags/SIMD
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(SIMD_CFLAGS) -D__ASSEMBLY__ -c -o $@ $<

CORE_SRC := $(wildcard guest/*.c guest/*.S $(CORE_DIRS:%=%/*.c) $(CORE_DIRS:%=%/*.S))
CORE_OBJ := $(patsubst %,$(B)/guest/%.o,$(basename $(CORE_SRC)))
$(CORE_OBJ): GUEST_CFLAGS += -Os

# What the image has beside cells: the way in.
$(B)/raw/nano_core.o: $(filter $(B)/guest/guest/%,$(CORE_OBJ))
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)ld -r -o $@ $^

# The image has the sections of the cells' own objects; the map says where.
CORE_RAW := $(B)/raw/nano_core.o $(CORE_CELLS:%=$(B)/raw/%.o)
$(KERNEL): guest/kernel.ld $(CORE_RAW)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)ld -n -nostdlib --build-id=sha1 --emit-relocs -z max-page-size=4096 --orphan-handling=warn -Map $(B)/delias.map \
	    -T $< -o $@ $(CORE_RAW)

# The way in as a cell object, with the places of all sections of the image.
$(B)/cells/nano_core.o: $(KERNEL) $(B)/bin/cell
	@mkdir -p $(@D) $(B)/cells.debug
	$(call say,CELL)
	$(Q)$(B)/bin/cell describe $(KERNEL) $(B)/delias.map $(B)/raw/nano_core.o -o $@

# folder, name of the file, where its objects are
define CELL_template
$(2)_OBJ := $$(patsubst %,$(B)/$(3)/%.o,$$(basename $$(wildcard $(1)/*.c $(1)/*.S)))
$(B)/raw/$(2).o: $$($(2)_OBJ)
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)ld -r -o $$@ $$^
$(B)/cells/$(2).o: $(B)/raw/$(2).o $(B)/bin/cell
	@mkdir -p $$(@D) $(B)/cells.debug
	$$(call say,CELL)
	$$(Q)$(B)/bin/cell make $$< -o $$@ --debug $(B)/cells.debug/$(2).o
endef
TEST_SIMD_DIRS := $(TEST_SIMD_CELLS:%=tests/guest/%)
AVX2_DIRS      := $(foreach c,$(AVX2_CELLS),$(filter %/$(c),$(LOAD_DIRS)))
$(foreach d,$(LOAD_DIRS) $(filter-out $(TEST_SIMD_DIRS),$(TEST_CELL_DIRS)),$(eval $(call CELL_template,$(d),$(notdir $(d)),guest)))
$(foreach d,$(TEST_SIMD_DIRS),$(eval $(call CELL_template,$(d),$(notdir $(d)),simd)))
$(foreach d,$(AVX2_DIRS),$(eval $(call CELL_template,$(d),$(notdir $(d))_avx2,simd)))

$(ARCHIVE): $(B)/cells/nano_core.o $(patsubst %,$(B)/cells/%.o,$(CELLS) $(ALT_CELLS) $(AVX2_ALT_CELLS))
	$(call say,CELL)
	$(Q)$(B)/bin/cell archive -o $@ $^

# The objects that they swap in are part of them.
$(B)/guest/tests/guest/test_swap/objects.o: $(patsubst %,$(B)/cells/%.o,$(filter fragile%,$(TEST_ALT_CELLS)) fragile channel channel_v2)
$(B)/guest/tests/guest/test_namespaces/objects.o: $(patsubst %,$(B)/cells/%.o,$(filter figure%,$(TEST_ALT_CELLS)) figure_a figure_b figure_c figure_once)

$(B)/tests/ledger.recipes: $(B)/cells/ledger.o $(B)/cells/ledger_v2.o
	@mkdir -p $(@D)
	$(call say,CELL)
	$(Q)$(B)/bin/cell transfer $^ --drop books.forgotten -o $@ > $@.log
$(B)/guest/tests/guest/test_recipe/recipes.o: $(B)/tests/ledger.recipes

$(TEST_ARCHIVE): $(B)/cells/nano_core.o \
                 $(patsubst %,$(B)/cells/%.o,$(CELLS) $(ALT_CELLS) $(AVX2_ALT_CELLS) $(TEST_CELLS) $(TEST_ALT_CELLS))
	@mkdir -p $(@D)
	$(call say,CELL)
	$(Q)$(B)/bin/cell archive -o $@ $^

# 32-bit C in an ELF64 file: PVH enters there.
PROBE_CFLAGS := -m32 -O1 -std=gnu2x -I. -ffreestanding -fno-pic -fno-asynchronous-unwind-tables -fno-stack-protector \
    -mgeneral-regs-only $(WARN)
$(PROBE): tests/lab/probe.c tests/lab/probe.ld
	@mkdir -p $(@D)
	$(call say,PROBE)
	$(Q)$(CC) $(PROBE_CFLAGS) -S -o $(B)/tests/probe.s $<
	$(Q)as --64 -o $(B)/tests/probe.o $(B)/tests/probe.s
	$(Q)ld -n -nostdlib --no-warn-rwx-segments -T tests/lab/probe.ld -o $@ $(B)/tests/probe.o

$(B)/delias.iso: $(KERNEL) $(ARCHIVE) guest/grub.cfg
	guest/iso.sh $(KERNEL) $(ARCHIVE) guest/grub.cfg $@

# ---- tests -------------------------------------------------------------------------------------------------------

# Hosted cells see the same headers as in the guest; only their flags differ (no #ifdef in a cell).
$(B)/hosted/%.o: %.c $(B)/flags/HOST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE) -D_GNU_SOURCE $(WARN) $(ASAN) -fexceptions -fnon-call-exceptions -c -o $@ $<

# What tests/hosted/fail.c can make fail: calls between files, each by way of it.
HOSTED_WRAP := heap_alloc arena_new arena_new_named string_intern

# One object that shows nothing but its suites: a cell may use a name that a host library uses too.
$(B)/tests/hosted.o: $(HOSTED_SRC:%.c=$(B)/hosted/%.o) $(HOSTED_CELLS:%.c=$(B)/hosted/%.o)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)ld -r $(HOSTED_WRAP:%=--wrap=%) -o $@ $^
	$(Q)objcopy --wildcard --keep-global-symbol='suite_*' $@

# The same cells for a far larger system: with its header of capacities, and as fast as in the guest.
SCALE_SRC := tests/scale/suite_scale.c tests/hosted/stand_in.c \
    $(filter-out cells/kernel/namespace/% cells/kernel/swap/%,$(HOSTED_CELLS))
$(B)/scale/%.o: %.c $(B)/flags/HOST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -Itests/scale $(BASE) -D_GNU_SOURCE $(WARN) -O2 -fno-strict-aliasing -fexceptions -fnon-call-exceptions -c -o $@ $<

$(B)/tests/scale.o: $(SCALE_SRC:%.c=$(B)/scale/%.o)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)ld -r -o $@ $^
	$(Q)objcopy --wildcard --keep-global-symbol='suite_*' $@

SUITES_CFLAGS := $(SUITES)
$(B)/asan/tests/main.o: $(B)/flags/SUITES
$(B)/asan/tests/main.o: private HOST_CFLAGS += -DSUITES='$(foreach s,$(SUITES),SUITE($(s)))'
$(B)/tests/delias-tests: $(B)/asan/tests/main.o $(UNIT_SRC:%.c=$(B)/asan/%.o) $(B)/tests/hosted.o $(B)/tests/scale.o \
                         $(patsubst %.c,$(B)/asan/%.o,$(filter-out vmm/main.c,$(VMM_SRC))) $(LINK_LIBS:%=$(B)/asan/lib%.a)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ASAN) -o $@ $^ $(shell pkg-config --libs check) $(HOST_LIBS)

FUZZ_FLAGS = $(BASE) -D_GNU_SOURCE -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
             -Wno-ignored-attributes $(shell pkg-config --cflags $(HOST_PKGS))
FUZZ_SRC := $(sort $(shell sed -n 's/^ \* sources: //p' tests/fuzz/*.c)) cells/kernel/host_link/host_link.c
$(B)/fuzz/%: tests/fuzz/%.c $(FUZZ_SRC)
	@mkdir -p $(@D)
	$(call say,FUZZ)
	$(Q)$(CLANG) $(filter-out -MMD -MP,$(FUZZ_FLAGS)) -o $@ $< \
	    $(addprefix $(CURDIR)/,$(shell sed -n 's/^ \* sources: //p' $<)) $(HOST_LIBS)

# ---- tools -------------------------------------------------------------------------------------------------------

FILES_CFLAGS := $(shell git ls-files '*.c' 2>/dev/null)
$(B)/compile_commands.json: tests/tools/compile_commands.sh $(B)/flags/HOST $(B)/flags/GUEST $(B)/flags/PROBE $(B)/flags/FILES
	@mkdir -p $(@D)
	@$< '$(HOST_CFLAGS)' '$(GUEST_CFLAGS)' '$(PROBE_CFLAGS)' > $@
	@ln -sf $@ compile_commands.json

-include $(shell find $(B) -name '*.d' 2>/dev/null)
