# SPDX-License-Identifier: GPL-2.0
# Each target is a script in scripts/; "make" lists them.
.PHONY: help tree export check footprint rebase run shell deb try-debian test test-all bench bench-zbud bench-zram report profile soak fuzz clean distclean

help:
	@echo 'make run        boot a kernel with the series and have it swap out a real redis'
	@echo 'make shell      the same machine, with a prompt'
	@echo 'make deb        Debian packages of the kernel and of ramzswap-tools, in build/deb'
	@echo '                (CONFIG=debian: with Debian'"'"'s own configuration, for large machines)'
	@echo 'make try-debian try these packages on Debian 13 in QEMU'
	@echo 'make test       what CI runs, in at most 45 minutes; what passed before and is as it was is not run again'
	@echo 'make test-all   what there is no time for in that, too; "scripts/test.sh --list" names all the parts,'
	@echo '                and "scripts/test.sh PART..." runs some of them'
	@echo 'make soak       MINUTES=n (and SEED=n, KERNEL=debug, uml or uml-debug): everything at once, every page verified'
	@echo 'make fuzz       100,000 hostile inputs: attributes, headers, blocks, raw I/O'
	@echo 'make bench      measure the series against the unpatched base, then what bench-zbud does'
	@echo 'make bench-zbud measure zbud beside zsmalloc, both in one kernel'
	@echo 'make bench-zram measure zram on zsmalloc (the base) beside zram on zbud (the series)'
	@echo 'make report     build/bench/report.md: targets, tables and plots of the newest numbers of each benchmark'
	@echo 'make profile    count the instructions of a swapped page, function by function'
	@echo
	@echo 'make tree       make build/linux: the base in git, the series as commits on top'
	@echo '                (LINUX=/path/to/linux.git: a worktree of your own clone at tag v7.3;'
	@echo '                PART=n: build/part-n/linux, with parts 1 to n of the series)'
	@echo 'make export     from build/linux back to patches/, series and the added files'
	@echo 'make check      do these agree, does the series apply, are patches and scripts clean'
	@echo 'make footprint  count the lines that the series changes in each existing file'
	@echo 'make rebase BASE=...  try the patches on another base: a suite or version of Debian'"'"'s linux-source,'
	@echo '                or /path/to/linux.git:REV; "scripts/rebase.sh --build" builds the result'
	@echo 'make clean      remove all of build/ but build/linux; "make distclean" removes that too'

tree:
	@scripts/base.sh
check footprint rebase deb export run shell try-debian test bench bench-zbud bench-zram report profile soak fuzz clean:
	@scripts/$@.sh
test-all:
	@scripts/test.sh --all
distclean:
	@scripts/clean.sh --all
