# SPDX-License-Identifier: MIT
# Programs for user mode, and the initrd that brings them and BusyBox to the kernel.
#   INITRD=build/initrd.cpio  the archive to boot with; empty: boot to the kernel's own console

# A kernel of the first three labs runs no programs.
ifeq ($(filter 1 2 3,$(LAB_NUMBER)),)
INITRD ?= $(O)/initrd.cpio
endif
# Of these targets only: tools that run make in other trees must not hand it on.
run debug gdb: export INITRD := $(INITRD)

# Programs run unmodified on Linux: what they print there is what they must print here.
UCC ?= musl-gcc
UCFLAGS := -std=gnu11 -D_GNU_SOURCE -static -O2 -g -gz -Wall -Wextra -Werror
# Of single programs. aslr can be put anywhere: it has a beginning that relocates it, which the
# wrapper of musl does not know of.
UCFLAGS_aslr := -fPIE -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text
LIBS_aslr = -lm $(addprefix $(MUSL_DIR)/,rcrt1.o crti.o crtn.o)
MUSL_DIR = $(shell grep -o '/[^" ]*/musl-gcc.specs' $(call tool,$(UCC)) | xargs dirname)
# wx wants a stack that may be executed.
UCFLAGS_wx := -Wl,-z,execstack -Wl,--no-warn-execstack
# The guarded heap comes before the C library.
LIBGUARD := $(patsubst %.c,$(O)/%.o,$(wildcard user/libguard/*.c))
LIBS_heap_guard := $(LIBGUARD)
UCFLAGS_heap_guard := -fno-builtin # the compiler must not know what is wrong
$(O)/user/tests/heap_guard: $(LIBGUARD)
USER_PROGRAMS := $(patsubst %.c,$(O)/%,$(wildcard user/*.c))
USER_TESTS := $(patsubst %.c,$(O)/%,$(wildcard user/tests/*.c))
USER_BENCH := $(patsubst %.c,$(O)/%,$(wildcard user/bench/*.c))
USER_ALL := $(USER_PROGRAMS) $(USER_TESTS) $(USER_BENCH)
BUSYBOX := $(call tool,busybox)

.PHONY: user initrd
user: $(USER_ALL) ## build the programs for user mode
	@:

$(USER_ALL): $(O)/%: %.c
	$(call say,UCC,$<)
	@mkdir -p $(@D)
	$(Q)$(UCC) $(UCFLAGS) $(UCFLAGS_$(@F)) -Iuser/include -MMD -MP -MF $@.d -o $@ $< \
		$(LIBS_$(@F))

$(LIBGUARD): $(O)/%.o: %.c
	$(call say,UCC,$<)
	@mkdir -p $(@D)
	$(Q)$(UCC) $(UCFLAGS) -MMD -MP -c -o $@ $<

-include $(USER_ALL:=.d) $(LIBGUARD:.o=.d)

initrd: $(O)/initrd.cpio ## pack BusyBox and the programs for user mode
	@:

INITRD_MEMBERS := $(addprefix bin/=,$(USER_PROGRAMS) $(USER_BENCH)) \
	$(addprefix tests/=,$(USER_TESTS))
INITRD_FILES := $(shell find user/files -type f 2>/dev/null)
INITRD_WITH := $(BUSYBOX) $(INITRD_MEMBERS) $(INITRD_FILES)
$(O)/initrd.cpio: $(USER_ALL) $(INITRD_FILES) $(BUSYBOX) scripts/mkinitrd $(O)/initrd.txt
	$(call say,CPIO,$@)
	$(Q)scripts/mkinitrd --busybox '$(BUSYBOX)' --files user/files $@ \
		$(INITRD_MEMBERS)
$(O)/initrd.txt:
	@mkdir -p $(@D); printf '%s\n' '$(INITRD_WITH)' >$@
$(call stamp,$(O)/initrd.txt,$(INITRD_WITH))

# The machine gets it as a module.
run debug gdb bench $(ISO): $(INITRD)
ifneq ($(PROGRAM),)
trace: $(INITRD)
endif
$(ISO): $(B)/iso-initrd.txt
$(B)/iso-initrd.txt:
	@mkdir -p $(@D); printf '%s\n' '$(INITRD)' >$@
$(call stamp,$(B)/iso-initrd.txt,$(INITRD))

# The tools' tests of programs boot with it. Paths are made absolute: pytest runs elsewhere.
pytest soak-user: export IKOS_INITRD = $(abspath $(INITRD))
pytest soak-user: $(INITRD)

.PHONY: soak-user
soak-user: $(KERNEL) ## the random programs in user mode with many seeds: SEEDS=10
	@IKOS_KERNEL="$$(realpath $(KERNEL))" IKOS_SOAK_SEEDS='$(or $(SEEDS),10)' \
		$(PYTHON) -m pytest tests/tools/test_user_shell.py -k soak

$(call needs,soak-user,qemu-system-x86_64)
$(call needs,$(O)/initrd.cpio,busybox)
$(call needs,$(USER_ALL),$(UCC))
