# SPDX-License-Identifier: MIT
# Testing a lab's tests, with solutions whose mark is known: LAB= (default: the last one).
#   ONLY=              only those whose names begin so: A,B (of soak: cases)
#   QUICK=1            each against one case that is known to catch it (mutants)
#   RECORD=1           record which cases catch what, for QUICK=1 (mutants)
#   SYSTEMATIC=1       mistakes made by rule; SAMPLE=N: only N of them; ONLY=: functions (mutants)
#   SEEDS=N SEED=N     how many, and the first instead of a fresh one (soak)

.PHONY: mutants alternatives cheats soak
try = @$(PYTHON) scripts/mutants $1 --scratch $(O)/mutants $(if $(LAB),--lab '$(LAB)') \
	$(if $(ONLY),--only '$(ONLY)') $(if $(SEED),--seed '$(SEED)')

mutants: ## wrong solutions: each must lose marks, and each case must catch one
	$(call try,$(if $(filter 1,$(SYSTEMATIC)),systematic,known)) \
		$(if $(filter 1,$(QUICK)),--quick) $(if $(filter 1,$(RECORD)),--record) \
		$(if $(SAMPLE),--sample '$(SAMPLE)')

alternatives: ## other right solutions: each must get full marks
	$(call try,alternatives)

cheats: ## submissions that are after marks or the grader: none may get any
	$(call try,cheats)

soak: ## the reference with many seeds: must get full marks with each
	$(call try,soak) $(if $(SEEDS),--seeds '$(SEEDS)')

$(call needs,mutants alternatives cheats soak,qemu-system-x86_64 ctags)
$(call needs,cheats,bwrap objdump)
