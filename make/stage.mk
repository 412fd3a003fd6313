# SPDX-License-Identifier: MIT
# Starters for students, made from this tree. A starter itself is without this file.
#   OUT=               directory to write to (stage, course)
#   DIRTY=             1: take changes that are not committed too (stage, course)
#   REFS=              earlier labs to add as objects, for REF=: 1,2 or all (stage, course)

.PHONY: stage course check-labs
DIRTY_OPTION = $(if $(filter 1,$(DIRTY)),--dirty)

stage: ## write the starter of a lab, LAB=buddy, to the directory OUT=
	@$(PYTHON) scripts/stage lab --lab '$(LAB)' --out '$(OUT)' --refs '$(REFS)' $(DIRTY_OPTION)

course: ## make or update the git repository for students in the directory OUT=
	@$(PYTHON) scripts/stage course --out '$(OUT)' --refs '$(REFS)' $(DIRTY_OPTION)

check-labs: ## stage every lab, build it, boot it, mark it, and look for solutions in it
	@$(submake) $(PYTHON) scripts/stage check --out $(O)/labs

$(call needs,stage course check-labs,ctags git)
$(call needs,check-labs,qemu-system-x86_64)
