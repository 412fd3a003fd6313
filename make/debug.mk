# SPDX-License-Identifier: MIT
# Debugging with GDB, and doing again what the grader saw. See scripts/gdb/ikos.py for what GDB
# is taught about the kernel.
#   PORT=              TCP port where QEMU and GDB meet, instead of a socket (debug, gdb)
#   REVERSE=           1: record the case, then debug it backwards too (replay)
#   GDB=               0: only run the case, without GDB (replay)

.PHONY: debug gdb replay
debug: $(KERNEL) ## boot to the console on this terminal, but wait for make gdb in another
	@$(PYTHON) scripts/debug --wait $(if $(PORT),--port '$(PORT)') $(KERNEL)

gdb: $(KERNEL) ## debug: attach to make debug, or else boot and debug on this terminal
	@$(PYTHON) scripts/debug $(if $(PORT),--port '$(PORT)') $(KERNEL)

replay: $(KERNEL) ## do one case again as the grader did, in GDB: LAB= CASE= SEED= [REVERSE=1]
	@$(PYTHON) scripts/replay --kernel $(KERNEL) $(if $(LAB),--lab '$(LAB)') --case '$(CASE)' \
		$(if $(SEED),--seed '$(SEED)') $(if $(filter 1,$(REVERSE)),--reverse) \
		$(if $(filter 0,$(GDB)),--no-gdb) $(if $(INITRD),--initrd '$(INITRD)')

$(call needs,debug,qemu-system-x86_64)
$(call needs,gdb replay,qemu-system-x86_64 gdb)
$(if $(filter 1,$(REVERSE)),$(call needs,replay,qemu-img))

# Bochs interleaves its CPUs at every few instructions: where races show that QEMU hides.
.PHONY: bochs-smp
bochs-smp: $(KERNEL) ## the suites for several CPUs, on four CPUs of Bochs: about half a minute
	@$(PYTHON) tests/boot/bochs-smp $(KERNEL)

$(call needs,bochs-smp,qemu-system-x86_64 bochs-bin grub-mkrescue xorriso mformat)
