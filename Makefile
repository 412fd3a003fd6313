# SPDX-License-Identifier: MIT
#
# The one entrance to IKOS. "make help" lists what it can do.
#
# One make reads everything: there are no makefiles in subdirectories, so every dependency
# is known and a rebuild does exactly what changed. Nothing is written beside the sources.
# What is built with other settings (compiler, flavour, lab) goes to another directory
# below $(O), so settings never mix.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# As many jobs as processors, unless -j was given here or by the make above.
PROCESSORS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(PROCESSORS)
endif

empty :=
space := $(empty) $(empty)
comma := ,

# ---- Settings: make NAME=VALUE -------------------------------------------------
#   O=build            directory for everything that is built
#   CC=gcc             compiler: gcc or clang
#   CROSS_COMPILE=     prefix of gcc and ld, such as x86_64-elf-
#   FLAVOR=debug       debug (with the checks of IKOS_DEBUG) or release
#   OPT=2              optimisation, as in -O2; OPT=g is easier to follow in a debugger
#   LAB=               build only labs 1 to this one: a number or a name
#   REF=               labs before that one to take from ref/, in place of your files: REF=1,2
#   WERROR=1           0: warnings do not stop the build
#   V=0                1: show the commands
O ?= build
FLAVOR ?= $(if $(filter bench,$(MAKECMDGOALS)),release,debug)
OPT ?= 2
WERROR ?= 1
ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
Q := $(if $(filter 1,$(V)),,@)

# $(call tool,NAME...): the path of the first that is in $PATH, without starting a process.
path_dirs := $(subst :, ,$(PATH))
tool = $(firstword $(foreach name,$1,$(wildcard $(path_dirs:%=%/$(name)))))

# "  CC  mm/buddy_allocator.c", where the command itself is not shown.
say = $(if $(Q),$(info $(space) $1$(space) $2))

# ---- Labs ------------------------------------------------------------------------
# The number of a lab is its place in this list. A kernel of lab n has the labs 1 to n.
LABS := buddy zones slab paging swap compression numa
LAB_NUMBERS := 1 2 3 4 5 6 7
LABS_HERE := $(patsubst labs/%/,%,$(sort $(wildcard labs/lab[1-7]-*/)))

lab_name = $(word $1,$(LABS))
lab_number = $(strip $(foreach n,$(LAB_NUMBERS),$(if $(filter $1,$n $(call lab_name,$n)),$n)))
LAST_LAB := $(lastword $(foreach n,$(LAB_NUMBERS),$(if $(filter lab$n-%,$(LABS_HERE)),$n)))

# Files of mm/ that come with a lab: a kernel of an earlier lab is built without them.
# MM_BEFORE_LABn: what stands in their place there, and goes when they come.
MM_LAB2 := block_split.c compaction.c high_memory.c node_allocator.c page_groups.c \
	page_lists.c reclaim.c zone_allocator.c zone_console.c zone_ranges.c zone_setup.c \
	zone_statistics.c zone_validator.c
MM_BEFORE_LAB2 := page_allocator.c
MM_LAB3 := bump_arena.c element_set.c fixed_pool.c heap_guard.c heap_protection.c kmalloc.c \
	large_console.c large_object.c leak_console.c leak_detector.c memory_pool.c \
	memory_pool_check.c percpu_pool.c pool_console.c pool_manager.c slab_allocator.c \
	slab_cache.c slab_console.c slab_statistics.c
MM_BEFORE_LAB3 := naive_objects.c

# What else comes with a lab: headers, tests, benchmarks, scripts, figures. Each by its path, in
# which one % stands for any text. What is in labs/labN-*/, and handouts/labN-*, need not be said.
# Nothing that comes with a lab is in a starter of an earlier one: staging asks print-files.
# FILES_BEFORE_LABn: what is compiled only without the lab.
FILES_LAB2 := mm/high_memory_internal.h include/high_memory.h include/reclaim.h include/zone.h \
	tests/host/fuzz/fuzz_zone.c tests/host/kmap% tests/host/zone% tests/kernel/kmap% \
	tests/kernel/zone% tests/tools/test_zones.py handouts/figures/zones-%.svg
