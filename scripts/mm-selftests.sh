#!/bin/bash
# Boot the unpatched base and the series, run mainline's tests of memory management that swap in both, and
# compare: "ok - mm: NAME" if each test of a program ends on the series as on the base, or better. The line says
# what fails on both. What ends worse has a line "not ok" for each test.
#
# Usage: mm-selftests.sh [--no-build]	with --no-build, the kernels that are there, even if not up to date
#
# All tests are compiled from the base. tools/mm/thp_swap_allocator_test runs on zram without zswap, which is
# how it is meant to be run, on a disk with zswap, and, the series only, on /dev/ramzswap0; all folios have to
# be swapped out whole. The selftests run with zswap and a disk. At the end, the tests that part 1 of the series adds run on
# the base, where they have to fail.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Those that swap, and that do not need what the kernels of the virtual machines are built without (soft-dirty
# and pagemap_ioctl do). Of uffd-unit-tests, only the one that swaps. Under emulation, khugepaged itself may be
# faster than the test that gives it something to do; MADV_COLLAPSE does as it is told.
programs=(
	'mm cow'
	'mm droppable'
	'mm guard-regions'
	'mm khugepaged madvise:anon'
	'mm memory-failure'
	'mm uffd-unit-tests -f rwp-swap-cow'
	'mm uffd-wp-mremap'
	'cgroup test_memcontrol'
)
jobs=$BUILD/guest/mm
headers=$BUILD/obj/headers
results=$LOGS/mm-selftests.results
build_log=$LOGS/mm-selftests.build.log

# Compiles all of them, statically, with the base's own headers, as those of the system may lack what is new.
compile() {
	local selftests=$BASE_TREE/tools/testing/selftests tool=thp_swap_allocator_test dir target program targets

	make -s -C "$BASE_TREE" O="$headers" headers_install INSTALL_HDR_PATH="$headers/install" || return
	mkdir -p "$jobs/mm" "$jobs/cgroup"
	for target in mm cgroup; do
		targets=()
		for program in "${programs[@]}"; do
			read -r dir program _ <<<"$program"
			[ "$dir" != "$target" ] || targets+=("$jobs/$target/$program")
		done
		make -s -C "$selftests/$target" OUTPUT="$jobs/$target" LDFLAGS=-static \
			KHDR_INCLUDES="-isystem $headers/install/include" "${targets[@]}" || return
	done
	rm -f "$selftests"/mm/local_config.* # which libraries there were today
	gcc -O2 -Wall -static -o "$jobs/mm/$tool" "$BASE_TREE/tools/mm/$tool.c"
}

# boot KERNEL NAME ZSWAP DEVICES [FILE]...: see guest/run-mm. Sets status to vm.sh's, but for what the
# out-of-memory killer says in the kernel's log, as test_memcontrol calls for it.
boot() {
	local name=$2

	status=0
	rm -f "$WORK/fs" "$LOGS/$name.log"
	truncate -s 1G "$WORK/fs"
	mke2fs -q -t ext4 "$WORK/fs"
	say "booting $1, zswap.enabled=$3; output in $LOGS/$name.log" >&2
	"$TOP/scripts/vm.sh" -k "$1" -m 2048 -s 2048 -w "fs=$WORK/fs" -t 400 -n "$name" \
		-c "zswap.enabled=$3 TEST_SECONDS=120 ALLOCATOR=$4" \
		"$TOP/scripts/guest/run-mm" "${@:5}" >/dev/null 2>"$LOGS/$name.vm.log" || status=$?
	[ -f "$LOGS/$name.log" ] || die "$1 was not booted; see $LOGS/$name.vm.log"
	[ "$status" != "$VM_SPLAT" ] ||
		sed -e '/ invoked oom-killer: /,/<\/TASK>/d' -e "${SLOW_HOST}d" "$LOGS/$name.kernel.log" |
		grep -E "$SPLATS" >>"$LOGS/$name.vm.log" || status=0
}

