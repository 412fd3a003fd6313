# SPDX-License-Identifier: MIT
#
# The host build: mm/ compiled as it stands for this machine, against tests/host instead of
# kernel/x86_64, so that sanitizers and fuzzers can watch it. Included by the Makefile.
#
#   make host-test     all tests with gcc and with clang, under the address and undefined
#                      behaviour sanitizers; the threads under the thread sanitizer; a short
#                      run of each fuzz target, the same every time
#   make fuzz          each fuzz target for FUZZ_SECONDS; what fails is left in $(HOST_O)/fuzz
#   make host-bench    the allocators beside those of other people; BENCH= words for host-bench

HOST_O ?= $(O)/host$(if $(filter-out $(COMPLETE),$(LAB_NUMBER)),-lab$(LAB_NUMBER))
FUZZ_SECONDS ?= 30

# What is compiled: the memory manager, the parts of the kernel's library that it needs, and
# of tests/host what the names say:
#
#	*_threads_test.c	suites that are also run under the thread sanitizer
#	*_test.c		suites
#	fuzz/fuzz_*.c		fuzz targets
#	*.c			the machine and the models that they share
#
# Those that come with a later lab are left out by FILES_LABn in the Makefile.
host_here = $(filter-out $(LEFT_OUT),$(wildcard tests/host/$1))