FILES_BEFORE_LAB2 := tests/kernel/buddy_benchmarks.c
FILES_LAB3 := mm/bump_arena.h mm/element_set.h mm/fixed_pool.h mm/heap_protection.h \
	mm/large_object_internal.h mm/memory_pool_internal.h mm/percpu_pool.h mm/pool_memory.h \
	mm/slab_magazine.h include/large_object.h include/leak_detector.h include/memory_pool.h \
	include/pool_manager.h tests/kernel/heap_% tests/kernel/kmalloc_% tests/kernel/large_% \
	tests/kernel/leak_% tests/kernel/pool_% tests/kernel/slab_% \
	tests/host/bench/ikos_objects.c tests/host/large% tests/host/leak_% tests/host/machine.% \
	tests/host/mempool_% tests/host/pool% tests/host/slab_% tests/host/fuzz/fuzz_large.c \
	tests/host/fuzz/fuzz_pool.c tests/host/fuzz/fuzz_slab.c handouts/figures/slab-% \
	tests/tools/test_gdb_slab.py tests/tools/test_fast_path.py tests/tools/test_heap_report.py
MM_LAB4 := address_space.c demand_paging.c huge_page.c mapped_range.c memory_protection.c \
	page_cache.c page_reading.c page_table.c page_tree.c populate.c region.c reverse_map.c \
	space_access.c space_advice.c space_console.c space_fork.c space_layout.c space_map.c \
	space_move.c space_report.c space_trace.c stack_protection.c user_heap.c user_page.c \
	write_back.c
FILES_LAB4 := include/abi/% include/address_space.h include/budget.h include/file.h \
	include/memory_object.h \
	include/page_cache.h include/page_table.h include/page_tree.h include/user_page.h \
	mm/page_cache_internal.h mm/space_internal.h mm/space_trace.h include/process.h \
	include/random.h include/syscall.h include/uaccess.h include/block.h kernel/dev/pci% \
	kernel/dev/disk/% tests/kernel/block_% tests/host/fuzz/fuzz_ext2.c \
	tests/tools/ext2_images.py tests/tools/test_ext2.py tests/tools/test_kill.py \
	tests/host/block_% tests/host/fuzz/fuzz_disk.c tests/tools/test_disks.py \
	kernel/fs/% kernel/proc/user/% kernel/x86_64/include/arch/user.h \
	kernel/x86_64/user/% tests/kernel/fs_% tests/kernel/process_% tests/kernel/space_% \
	tests/host/space_% tests/host/fuzz/fuzz_space.c tests/host/fuzz/fuzz_elf.c \
	tests/host/fuzz/fuzz_cpio.c tests/tools/test_user% tests/tools/test_%_space.py user/% \
	handouts/design.md handouts/api.md handouts/figures/paging-% \
	make/user.mk scripts/mkinitrd

# The complete kernel has every lab of which there is a file here.
COMPLETE := $(or $(lastword $(LAST_LAB) $(foreach n,$(LAB_NUMBERS),$(if \
	$(wildcard $(addprefix mm/,$(MM_LAB$n))),$n))),$(lastword $(LAB_NUMBERS)))
ifdef LAB
LAB_NUMBER := $(call lab_number,$(LAB))
ifeq ($(filter lab$(LAB_NUMBER)-%,$(LABS_HERE)),)
$(error LAB=$(LAB): no such lab here. Use a number or a name: $(patsubst lab%,%,$(LABS_HERE)))
endif
else
LAB_NUMBER := $(COMPLETE)
endif
LABS_IN := $(wordlist 1,$(LAB_NUMBER),$(LAB_NUMBERS))
LABS_OUT := $(filter-out $(LABS_IN),$(LAB_NUMBERS))

