# SPDX-License-Identifier: MIT
# Handouts: from handouts/NAME.md to build/handouts/NAME.html and NAME.pdf.

HANDOUTS := $(patsubst handouts/%.md,$(O)/handouts/%,$(wildcard handouts/*.md))
HANDOUT_INPUTS := scripts/handouts handouts/style.css $(wildcard handouts/figures/*.svg)

.PHONY: handouts
handouts: $(HANDOUTS:%=%.html) $(HANDOUTS:%=%.pdf) ## render the handouts as HTML and PDF
	@:

# A rule with two patterns runs once for both.
$(O)/handouts/%.html $(O)/handouts/%.pdf: handouts/%.md $(HANDOUT_INPUTS)
	$(call say,DOC,$<)
	$(Q)scripts/handouts $< $(O)/handouts

$(call needs,handouts,pandoc weasyprint)