HOST_MM := $(filter-out $(MM_LEFT_OUT) %_console.c,$(wildcard mm/*.c))
HOST_LIB := $(addprefix kernel/lib/,printf.c lockdep.c string.c cmdline.c \
	tree.c range_tree.c mutex.c)
# What of the disks touches no hardware.
HOST_DISK := $(filter-out $(LEFT_OUT),kernel/dev/pci_capability.c $(addprefix kernel/dev/disk/, \
	block.c queue.c transfer.c ram.c mbr.c ide_identify.c ide_prd.c \
	virtio_capabilities.c virtio_ring.c))
HOST_BASE := $(HOST_MM) $(HOST_LIB) $(HOST_DISK) \
	$(filter-out %_test.c tests/host/host.c,$(call host_here,*.c))
# What of the files needs no programs.
HOST_FS := $(addprefix kernel/fs/,inode.c dentry.c names.c name_cache.c file_pages.c \
	permission.c) \
	$(wildcard kernel/fs/ext2/*.c)
HOST_TEST := $(HOST_BASE) kernel/x86_64/pcid.c tests/host/host.c $(call host_here,*_test.c)
HOST_THREADS := $(HOST_BASE) tests/host/host.c $(call host_here,*_threads_test.c)
HOST_BENCH := $(HOST_MM) $(HOST_LIB) \
	$(addprefix tests/host/,arch_host.c calls_host.c threads_host.c \
		vm_host.c wait_host.c $(notdir $(call host_here,space_mmu.c))) \
	$(addprefix tests/host/bench/,main.c traces.c foreign.c ikos_pages.c \
		$(if $(filter mm/slab_allocator.c,$(HOST_MM)),ikos_objects.c))
FUZZ_TARGETS := $(filter-out fuzz_main,$(basename $(notdir $(call host_here,fuzz/fuzz_*.c))))

HOST_CFLAGS := -std=gnu11 -g -Wall -Wextra $(if $(filter 0,$(WERROR)),,-Werror) \
	$(STARTER_WARNINGS)
HOST_INCLUDE := -Itests/host/include -Iinclude
# For the backtraces of sanitizers.
HOST_READABLE := -O1 -fno-omit-frame-pointer
# Pages and links are computed from numbers that may be wrong, and are checked after that.
HOST_ASAN := $(HOST_READABLE) -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-sanitize=pointer-overflow
# string.c defines what the C library has as well: here it gets names of its own.
HOST_RENAMED := memcpy memmove memset memcmp strlen strnlen strcmp strncmp strchr

# What is built, each in $(HOST_O)/NAME: the compiler and its flags. One of the two with the
# checks of debug kernels and one without, as both must work.
HOST_COMPILERS := $(foreach c,gcc clang,$(if $(call tool,$c),$c))
HOST_CC_gcc := gcc $(HOST_ASAN) -DIKOS_DEBUG
HOST_CC_clang := clang $(HOST_ASAN)
HOST_CC_threads := $(lastword $(HOST_COMPILERS)) $(HOST_READABLE) -fsanitize=thread -DIKOS_DEBUG
HOST_CC_fuzz := $(lastword $(HOST_COMPILERS)) $(HOST_ASAN)
# As release kernels are built.
HOST_CC_bench := $(firstword $(HOST_COMPILERS)) -O2
HOST_CC_bench-bare := $(HOST_CC_bench) -DHOST_INTERRUPTS=0
HOST_NAMES := $(HOST_COMPILERS) threads fuzz bench bench-bare

# $(call host_objects,NAME,SOURCE...)
host_objects = $(patsubst %.c,$(HOST_O)/$1/%.o,$2)

# $(call host_rules,NAME)
define host_rules
$(HOST_O)/$1/%.o: %.c $(HOST_O)/$1/flags.txt
	$$(call say,CC,$$< ($1))
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(HOST_CC_$1) $(HOST_CFLAGS) $$(HOST_OWN) $$(HOST_INCLUDE) -MMD -MP -c -o $$@ $$<

# These must not find the kernel's headers of the same names as the C library's.
$(addprefix $(HOST_O)/$1/tests/host/,threads_host.o bench/main.o bench/foreign.o): HOST_INCLUDE :=
$(HOST_O)/$1/kernel/lib/string.o: HOST_OWN := $(foreach f,$(HOST_RENAMED),-D$f=kernel_$f)

$(HOST_O)/$1/flags.txt:
	@mkdir -p $$(@D); printf '%s\n' '$(HOST_CC_$1) $(HOST_CFLAGS)' >$$@
$$(call stamp,$(HOST_O)/$1/flags.txt,$$(HOST_CC_$1) $$(HOST_CFLAGS))
-include $$(wildcard $(HOST_O)/$1/*/*.d $(HOST_O)/$1/*/*/*.d $(HOST_O)/$1/*/*/*/*.d)
endef
$(foreach name,$(HOST_NAMES),$(eval $(call host_rules,$(name))))

# What a fuzzer is to reach. Watching the models too would take three quarters of its time.
$(patsubst %,$(HOST_O)/fuzz/%/%.o,mm kernel/dev kernel/fs tests/host/fuzz): HOST_OWN := \
	$(if $(filter clang,$(HOST_COMPILERS)),-fsanitize=fuzzer-no-link)

# ---- Programs ------------------------------------------------------------------------
# $(call host_link,NAME,PROGRAM,SOURCE...)
define host_link
$(HOST_O)/$1/$2: $(call host_objects,$1,$3)
	$$(call say,LD,$$@)
	$$(Q)$(HOST_CC_$1) -o $$@ $$^ -pthread
endef
$(foreach c,$(HOST_COMPILERS),$(eval $(call host_link,$c,host-tests,$(HOST_TEST))))
$(eval $(call host_link,threads,host-threads,$(HOST_THREADS)))
$(foreach b,bench bench-bare,$(eval $(call host_link,$b,host-bench,$(HOST_BENCH))))

# With libFuzzer if it links, else with a main() of our own that only tries random inputs.
$(addprefix $(HOST_O)/fuzz/,$(FUZZ_TARGETS)): $(HOST_O)/fuzz/fuzz_%: \
		$(HOST_O)/fuzz/tests/host/fuzz/fuzz_%.o \
		$(call host_objects,fuzz,$(HOST_BASE)) $(HOST_O)/fuzz/tests/host/fuzz/fuzz_main.o
	$(call say,LD,$@)
	$(Q)$(HOST_CC_fuzz) -fsanitize=fuzzer -pthread -o $@ $(filter-out %/fuzz_main.o,$^) \
		2>/dev/null || \
		{ echo "# no libFuzzer: $(@F) only tries random inputs"; \
		$(HOST_CC_fuzz) -pthread -o $@ $^; }

$(HOST_O)/fuzz/fuzz_ext2: $(call host_objects,fuzz,$(HOST_FS))

# ---- Running them ---------------------------------------------------------------------
HOST_PROGRAMS := $(HOST_COMPILERS:%=$(HOST_O)/%/host-tests) $(HOST_O)/threads/host-threads \
	$(HOST_O)/bench/host-bench $(HOST_O)/bench-bare/host-bench \
	$(FUZZ_TARGETS:%=$(HOST_O)/fuzz/%)
FUZZ_RUN := -runs=5000 -seed=1 -max_len=400 -verbosity=0 -print_funcs=0 \
	-artifact_prefix=$(HOST_O)/fuzz/

.PHONY: host-test fuzz
host-test: $(HOST_PROGRAMS) ## mm/ compiled natively: property tests, sanitizers, fuzzers
	@$(if $(HOST_COMPILERS),,echo 'host-test needs gcc or clang: make setup' >&2; exit 2;) \
	tests/host/run $(foreach c,$(HOST_COMPILERS),'$c' '$(HOST_O)/$c/host-tests') \
		'threads' '$(HOST_O)/threads/host-threads' \
		'bench' '$(HOST_O)/bench/host-bench -c' \
		'bench-bare' '$(HOST_O)/bench-bare/host-bench -c' \
		$(foreach t,$(FUZZ_TARGETS),'$t' '$(HOST_O)/fuzz/$t $(FUZZ_RUN)')

.PHONY: host-bench
host-bench: $(HOST_O)/bench/host-bench ## mm/'s allocators natively, beside mimalloc and others
host-bench: $(HOST_O)/bench-bare/host-bench
	@$(HOST_O)/bench/host-bench $(BENCH)
	@printf '\n# The same built without the flag that stands for interrupts:\n'
	@$(HOST_O)/bench-bare/host-bench -1 pair

fuzz: $(FUZZ_TARGETS:%=$(HOST_O)/fuzz/%) ## fuzz mm/ natively, each target for FUZZ_SECONDS=30
	@for target in $(FUZZ_TARGETS); do \
		echo "$$target: $(FUZZ_SECONDS) s"; \
		mkdir -p $(HOST_O)/fuzz/corpus-$$target; \
		$(HOST_O)/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -max_len=2048 \
			-artifact_prefix=$(HOST_O)/fuzz/ $(HOST_O)/fuzz/corpus-$$target; \
	done