.PHONY: print-files
print-files:
	@printf '%s\n' $(foreach n,$(LAB_NUMBERS),$(foreach f,$(addprefix mm/,$(MM_LAB$n)) \
		$(FILES_LAB$n),'$n $f'))

# The labs that are taken from the reference, as objects: ref/labN.a holds what is compiled of
# the files that a student writes in lab n, ref/labN-release.a the same for FLAVOR=release.
# Beside each, a file .abi says what it must be linked with: see scripts/check-ref.
# starter/labN.mk, which is in starters only, sets EDITABLE_LABn: the files that may be changed.
include $(wildcard starter/lab*.mk)
ifneq ($(strip $(REF)),)
REF_LABS := $(sort $(foreach word,$(subst $(comma),$(space),$(REF)),$(or \
	$(call lab_number,$(word)),?)))
LABS_BEFORE := $(filter-out $(LAB_NUMBER),$(LABS_IN))
ifneq ($(filter-out $(LABS_BEFORE),$(REF_LABS)),)
$(error REF=$(REF): $(if $(LABS_BEFORE),use labs before lab $(LAB_NUMBER): $(subst \
	$(space),$(comma),$(LABS_BEFORE)),there is no lab before lab $(LAB_NUMBER)))
endif
REF_ARCHIVES := $(foreach n,$(REF_LABS),ref/lab$n$(if $(filter release,$(FLAVOR)),-release).a)
REF_SOURCES := $(foreach n,$(REF_LABS),$(EDITABLE_LAB$n))
REF_NEEDED := $(REF_ARCHIVES) $(REF_LABS:%=starter/lab%.mk)
REF_MISSING := $(firstword $(filter-out $(wildcard $(REF_NEEDED)),$(REF_NEEDED)))
ifneq ($(REF_MISSING),)
$(error REF=$(REF): there is no $(REF_MISSING) here: your course has not published that)
endif
REF_SUFFIX := -ref$(subst $(space),,$(REF_LABS))
endif

# ---- Toolchain ---------------------------------------------------------------------
ifeq ($(filter debug release,$(FLAVOR)),)
$(error FLAVOR=$(FLAVOR): use FLAVOR=debug or FLAVOR=release)
endif
CC_NAME := $(notdir $(CC))
COMPILER := $(if $(findstring clang,$(CC_NAME)),clang,$(if $(findstring gcc,$(CC_NAME)),gcc))
ifeq ($(COMPILER),)
$(error CC=$(CC): use CC=gcc or CC=clang)
endif

ifndef CROSS_COMPILE
CROSS_COMPILE := $(patsubst %ld,%,$(notdir $(call tool,x86_64-elf-ld x86_64-linux-gnu-ld)))
endif
ifeq ($(COMPILER),clang)
KCC := $(CC) --target=x86_64-unknown-none-elf
KLD := $(if $(call tool,$(CROSS_COMPILE)ld),$(CROSS_COMPILE)ld,ld.lld)
else
# A cross-binutils alone does not make a cross-gcc.
KCC := $(if $(filter gcc,$(CC)),$(if $(call tool,$(CROSS_COMPILE)gcc),$(CROSS_COMPILE))gcc,$(CC))
KLD := $(CROSS_COMPILE)ld
endif
PYTHON ?= $(or $(wildcard /usr/bin/python3),python3)

B := $(O)/$(CC_NAME)-$(FLAVOR)$(if $(filter-out 2,$(OPT)),-O$(OPT))$(if \
	$(filter-out $(COMPLETE),$(LAB_NUMBER)),-lab$(LAB_NUMBER))
KERNEL := $(B)/kernel$(REF_SUFFIX).elf

# ---- Flags -------------------------------------------------------------------------
KCPPFLAGS := -Iinclude -Ikernel/x86_64/include $(if $(filter debug,$(FLAVOR)),-DIKOS_DEBUG)
# Paths in the output start at the top of the tree, so that any copy of it builds the same bytes.
# (clang forgets to map the directory that it runs in when it assembles.)
KCOMMON := -g -ffile-prefix-map="$$PWD"=. \
	$(if $(filter clang,$(COMPILER)),-fdebug-compilation-dir=.) \
	$(if $(filter 0,$(WERROR)),,-Werror -Wa,--fatal-warnings)
