#!/bin/bash
# Boot a kernel, run the selftests in it, and print a line for each: "ok - NAME", "not ok - NAME # WHY"
# or "skip - NAME # REASON"; and "time - KERNEL: PROGRAM SECONDS" for each program.
#
# Usage: vm-test.sh base|series|debug|base-debug|kcsan [--quick|--slow|PROGRAM...]
#
# PROGRAM: only these of the ramzswap kselftests, and nothing of mainline's. --slow: those that take an emulated
# debug kernel longest, --quick: all others, mainline's too; "make test" has time for these.
#
# With the series, these are the ramzswap kselftests and mainline's cgroup/test_zswap. For each test of
# the latter it counts that it ends no worse than on the unpatched base. Where all pass, they cannot; otherwise the
# base is booted, once. Also those of mainline's mm selftests that the series adds.
#
# PART=n vm-test.sh series: the series up to part n, with the tests that it has until there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# What the slow kernels get in "make test-all" only; the quick ones run it in "make test".
slow=(device device_swap device_full device_stress two_devices large_swapin corrupt_data corrupt_large cold alloc_failure alloc_sites)

# Those of PROGRAMs that the tree has
existing() {
	local program

	for program; do
		[ ! -f "$selftests/ramzswap/$program.c" ] || echo "$program"
	done
}

kernel=${1:-series}
only=("${@:2}") part=''
case ${only[*]} in
--quick | --slow) part=${only[0]} only=() ;;
-*) die "unknown option ${only[0]}" "The first lines of $0 say which there are." ;;
esac
selftests=$(kernel_source "$kernel")/tools/testing/selftests
[ "$part" != --slow ] || mapfile -t only < <(existing "${slow[@]}")
name=test-$kernel${part:+-${part#--}}
[ ${#only[@]} = 0 ] || [ -n "$part" ] || name+=-only
results=$LOGS/$name.results
jobs=$BUILD/guest/$name
disks=()
cmdline='TEST_SECONDS=900 ramzswap.num_devices=2' limit=5000
case $kernel in
*debug | kcsan) cmdline='TEST_SECONDS=2400 ramzswap.num_devices=2' limit=10000 ;;
esac

# What a program of the tests is called with.
arguments() {
	case $kernel:$1 in
	*:real_pages) echo ' -f /dev/disk/pages' ;;
	# To fill all memory takes an emulated debug kernel minutes; the other ways to run out of it remain.
	*debug:device_full | kcsan:device_full)
		echo ' -V for_text -V for_what_compresses_to_a_half'
		;;
	# The smallest size of folios, the largest and one between are enough there.
	*debug:large_swapin | kcsan:large_swapin)
		echo ' -V folios_of_32k -V folios_of_128k -V folios_of_256k -V folios_of_512k'
		;;
	# Single pages on the ramzswap device are enough there.
	*debug:corrupt_data | kcsan:corrupt_data) echo ' -V on_a_disk' ;;
	# Ten thousand of these take long enough there.
	*debug:cold_often | kcsan:cold_often) echo ' -V hundred_thousand_pages' ;;
	esac
}

