# SPDX-License-Identifier: MIT
# What the memory manager did, as a page to look at.
#   OUT=build/trace    directory to write to (trace)
#   SUITE=             a suite of the kernel's own tests in place of a lab: SUITE=space (trace)
#   PROGRAM=           a program in user mode in place of a case: PROGRAM=/bin/forks (trace)

.PHONY: trace
trace: $(KERNEL) ## draw a case, event by event: LAB= or SUITE=, CASE= SEED=; or PROGRAM=; OUT=
	@$(PYTHON) scripts/memview --kernel $(KERNEL) --out '$(or $(OUT),$(O)/trace)' \
		$(if $(LAB),--lab '$(LAB)') $(if $(CASE),--case '$(CASE)') \
		$(if $(SEED),--seed '$(SEED)') $(if $(SUITE),--suite '$(SUITE)') \
		$(if $(PROGRAM),--program '$(PROGRAM)' --initrd '$(INITRD)')

$(call needs,trace,qemu-system-x86_64)