KCFLAGS := -std=gnu11 -O$(OPT) -Wall -Wextra -ffreestanding -fno-pie -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fstack-protector-strong -mstack-protector-guard=global \
	-fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer
KLDFLAGS := -static -nostdlib -z max-page-size=4096 -z noexecstack --fatal-warnings

# In a student's files a warning is shown but does not stop the build, and a function or a
# parameter may wait until it is used.
EDITABLE := $(foreach n,$(LAB_NUMBERS),$(EDITABLE_LAB$n))
ifneq ($(EDITABLE),)
STARTER_WARNINGS := -Wno-error -Werror=implicit-function-declaration \
	-Wno-unused-function -Wno-unused-parameter -Wno-unused-const-variable
$(EDITABLE:%.c=$(B)/%.o): private KCOMMON += $(STARTER_WARNINGS)
endif

# What must be alike in objects that are linked with each other.
ABI = $(filter-out -I%,$(KCPPFLAGS)) $(filter -m% -f%,$(KCFLAGS))
.PHONY: print-abi
print-abi:
	@echo '$(strip $(ABI))'

# ---- Sources -------------------------------------------------------------------------
# $(call find,DIR,PATTERN...): every file below DIR that matches.
find = $(foreach f,$(wildcard $1/*),$(call find,$f,$2) $(filter $2,$f))

MM_LEFT_OUT := $(addprefix mm/,$(foreach n,$(LABS_OUT),$(MM_LAB$n)) \
	$(foreach n,$(LABS_IN),$(MM_BEFORE_LAB$n)))
LEFT_OUT := $(MM_LEFT_OUT) $(foreach n,$(LABS_OUT),$(FILES_LAB$n)) \
	$(foreach n,$(LABS_IN),$(FILES_BEFORE_LAB$n))
KSOURCES := $(filter-out $(LEFT_OUT) $(REF_SOURCES),$(sort $(call find,kernel,%.c %.S) \
	$(wildcard mm/*.c tests/kernel/*.c) \
	$(foreach n,$(LABS_IN),$(wildcard labs/lab$n-*/tests/*.c))))
KOBJECTS := $(sort $(addprefix $(B)/,$(addsuffix .o,$(basename $(KSOURCES)))))
ifneq ($(words $(KSOURCES)),$(words $(KOBJECTS)))
$(error Two sources in one directory differ only in .c and .S: rename one)
endif
KSCRIPT := kernel/x86_64/kernel.ld

# ---- The kernel ------------------------------------------------------------------------
.PHONY: all kernel
all: kernel ## build the kernel (the default)
kernel: $(KERNEL) ## the same: build/gcc-debug/kernel.elf, or what the settings say
	@:

# What was compiled and linked with, kept in files that change only when it does.
# $(call stamp,FILE,TEXT) makes FILE out of date if it does not hold TEXT.
.PHONY: force
stamp = $(if $(call differ,x$(call squeeze,$(file <$1)),x$(call squeeze,$2)),$(eval $1: force))
# (GNU make 4.3 sometimes leaves a file's last line end: strip takes it, too.)
squeeze = $(subst $(space),,$(strip $1))
differ = $(subst $1,,$2)$(subst $2,,$1)
KCC_VERSION := $(shell $(KCC) --version 2>/dev/null | head -n 1)
COMPILE_WITH = $(KCC_VERSION) $(KCC) $(KCPPFLAGS) $(KCFLAGS) $(KCOMMON)
LINK_INPUT = $(KOBJECTS) $(if $(REF_ARCHIVES),--whole-archive $(REF_ARCHIVES) --no-whole-archive)
LINK_WITH = $(KLD) $(KLDFLAGS) $(LINK_INPUT)
LINK_TXT := $(B)/link$(REF_SUFFIX).txt

$(B)/compile.txt:
	@mkdir -p $(@D); printf '%s\n' '$(COMPILE_WITH)' >$@
$(LINK_TXT):
	@mkdir -p $(sort $(dir $(KOBJECTS))); printf '%s\n' '$(LINK_WITH)' >$@

$(B)/%.o: %.c $(B)/compile.txt | $(LINK_TXT)
	$(call say,CC,$<)
	$(Q)$(KCC) $(KCPPFLAGS) $(KCFLAGS) $(KCOMMON) -MMD -MP -c -o $@ $<

$(B)/%.o: %.S $(B)/compile.txt | $(LINK_TXT)
	$(call say,AS,$<)
	$(Q)$(KCC) $(KCPPFLAGS) $(KCOMMON) -MMD -MP -c -o $@ $<

REF_ABIS := $(REF_ARCHIVES:.a=.abi)
REF_HEADERS := $(wildcard $(filter %.h,$(foreach abi,$(REF_ABIS),$(file <$(abi)))))
$(KERNEL): $(KOBJECTS) $(REF_ARCHIVES) $(REF_ABIS) $(REF_HEADERS) $(KSCRIPT) $(LINK_TXT)
	$(call say,LD,$@)
	$(if $(REF_ARCHIVES),@scripts/check-ref '$(strip $(ABI))' $(REF_ARCHIVES))
	$(Q)$(KLD) $(KLDFLAGS) -T $(KSCRIPT) -o $@ $(LINK_INPUT)

-include $(KOBJECTS:.o=.d)

$(call stamp,$(B)/compile.txt,$(COMPILE_WITH))
$(call stamp,$(LINK_TXT),$(LINK_WITH))

# ---- Tools that a target needs -----------------------------------------------------------
# $(call needs,TARGET...,TOOL...): if a tool is not there, run scripts/setup before the target:
# it installs what is missing, or says how to.
lacking = $(strip $(foreach name,$1,$(if $(call tool,$(name)),,$(name))))
needs = $(if $(call lacking,$2),$(eval LACKING += $(call lacking,$2))$(eval $1: | lacking-tools))
.PHONY: lacking-tools
lacking-tools:
	@scripts/setup --need $(sort $(LACKING))

$(call needs,$(B)/compile.txt,$(firstword $(KCC)) $(KLD))

# ---- Running it ----------------------------------------------------------------------------
#   CMDLINE=           the kernel's command line (run, debug, gdb, and in the ISO)
#   CPUS=4 MEMORY=256  the machine: processors, MiB (run, run-iso, run-uefi, debug, gdb, bochs)
#   DISK=              files that it has as disks: /dev/vda, or ide:FILE for /dev/hda (run, bochs)
CPUS ?= 4
MEMORY ?= 256
export CPUS MEMORY CMDLINE DISK
ISO := $(B)/ikos$(REF_SUFFIX).iso

.PHONY: run iso run-iso run-uefi bochs
run: $(KERNEL) ## boot to the console on this terminal (QEMU loads the kernel itself)
	@scripts/run direct $(KERNEL)

iso: $(ISO) ## build a CD image that boots with BIOS and UEFI
	@:

run-iso: $(ISO) ## boot the CD image with BIOS and GRUB
	@scripts/run iso $(ISO)

run-uefi: $(ISO) ## boot the CD image with UEFI and GRUB
	@scripts/run uefi $(ISO)

bochs: $(ISO) ## boot the CD image on Bochs, which only prints
	@scripts/bochs $(ISO)

$(ISO): $(KERNEL) scripts/mkiso $(B)/iso.txt
	$(call say,ISO,$@)
	$(Q)scripts/mkiso $(KERNEL) $@ '$(CMDLINE)' $(INITRD)
$(B)/iso.txt:
	@mkdir -p $(@D); printf '%s\n' '$(CMDLINE)' >$@
$(call stamp,$(B)/iso.txt,$(CMDLINE))

$(call needs,run run-iso run-uefi,qemu-system-x86_64)
$(call needs,$(ISO),grub-mkrescue xorriso mformat)
$(call needs,bochs,bochs-bin)

# ---- Checking it -------------------------------------------------------------------------------
.PHONY: test boots ktest grade bench pytest check-style check-layers format
test: ## everything below, with both compilers and flavours; ends "N passed, N failed"
	@$(PYTHON) scripts/test-all --out $(O)

boots: $(KERNEL) ## boot on every firmware, loader and machine that is supported
	@$(PYTHON) tests/boot/boots --out $(B)/boots $(KERNEL)

# A make started by a tool: with these settings, but with jobs of its own.
submake = MAKEFLAGS='$(filter-out -j% --jobserver%,$(MAKEFLAGS))'

ktest: $(KERNEL) ## run the kernel's test suites; SUITE=buddy or SUITE=buddy.merge: only these
	@$(PYTHON) grading/ktest --kernel $(KERNEL) $(SUITE)

grade: ## mark a lab, LAB=buddy; CASE= SEED= only some, again; JSON= JUNIT= also to these files
	@$(submake) $(PYTHON) grading/grade --build --kernel $(KERNEL) $(if $(LAB),--lab $(LAB)) \
		$(if $(REF_LABS),--ref '$(subst $(space),$(comma),$(REF_LABS))') \
		$(if $(INITRD),--initrd $(INITRD)) \
		$(if $(CASE),--case $(CASE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(JSON),--json $(JSON)) $(if $(JUNIT),--junit $(JUNIT))

bench: $(KERNEL) ## measure the release kernel: instructions per operation
	@scripts/bench $(KERNEL) $(if $(INITRD),--initrd $(INITRD))

pytest: $(KERNEL) ## tests of the tools
	@IKOS_KERNEL="$$(realpath $(KERNEL))" \
		$(PYTHON) -m pytest -n $(PROCESSORS) --dist=loadfile --durations=3 tests/tools

check-style: ## how the sources read: layout, lengths, licence lines
	@$(PYTHON) scripts/check-style

check-layers: ## includes in mm/ only point down
	@$(PYTHON) scripts/check-layers

format: ## lay out the C sources as .clang-format says
	@$(PYTHON) scripts/check-style --format

include $(wildcard tests/host/host.mk make/*.mk)

$(call needs,ktest grade bench pytest,qemu-system-x86_64)
$(call needs,test boots,qemu-system-x86_64 bochs-bin grub-mkrescue xorriso mformat)
$(call needs,check-style,clang-format ctags)
$(call needs,format,clang-format)

# ---- The rest ------------------------------------------------------------------------------------
.PHONY: setup doctor clean help
compile_commands.json: $(B)/compile.txt $(LINK_TXT) ## for editors and clangd
	$(call say,GEN,$@)
	@printf '%s\n' $(filter %.c,$(KSOURCES)) | awk -v dir='$(CURDIR)' \
		-v cc='$(KCC) $(KCPPFLAGS) $(KCFLAGS) -c ' 'BEGIN { print "[" } \
		{ printf "%s{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s\"}", \
		(NR > 1 ? ",\n" : ""), dir, $$0, cc $$0 } END { print "\n]" }' >$@

setup: ## install the packages that all this needs (as root)
	@scripts/setup

doctor: ## which tools are here, and what is known to give trouble
	@scripts/doctor

clean: ## remove everything that was built
	@out=$$(realpath -m $(O)); [[ $$PWD/ != "$${out%/}/"* ]] || \
		{ echo 'O=$(O): make clean would remove the sources' >&2; exit 1; }
	$(Q)rm -rf $(O) compile_commands.json

help: ## this list
	@echo 'make TARGET... [NAME=VALUE...]'
	@awk -F ':.*## ' '/^[a-z][a-z_.-]*:.*## / { printf "  %-22s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)
	@echo 'Settings, with their defaults:'
	@sed -n 's/^#   \([A-Z_]*=\)/  \1/p' $(MAKEFILE_LIST)
