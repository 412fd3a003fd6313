# SPDX-License-Identifier: MIT
# What the buddy allocator did, as a page to look at.
#   OUT=build/trace    directory to write to (trace)

.PHONY: trace
trace: $(KERNEL) ## draw a case, event by event: LAB= CASE= SEED=, into OUT=
	@$(PYTHON) scripts/memview --kernel $(KERNEL) --out '$(or $(OUT),$(O)/trace)' \
		$(if $(LAB),--lab '$(LAB)') $(if $(CASE),--case '$(CASE)') \
		$(if $(SEED),--seed '$(SEED)')

$(call needs,trace,qemu-system-x86_64)
