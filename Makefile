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

# Where `make install` puts things; DESTDIR comes before it while a package is made.
PREFIX  ?= /usr/local
DESTDIR ?=

# make V=1 shows whole commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-8s %s\n' $(1) $@)

# ---- flags -------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla
BASE := -std=gnu2x -I. -g -MMD -MP

HOST_PKGS   := libelf libdw capstone ncursesw yaml-0.1 jansson sqlite3 libvirt libvirt-qemu
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

CELL_DIRS  := $(patsubst %/,%,$(sort $(wildcard $(patsubst %,%*/,$(filter-out cells/tool/,$(wildcard cells/*/))))))
TEST_CELL_DIRS := $(patsubst %/,%,$(sort $(wildcard tests/guest/tests/*/ tests/guest/fixtures/*/)))
LOAD_DIRS  := $(foreach d,$(CELL_DIRS),$(if $(wildcard $(d)/*.c),$(d)))
# A cell folder NAME_vN is another version of cell NAME, older or newer: in the archive as NAME_vN.o, for swaps only.
ALT_CELLS  := $(foreach n,1 2 3 4 5 6 7 8 9,$(filter %_v$(n),$(notdir $(LOAD_DIRS))))
CELLS      := $(filter-out $(ALT_CELLS),$(notdir $(LOAD_DIRS)))
# The cells that say CORE(): they are linked into the nano_core, since loading the first cell takes them. They are in the
# archive too: later each is loaded like any other, from the same object, and takes the place of the one in the image.
CORE_CELLS := $(filter $(CELLS),$(notdir $(patsubst %/,%,$(dir $(shell grep -l '^CORE();' $(LOAD_DIRS:%=%/*.c))))))
CORE_DIRS  := $(foreach c,$(CORE_CELLS),$(filter %/$(c),$(LOAD_DIRS)))
# These are built a second time, for AVX2: in the archive as NAME_avx2.o, for namespaces whose tasks save SIMD state.
AVX2_CELLS := canvas
AVX2_ALT_CELLS := $(AVX2_CELLS:%=%_avx2)
# Test cells that are built for AVX2 only.
TEST_SIMD_CELLS := ymm
TEST_ALT_CELLS := $(foreach n,1 2 3 4 5 6 7 8 9,$(filter %_v$(n),$(notdir $(TEST_CELL_DIRS))))
TEST_CELLS := $(filter-out $(TEST_ALT_CELLS),$(notdir $(TEST_CELL_DIRS)))

LIBS := base machine introspect inject debugger tui cell cli
base_DIR       := introspect/base
machine_DIR    := vmm/machine
introspect_DIR := introspect
inject_DIR     := injector
debugger_DIR   := debugger
tui_DIR        := tui
cell_DIR       := cells/tool
cli_DIR        := cli

UNIT_SRC   := $(wildcard tests/unit/*.c)
HOSTED_SRC := $(wildcard tests/hosted/*.c)
# Cells that programs of the host may link: those of which there is one version. The host has its own strings.
HOSTED_CELLS := $(foreach d,$(LOAD_DIRS),$(if $(filter $(ALT_CELLS) string,$(notdir $(d))),,$(wildcard $(d)/*.c)))
FUZZ       := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
# tests/unit/NAME.c defines Suite *suite_NAME(void); tests/hosted/suite_NAME.c defines Suite *suite_hosted_NAME(void).
SUITES     := $(patsubst suite_%,hosted_%,$(basename $(notdir $(UNIT_SRC) $(filter tests/hosted/suite_%,$(HOSTED_SRC))))) scale

PROGRAMS := $(if $(wildcard vmm/*.c),$(B)/bin/delias-vmm) $(if $(wildcard cli/*.c),$(B)/bin/delias) $(B)/bin/cell
KERNEL   := $(B)/delias.elf
ARCHIVE  := $(B)/cells.archive
TEST_ARCHIVE := $(B)/tests/guest.archive
PROBE    := $(B)/tests/probe.elf
ASAN_PROGRAMS := $(B)/asan/bin/delias $(B)/asan/bin/cell

# ---- targets -----------------------------------------------------------------------------------------------------

.PHONY: all deps install uninstall run test soak mutants check lab iso bench figures faults13 faults-fs faults-expected campaign-thesis help clean fuzz
help: ## this list
	@grep -hE '^[a-z0-9]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

deps: ## install what is missing, from Debian by name
	@configs/deps.sh

all: ## build everything
all: $(PROGRAMS) $(KERNEL) $(ARCHIVE) $(patsubst %,$(B)/cells/%.o,$(ALT_CELLS) $(AVX2_ALT_CELLS)) $(B)/compile_commands.json

run: deps ## install, build, boot the guest, open the TUI on it
	@$(MAKE) --no-print-directory all
	@tests/tools/run.sh $(B)/bin/delias

test: deps ## install, build, run every test, print one closing summary
	@$(MAKE) --no-print-directory all $(B)/tests/delias-tests $(ASAN_PROGRAMS) $(TEST_ARCHIVE) $(PROBE) $(FUZZ:%=$(B)/fuzz/%) $(B)/rendezvous.archive
	@$(B)/tests/delias-tests

install: ## put programs, guest, configurations and documents below $(DESTDIR)$(PREFIX); PREFIX is /usr/local
	@$(MAKE) --no-print-directory all $(B)/rendezvous.archive
	@configs/install.sh add '$(DESTDIR)$(PREFIX)'

uninstall: ## remove what `make install` has put there, and nothing else
	@configs/install.sh remove '$(DESTDIR)$(PREFIX)'

soak: deps ## a cell loaded, swapped and unloaded 10,000 times, minutes long
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE)
	@CHURN=10000 TEST_PATIENCE=8 tests/guest/run.sh test_churn 2

mutants: deps ## make deliberate defects, one at a time in a copy, and say which of them no test notices
	@$(MAKE) --no-print-directory all $(B)/tests/delias-tests $(TEST_ARCHIVE) $(PROBE)
	@tests/mutants/run.sh $(MUTANTS)

check: deps ## format, analyzers, lock annotations, layers: all as errors
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

figures: deps ## figure 9.1 of the thesis, 1,000 swaps of each case (FIGURES_RUNS=N), into build/figures
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE)
	@tests/bench/figures.sh

faults13: deps ## the thirteen faults of the thesis into both channels on 1, 2 and 4 CPUs, and their downtime
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE)
	@tests/bench/faults13.sh $(CPUS)

faults-expected: deps ## what is expected of the fixed set of experiments, from this build: tests/faults/expected
	@$(MAKE) --no-print-directory all
	@tests/e2e/faults.sh --write

faults-fs: deps ## 30,000 faults (FAULTS=N) under memory_fs, an hour; goes on where it was; SEED=N are others
	@$(MAKE) --no-print-directory all $(TEST_ARCHIVE)
	@tests/bench/faults_fs.sh $(SEED)

campaign-thesis: deps ## the thesis's mix until 10,000 faults have manifested (CAMPAIGN_MANIFESTED=N); an hour; goes on where it was
	@$(MAKE) --no-print-directory all $(B)/rendezvous.archive
	@tests/bench/campaign_thesis.sh $(or $(CAMPAIGN_MANIFESTED),10000)

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

# A folder among prerequisites is newer when a file has come or gone; commands take objects and archives only.
objects = $(filter %.o %.a,$^)

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
$(B)/lib/lib$(1).a: $$($(1)_SRC:%.c=$(B)/host/%.o) $$($(1)_DIR)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)ar rcs $$@ $$(objects)
$(B)/asan/lib$(1).a: $$($(1)_SRC:%.c=$(B)/asan/%.o) $$($(1)_DIR)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)ar rcs $$@ $$(objects)
endef
$(foreach l,$(LIBS),$(eval $(call LIB_template,$(l))))

# In the order that the linker wants: who uses comes before what is used.
LINK_LIBS := cli tui inject debugger machine introspect cell base

$(B)/bin/delias: $(B)/host/cli/main.o $(LINK_LIBS:%=$(B)/lib/lib%.a)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -o $@ $(objects) $(HOST_LIBS)

# The programs that print, for tests that want to see every wrong access.
$(B)/asan/bin/delias: $(B)/asan/cli/main.o $(LINK_LIBS:%=$(B)/asan/lib%.a)
$(B)/asan/bin/cell: $(B)/asan/cells/tool/main.o $(B)/asan/libcell.a $(B)/asan/libbase.a
$(ASAN_PROGRAMS):
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ASAN) -o $@ $(objects) $(HOST_LIBS)

VMM_SRC := $(wildcard vmm/*.c)
$(B)/bin/delias-vmm: $(VMM_SRC:%.c=$(B)/host/%.o) vmm $(B)/lib/libbase.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -o $@ $(objects) $(shell pkg-config --libs jansson) -lpthread

$(B)/bin/cell: $(B)/host/cells/tool/main.o $(B)/lib/libcell.a $(B)/lib/libbase.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -o $@ $(objects) $(shell pkg-config --libs libelf libdw jansson capstone)

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
$(CORE_OBJ): GUEST_CFLAGS += -Oz

# What the image has beside cells: its entry point.
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

# The entry point as a cell object, with the places of all sections of the image.
$(B)/cells/nano_core.o: $(KERNEL) $(B)/bin/cell
	@mkdir -p $(@D) $(B)/cells.debug
	$(call say,CELL)
	$(Q)$(B)/bin/cell describe $(KERNEL) $(B)/delias.map $(B)/raw/nano_core.o -o $@

# folder, name of the file, where its objects are
define CELL_template
$(2)_OBJ := $$(patsubst %,$(B)/$(3)/%.o,$$(basename $$(wildcard $(1)/*.c $(1)/*.S)))
$(B)/raw/$(2).o: $$($(2)_OBJ) $(1)
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)ld -r -o $$@ $$(objects)
$(B)/cells/$(2).o: $(B)/raw/$(2).o $(B)/bin/cell
	@mkdir -p $$(@D) $(B)/cells.debug
	$$(call say,CELL)
	$$(Q)$(B)/bin/cell make $$< -o $$@ --debug $(B)/cells.debug/$(2).o
endef
TEST_SIMD_DIRS := $(foreach c,$(TEST_SIMD_CELLS),$(filter %/$(c),$(TEST_CELL_DIRS)))
AVX2_DIRS      := $(foreach c,$(AVX2_CELLS),$(filter %/$(c),$(LOAD_DIRS)))
$(foreach d,$(LOAD_DIRS) $(filter-out $(TEST_SIMD_DIRS),$(TEST_CELL_DIRS)),$(eval $(call CELL_template,$(d),$(notdir $(d)),guest)))
$(foreach d,$(TEST_SIMD_DIRS),$(eval $(call CELL_template,$(d),$(notdir $(d)),simd)))
$(foreach d,$(AVX2_DIRS),$(eval $(call CELL_template,$(d),$(notdir $(d))_avx2,simd)))

$(ARCHIVE): $(B)/cells/nano_core.o $(patsubst %,$(B)/cells/%.o,$(CELLS) $(ALT_CELLS) $(AVX2_ALT_CELLS))
	$(call say,CELL)
	$(Q)$(B)/bin/cell archive -o $@ $^

# Channels without a buffer, from the start: channel_v3 is called channel.
RENDEZVOUS := $(filter-out channel channel_v2 channel_v3,$(CELLS) $(ALT_CELLS) $(AVX2_ALT_CELLS))
$(B)/rendezvous/channel.o: $(B)/cells/channel_v3.o
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(B)/rendezvous.archive: $(B)/cells/nano_core.o $(B)/rendezvous/channel.o $(patsubst %,$(B)/cells/%.o,$(RENDEZVOUS))
	$(call say,CELL)
	$(Q)$(B)/bin/cell archive -o $@ $^

# The objects that they swap in are part of them.
$(B)/guest/tests/guest/tests/test_swap/objects.o: $(patsubst %,$(B)/cells/%.o,$(filter fragile%,$(TEST_ALT_CELLS)) fragile channel channel_v2)
$(B)/guest/tests/guest/tests/test_namespaces/objects.o: $(patsubst %,$(B)/cells/%.o,$(filter figure%,$(TEST_ALT_CELLS)) figure_a figure_b figure_c figure_once)

# From one ledger to the next and back; the cautious one drops no more than it has to.
LEDGER_RECIPES := $(patsubst %,$(B)/tests/%.recipes,ledger ledger_back ledger_cautious)
$(B)/tests/ledger.recipes: $(B)/cells/ledger.o $(B)/cells/ledger_v2.o
$(B)/tests/ledger_back.recipes $(B)/tests/ledger_cautious.recipes: $(B)/cells/ledger_v2.o $(B)/cells/ledger.o
$(B)/tests/ledger.recipes: LEDGER_WORDS := --drop books.forgotten --rename whole=entire --rename total=sum_of_all
LEDGER_BACK := --drop books.year --rename entire=whole --rename sum_of_all=total
$(B)/tests/ledger_back.recipes: LEDGER_WORDS := $(LEDGER_BACK) --drop books.account[].limit
$(B)/tests/ledger_cautious.recipes: LEDGER_WORDS := $(LEDGER_BACK)
$(LEDGER_RECIPES):
	@mkdir -p $(@D)
	$(call say,CELL)
	$(Q)$(B)/bin/cell transfer $^ $(LEDGER_WORDS) -o $@ > $@.log
$(B)/guest/tests/guest/tests/test_recipe/recipes.o: $(LEDGER_RECIPES)

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

# Of an archive of cells the linker takes those files that define what is still undefined: what a stand-in defines stays
# out, and a new cell or file needs no line anywhere. Files of one name in two cells are two members: `ar q`.
define CELLS_template
$(B)/$(1)/cells.a: $(HOSTED_CELLS:%.c=$(B)/$(1)/%.o) $(LOAD_DIRS)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)ar qcs $$@ $$(objects)
endef
$(foreach f,hosted scale fuzz/obj,$(eval $(call CELLS_template,$(f))))

# One object that shows nothing but its suites: a cell may use a name that a host library uses too.
$(B)/tests/hosted.o: $(HOSTED_SRC:%.c=$(B)/hosted/%.o) $(B)/hosted/cells.a tests/hosted
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)ld -r $(HOSTED_WRAP:%=--wrap=%) -o $@ $(objects)
	$(Q)objcopy --wildcard --keep-global-symbol='suite_*' $@

# The same cells for a far larger system: with its header of capacities, and as fast as in the guest.
SCALE_SRC := tests/scale/suite_scale.c tests/hosted/stand_in.c
$(B)/scale/%.o: %.c $(B)/flags/HOST
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -Itests/scale $(BASE) -D_GNU_SOURCE $(WARN) -O2 -fno-strict-aliasing -fexceptions -fnon-call-exceptions -c -o $@ $<

$(B)/tests/scale.o: $(SCALE_SRC:%.c=$(B)/scale/%.o) $(B)/scale/cells.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)ld -r -o $@ $^
	$(Q)objcopy --wildcard --keep-global-symbol='suite_*' $@

SUITES_CFLAGS := $(SUITES)
$(B)/asan/tests/main.o: $(B)/flags/SUITES
$(B)/asan/tests/main.o: private HOST_CFLAGS += -DSUITES='$(foreach s,$(SUITES),SUITE($(s),"$(s:hosted_%=hosted %)"))'
$(B)/tests/delias-tests: $(patsubst %.c,$(B)/asan/%.o,$(wildcard tests/*.c)) $(UNIT_SRC:%.c=$(B)/asan/%.o) $(B)/tests/hosted.o $(B)/tests/scale.o \
                         $(patsubst %.c,$(B)/asan/%.o,$(filter-out vmm/main.c,$(VMM_SRC))) $(LINK_LIBS:%=$(B)/asan/lib%.a)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ASAN) -Wl,--wrap=_mark_point -o $@ $(objects) $(shell pkg-config --libs check) $(HOST_LIBS)

FUZZ_CFLAGS = $(BASE) -D_GNU_SOURCE -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
              -Wno-ignored-attributes -Wno-gnu-variable-sized-type-not-at-end $(shell pkg-config --cflags $(HOST_PKGS))
$(B)/fuzz/obj/%.o: %.c $(B)/flags/FUZZ
	@mkdir -p $(@D)
	$(call say,FUZZ)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -c -o $@ $<

define FUZZ_DIR_template
$(B)/fuzz/obj/$(1).a: $(patsubst %.c,$(B)/fuzz/obj/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c))) $(1)
	@rm -f $$@
	$$(call say,AR)
	$$(Q)ar rcs $$@ $$(objects)
endef
$(foreach d,introspect/base introspect vmm vmm/machine,$(eval $(call FUZZ_DIR_template,$(d))))

# A target's source says what it links, after "sources:": files, and one of the folders above or `cells` for an archive.
fuzz_sources = tests/fuzz/$(1).c $(shell sed -n 's/^ \* sources: //p' tests/fuzz/$(1).c)
fuzz_objects = $(patsubst %.c,$(B)/fuzz/obj/%.o,$(filter %.c,$(1))) $(patsubst %,$(B)/fuzz/obj/%.a,$(filter-out %.c,$(1)))
$(foreach f,$(FUZZ),$(eval $(B)/fuzz/$(f): $(call fuzz_objects,$(call fuzz_sources,$(f)))))
$(FUZZ:%=$(B)/fuzz/%):
	$(call say,LINK)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -o $@ $(objects) $(HOST_LIBS)

# ---- tools -------------------------------------------------------------------------------------------------------

FILES_CFLAGS := $(shell git ls-files '*.c' 2>/dev/null)
$(B)/compile_commands.json: tests/tools/compile_commands.sh $(B)/flags/HOST $(B)/flags/GUEST $(B)/flags/PROBE $(B)/flags/FILES
	@mkdir -p $(@D)
	@$< '$(HOST_CFLAGS)' '$(GUEST_CFLAGS)' '$(PROBE_CFLAGS)' > $@
	@ln -sf $@ compile_commands.json

-include $(shell find $(B) -name '*.d' 2>/dev/null)