# boots KERNEL DEVICES: first without zswap, then with it and with DEVICES for thp_swap_allocator_test.
boots() {
	local kernel=$1 whole="mm: $1: the kernel log is clean" name

	for name in "mm-$kernel-off" "mm-$kernel"; do
		case $name in
		*-off) boot "$kernel" "$name" 0 zram "$jobs/mm" ;;
		*) boot "$kernel" "$name" 1 "$2" "$TOP/scripts/guest/run-tests" "$jobs"/* ;;
		esac
		case $status in
		"$VM_SPLAT") whole+=" # $LOGS/$name.kernel.log is not" ;;
		"$VM_DIED") whole+=" # the machine died; see $LOGS/$name.kernel.log" ;;
		"$VM_TIMEOUT") whole+=" # no answer in time; see $LOGS/$name.log" ;;
		esac
	done
	case $whole in
	*'#'*) not_ok "$whole" ;;
	*) ok "$whole" ;;
	esac
	cat "$LOGS/mm-$kernel-off.log" "$LOGS/mm-$kernel.log" >"$WORK/$kernel.log"
}

# Results of single tests, by their numbers, as skipped and failed ones are named otherwise; number 0 is the
# program as a whole. compare NAMES BASE-LOG SERIES-LOG
compare() {
	awk '
	function set(number, what, why) {
		result[kernel, program, number] = what
		reason[kernel, program, number] = why
		if (number > last[program]) last[program] = number
		count[kernel, program, what] += number > 0
	}
	function get(kernel, program, number) {
		return (kernel, program, number) in result ? result[kernel, program, number] : "missing"
	}
	function rank(what) { return index("fail skip ok", what) }
	function counts(kernel, program) {
		return (count[kernel, program, "ok"] + 0) " ok, " (count[kernel, program, "skip"] + 0) " skipped, " \
			(count[kernel, program, "fail"] + 0) " failed" \
			(note[kernel, program] ? ": " note[kernel, program] : "")
	}
	function why(kernel, program, number) {
		return reason[kernel, program, number] ? " (" reason[kernel, program, number] ")" : ""
	}
	kernel == "names" { names[++nr_names] = $1; next }
	/^@begin / { program = $2; nr = plan = failed = 0; set(0, "fail", "the machine died meanwhile"); next }
	!program { next }
	/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; next }
	/^@note / { sub(/^@note /, ""); note[kernel, program] = $0; next }
	/^(not )?ok [0-9]/ {
		what = /^not / ? "fail" : / # *(SKIP|XFAIL)/ ? "skip" : "ok"
		sub(/^not /, "")
		number = $2 + 0
		sub(/^ok [0-9]+ *(- )?(# (SKIP|XFAIL) *)?/, "")
		nr++
		failed += what == "fail"
		# The others are not about swap, and some of them fail now and then.
		if (program == "test_memcontrol" && !/swap|reclaim/) next
		set(number, what, "")
		if (!test[program, number] || what == "ok") test[program, number] = $0
		next
	}
	/^@end / {
		if ($3 == 137) set(0, "fail", "not done within its time")
		else if ($3 == 4 && !nr) set(0, "skip", "it says so")
		else if (!nr || ($3 != 0 && $3 != 4 && !failed)) set(0, "fail", "exit status " $3)
		else if (plan && nr != plan) set(0, "fail", nr " results of " plan " planned")
		else set(0, "ok", "")
		program = ""
	}
	END {
		for (i = 1; i <= nr_names; i++) {
			program = names[i]
			only = program ~ /ramzswap/
			name = "mm: " program (only ? "" : ", no worse than on the base")
			better = bad = 0
			nr_both = 0
			for (number = 0; number <= last[program] + 0; number++) {
				if (number && !((program, number) in test)) continue
				series = get("series", program, number)
				base = only ? "ok" : get("base", program, number)
				# What a program did not come to is no better than a failure.
				if (base == "missing" && number) base = get("base", program, 0) == "fail" ? "fail" : "ok"
				what = number ? "test " number " (" test[program, number] ")" : "the program"
				if (series == "missing" || base == "missing" || rank(series) < rank(base)) {
					print "not ok - " name ": " what " # " series why("series", program, number) \
						" instead of " base
					bad++
					if (!number && (series == "missing" || base == "missing")) break
				} else if (series == "fail") {
					what = number ? test[program, number] : what why("series", program, 0)
					if (!both[program, what]++) what_both[++nr_both] = what
				} else if (rank(series) > rank(base)) {
					better++
				}
			}
			if (bad) continue
			line = "ok - " name " # " counts("series", program) \
				(only ? "" : "; base: " counts("base", program)) (better ? "; " better " better" : "")
			for (j = 1; j <= nr_both; j++) {
				line = line (j == 1 ? "; fail on both: " : ", ") what_both[j]
				if (both[program, what_both[j]] > 1) line = line " (" both[program, what_both[j]] " times)"
			}
			print line
		}
	}' kernel=names "$1" kernel=base "$2" kernel=series "$3"
}

# The tests that come with the fixes of part 1 fail on the base. That they pass on the series is seen by vm-test.sh, and
# by boot-test.sh.
fixes_are_needed() {
	local programs program zswap

	programs=$(compile_mm_tests "$TREE" "$WORK")
	[ -n "$programs" ] || not_ok "mm: there are tests of part 1"
	for program in $programs; do
		zswap=1
		[ "$program" != swapfile_extents ] || zswap=0
		"$TOP/scripts/vm.sh" -k base -m 512 -s 512 -t 300 -n "mm-base-$program" -c "zswap.enabled=$zswap" \
			"$WORK/$program" >"$WORK/$program.out" 2>&1 || :
		if grep -q '^not ok' "$WORK/$program.out"; then
			ok "mm: $program fails on the base"
		else
			not_ok "mm: $program fails on the base"
			sed 's/^/    /' "$WORK/$program.out"
		fi
	done
}

need_pkgs build vm
lock "$BUILD" mm-selftests
workdir "$BUILD/tmp-mm-selftests"
mkdir -p "$LOGS"
if [ "${1:-}" = --no-build ]; then
	base_worktree
else
	build_kernel base
	build_kernel series
fi
rm -rf "$jobs" "$results"
compile >"$build_log" 2>&1 || {
	cat "$build_log" >&2
	die "the tests in $BASE_TREE do not compile"
}
printf '%s\n' "${programs[@]}" >"$jobs/tests"
{
	printf 'thp_swap_allocator_test:%s\n' zram disk ramzswap
	awk '{ print $2 }' "$jobs/tests"
	echo zswap # see guest/run-mm
} >"$WORK/names"

{
	boots base disk
	boots series disk,ramzswap
	compare "$WORK/names" "$WORK/base.log" "$WORK/series.log"
	fixes_are_needed
} >"$results.new"
mv "$results.new" "$results"
cat "$results"
say "done in $SECONDS s" >&2
! grep -q '^not ok' "$results"