# Compiles a target of the tree's selftests, statically, and lists its programs for the guest; with
# PROGRAMs only these. add_target TARGET [PROGRAM]...
add_target() {
	local target=$1 dir=$jobs/$1 programs=("${@:2}") program
	local goals=("${programs[@]/#/$dir/}")
	local make=(make -s -C "$selftests/$1" OUTPUT="$dir" LDFLAGS=-static)

	mkdir -p "$dir"
	# A script tests the program of its name.
	"${make[@]}" "${goals[@]%.sh}" >"$LOGS/$name.build.log" 2>&1 || {
		cat "$LOGS/$name.build.log" >&2
		die "the selftests in $selftests/$target do not compile"
	}
	find "$selftests/$target" -maxdepth 1 -name '*.sh' -exec cp -t "$dir" {} +
	if [ ${#programs[@]} = 0 ]; then
		mapfile -t programs < <("${make[@]}" COLLECTION=x emit_tests | sed -n 's/^x://p')
		[ ${#programs[@]} -gt 0 ] || die "$selftests/$target has no tests"
		[ "$part" != --quick ] || mapfile -t programs < <(printf '%s\n' "${programs[@]}" |
			grep -vxF -f <(printf '%s\n' "${slow[@]}"))
	fi
	for program in "${programs[@]}"; do
		echo "$target $program$(arguments "$program")"
	done >>"$jobs/tests"
}

# The tests that the series adds to mainline's mm selftests
add_mm_tests() {
	# swapfile_extents has to run before zswap is enabled: boot-test.sh does.
	compile_mm_tests "$(kernel_source "$kernel")" "$jobs/mm" | sed -n '/^swapfile_extents$/d; s/^/mm /p' >>"$jobs/tests"
}

# The results with those of test_zswap replaced: does it end no worse than on the base? compare BASE RESULTS
compare() {
	awk -v kernel="$kernel" '
	function is_zswap() {
		result = $0; sub(/ - .*/, "", result)
		test = $0; sub(/^[a-z ]* - [^:]*: /, "", test); sub(/ # .*/, "", test)
		return test ~ /^test_zswap/
	}
	/^time / { if (FNR != NR) print; next }
	FNR == NR { if (is_zswap()) base[test] = result; next }
	!is_zswap() { print; next }
	{
		name = kernel ": " test ", as on the base"
		if (base[test] == result || (test in base && result == "ok")) print "ok - " name
		else print "not ok - " name " # " result " instead of " (test in base ? base[test] : "not there")
		delete base[test]
	}
	END { for (test in base) print "not ok - " kernel ": " test ", as on the base # missing" }' "$@"
}

# Do all tests of test_zswap pass, and are they those that the base has? zswap_passes RESULTS
zswap_passes() {
	grep -q "^ok - $kernel: test_zswap" "$1" && ! grep -qE "^(not ok|skip) - $kernel: test_zswap" "$1" &&
		git -C "$TREE" diff --quiet "$(base_rev)" -- tools/testing/selftests/cgroup
}

# The results of test_zswap on the unpatched base, in $base: kept by all that they depend on, or made now.
base_results() {
	local key=''

	base_worktree >&2
	if tree_is_clean "$BASE_TREE"; then
		key=$({ tree_id "$(base_rev)" && scripts_id && tools_id; } | result_key 'test_zswap on the base')
	fi
	if base=$(kept_result "$key"); then
		say "test_zswap on the unpatched base: the results of $(head -n 1 "$base")" >&2
		return
	fi
	base=$LOGS/test-base.results
	# Here, the run before may have been this build directory's.
	[ -n "$key" ] && [ -z "${FRESH:-}" ] && [ "$key" = "$(cat "$base.key" 2>/dev/null)" ] && [ -s "$base" ] && return
	rm -f "$base" "$base.key"
	build_kernel base
	say "test_zswap on the unpatched base first" >&2
	"$0" base >/dev/null || [ -f "$base" ] || die "the base did not run; see $LOGS/test-base.log"
	# Some may fail there, but all must have run.
	grep -qxF 'ok - base: the kernel log is clean' "$base" || return 0
	{ date -u '+%F %R UTC' && cat "$base"; } | keep_result "$key"
	echo "$key" >"$base.key"
}

mkdir -p "$LOGS"
build_kernel "$kernel"
rm -rf "$jobs" "$results"
mkdir -p "$jobs"
case $kernel in
base*) ;;
*)
	# The first parts of the series have no tests of their own there.
	[ ! -d "$selftests/ramzswap" ] || add_target ramzswap "${only[@]}"
	[ ${#only[@]} != 0 ] || add_mm_tests
	# Pages of redis, Python and a compiler, recorded as they run, over and over.
	"$TOP/scripts/bench/record.sh" >&2
	cat "$BUILD"/pages/{redis,python,compiler}.pages >"$jobs.pages"
	disks=(-d "pages=$jobs.pages")
	;;
esac
[ ${#only[@]} != 0 ] || add_target cgroup test_zswap

say "booting $kernel to run $(wc -l <"$jobs/tests") test programs; output in $LOGS/$name.log" >&2
status=0
"$TOP/scripts/vm.sh" -k "$kernel" -m 1024 -s 2048 "${disks[@]}" -t "$limit" -n "$name" \
	-c "$cmdline" "$TOP/scripts/guest/run-tests" "$jobs"/* >/dev/null || status=$?
{
	tap_results "$kernel" "$LOGS/$name.log"
	case $status in
	"$VM_SPLAT") not_ok "$kernel: the kernel log is clean # $LOGS/$name.kernel.log is not" ;;
	"$VM_DIED") not_ok "$kernel: the kernel log is clean # the machine died; see $LOGS/$name.kernel.log" ;;
	"$VM_TIMEOUT") not_ok "$kernel: the kernel log is clean # no answer in $limit s; see $LOGS/$name.log" ;;
	*) ok "$kernel: the kernel log is clean" ;;
	esac
} >"$results.new"
case $kernel-${#only[@]} in
base*-0 | *-[1-9]*) mv "$results.new" "$results" ;;
*)
	# What passes is no worse than anything, if it is the same test.
	base=$results.new
	zswap_passes "$results.new" || base_results
	compare "$base" "$results.new" >"$results" && rm "$results.new"
	;;
esac
cat "$results"
! grep -q '^not ok' "$results"
