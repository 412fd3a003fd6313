# SPDX-License-Identifier: MIT
#
# The host build: mm/ compiled as it stands for this machine, against tests/host instead of
# kernel/x86_64, so that sanitizers and fuzzers can watch it. Included by the Makefile.
#
#   make host-test     all tests with gcc and with clang, under the address and undefined
#                      behaviour sanitizers; the threads under the thread sanitizer; a short
#                      run of each fuzz target, the same every time
#   make fuzz          each fuzz target for FUZZ_SECONDS; what fails is left in $(HOST_O)/fuzz

HOST_O ?= $(O)/host$(if $(filter-out $(LAST_LAB),$(LAB_NUMBER)),-lab$(LAB_NUMBER))
FUZZ_SECONDS ?= 30

# What is compiled: the memory manager, and the parts of the kernel's library that it needs.
HOST_MM := $(filter-out $(MM_LEFT_OUT) %_console.c,$(wildcard mm/*.c))
HOST_LIB := kernel/lib/printf.c kernel/lib/lockdep.c kernel/lib/tree.c kernel/lib/range_tree.c
HOST_BASE := $(HOST_MM) $(HOST_LIB) tests/host/arch_host.c tests/host/calls_host.c \
	tests/host/wait_host.c tests/host/vm_host.c tests/host/machine_host.c tests/host/buddy_model.c
HOST_TEST := $(filter-out $(LEFT_OUT),$(HOST_BASE) kernel/lib/string.c kernel/lib/cmdline.c \
	tests/host/host.c tests/host/threads_host.c tests/host/buddy_trace.c \
	tests/host/trace_generate.c tests/host/memory_map_oracle.c $(wildcard tests/host/*_test.c))
HOST_THREADS := $(filter-out $(LEFT_OUT),$(HOST_BASE) tests/host/host.c \
	tests/host/threads_host.c tests/host/buddy_threads_test.c tests/host/wait_test.c \
	tests/host/large_threads_test.c)
HOST_FUZZ := $(filter-out $(LEFT_OUT),$(HOST_BASE) tests/host/buddy_trace.c \
	tests/host/memory_map_oracle.c)
# Those that come with a later lab are left out by FILES_LABn in the Makefile.
FUZZ_TARGETS := $(filter-out $(LEFT_OUT:tests/host/fuzz/%.c=%),fuzz_buddy fuzz_memory_map \
	fuzz_range_tree fuzz_large)

HOST_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra $(if $(filter 0,$(WERROR)),,-Werror) \
	-fno-omit-frame-pointer $(STARTER_WARNINGS)
HOST_INCLUDE := -Itests/host/include -Iinclude
# Pages and links are computed from numbers that may be wrong, and are checked after that.
HOST_ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-sanitize=pointer-overflow
# string.c defines what the C library has as well: here it gets names of its own.
HOST_RENAMED := memcpy memmove memset memcmp strlen strnlen strcmp strncmp strchr

# What is built, each in $(HOST_O)/NAME: the compiler and its flags. One of the two with the
# checks of debug kernels and one without, as both must work.
HOST_COMPILERS := $(foreach c,gcc clang,$(if $(call tool,$c),$c))
HOST_CC_gcc := gcc $(HOST_ASAN) -DIKOS_DEBUG
HOST_CC_clang := clang $(HOST_ASAN)
HOST_CC_threads := $(lastword $(HOST_COMPILERS)) -fsanitize=thread -DIKOS_DEBUG
HOST_CC_fuzz := $(lastword $(HOST_COMPILERS)) $(HOST_ASAN) \
	$(if $(filter clang,$(HOST_COMPILERS)),-fsanitize=fuzzer-no-link)
HOST_NAMES := $(HOST_COMPILERS) threads fuzz

# $(call host_objects,NAME,SOURCE...)
host_objects = $(patsubst %.c,$(HOST_O)/$1/%.o,$2)

# $(call host_rules,NAME)
define host_rules
$(HOST_O)/$1/%.o: %.c $(HOST_O)/$1/flags.txt
	$$(call say,CC,$$< ($1))
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(HOST_CC_$1) $(HOST_CFLAGS) $$(HOST_OWN) $$(HOST_INCLUDE) -MMD -MP -c -o $$@ $$<

# pthread.h must not find the kernel's headers of the same names as the C library's.
$(HOST_O)/$1/tests/host/threads_host.o: HOST_INCLUDE :=
$(HOST_O)/$1/kernel/lib/string.o: HOST_OWN := $(foreach f,$(HOST_RENAMED),-D$f=kernel_$f)

$(HOST_O)/$1/flags.txt:
	@mkdir -p $$(@D); printf '%s\n' '$(HOST_CC_$1) $(HOST_CFLAGS)' >$$@
$$(call stamp,$(HOST_O)/$1/flags.txt,$(HOST_CC_$1) $(HOST_CFLAGS))
-include $$(wildcard $(HOST_O)/$1/*/*.d $(HOST_O)/$1/*/*/*.d $(HOST_O)/$1/*/*/*/*.d)
endef
$(foreach name,$(HOST_NAMES),$(eval $(call host_rules,$(name))))

# ---- Programs ------------------------------------------------------------------------
# $(call host_link,NAME,PROGRAM,SOURCE...)
define host_link
$(HOST_O)/$1/$2: $(call host_objects,$1,$3)
	$$(call say,LD,$$@)
	$$(Q)$(HOST_CC_$1) -o $$@ $$^ -pthread
endef
$(foreach c,$(HOST_COMPILERS),$(eval $(call host_link,$c,host-tests,$(HOST_TEST))))
$(eval $(call host_link,threads,host-threads,$(HOST_THREADS)))

# With libFuzzer if it links, else with a main() of our own that only tries random inputs.
$(addprefix $(HOST_O)/fuzz/,$(FUZZ_TARGETS)): $(HOST_O)/fuzz/fuzz_%: \
		$(HOST_O)/fuzz/tests/host/fuzz/fuzz_%.o \
		$(call host_objects,fuzz,$(HOST_FUZZ)) $(HOST_O)/fuzz/tests/host/fuzz/fuzz_main.o
	$(call say,LD,$@)
	$(Q)$(HOST_CC_fuzz) -fsanitize=fuzzer -o $@ $(filter-out %/fuzz_main.o,$^) 2>/dev/null || \
		{ echo "# no libFuzzer: $(@F) only tries random inputs"; \
		$(HOST_CC_fuzz) -o $@ $^; }

# ---- Running them ---------------------------------------------------------------------
HOST_PROGRAMS := $(HOST_COMPILERS:%=$(HOST_O)/%/host-tests) $(HOST_O)/threads/host-threads \
	$(FUZZ_TARGETS:%=$(HOST_O)/fuzz/%)
FUZZ_RUN := -runs=20000 -seed=1 -max_len=400 -verbosity=0 -print_funcs=0 \
	-artifact_prefix=$(HOST_O)/fuzz/

.PHONY: host-test fuzz
host-test: $(HOST_PROGRAMS) ## mm/ compiled natively: property tests, sanitizers, fuzzers
	@$(if $(HOST_COMPILERS),,echo 'host-test needs gcc or clang: make setup' >&2; exit 2;) \
	tests/host/run $(foreach c,$(HOST_COMPILERS),'$c' '$(HOST_O)/$c/host-tests') \
		'threads' '$(HOST_O)/threads/host-threads' \
		$(foreach t,$(FUZZ_TARGETS),'$t' '$(HOST_O)/fuzz/$t $(FUZZ_RUN)')

fuzz: $(FUZZ_TARGETS:%=$(HOST_O)/fuzz/%) ## fuzz mm/ natively, each target for FUZZ_SECONDS=30
	@for target in $(FUZZ_TARGETS); do \
		echo "$$target: $(FUZZ_SECONDS) s"; \
		mkdir -p $(HOST_O)/fuzz/corpus-$$target; \
		$(HOST_O)/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -max_len=2048 \
			-artifact_prefix=$(HOST_O)/fuzz/ $(HOST_O)/fuzz/corpus-$$target; \
	done
