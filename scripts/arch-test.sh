#!/bin/bash
# Boot the series on another architecture, emulated, and run zbud's KUnit suite and the selftests there; results as
# vm-test.sh prints them. Pages of other sizes, memory that the kernel has to map, and the other order of bytes.
#
# Usage: arch-test.sh arm64-64k|arm64-4k|i386-highmem|s390x [PROGRAM...]
#
# The kernel is that of configs-build.sh --image. PROGRAM: only these of the ramzswap selftests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

name=${1:?usage: $0 arm64-64k|arm64-4k|i386-highmem|s390x [PROGRAM...]}
programs=("${@:2}")
jobs=$BUILD/guest/arch-$name
log=$LOGS/arch-$name
selftests=$TREE/tools/testing/selftests/ramzswap

# Also vm.sh's name of the architecture, the prefix of the compiler for the guest's programs, and memory in MiB.
case $name in
# With blocks of 512 MiB, less than 3 GiB are too little for mobility grouping, and without it page_alloc.c warns
# ("page type is 0, passed migratetype is 1") as it claims one.
arm64-64k) arch=arm64 kbuild=arm64 cross=aarch64-linux-gnu- memory=4096 ;;
arm64-4k) arch=arm64 kbuild=arm64 cross=aarch64-linux-gnu- memory=1024 ;;
i386-*) arch=i386 kbuild=i386 cross=i686-linux-gnu- memory=3072 ;; # two thirds of it are high memory
# QEMU 7.2 has no EDAT (facility 8), and so no large folios: what needs them is skipped.
s390x) arch=s390x kbuild=s390 cross=s390x-linux-gnu- memory=1024 ;;
*) die "there is no machine named '$name'" "The first lines of $0 say which there are." ;;
esac

# What KUnit said as the kernel booted. kunit_results KERNEL-LOG
kunit_results() {
	local said

	said=$(tr -d '\r' <"$1" | sed -E 's/^\[[^]]*\] //' | sed -n '/# Subtest: zbud$/,/^\(not \)\?ok [0-9]* zbud$/p')
	sed -nE "s/^    (ok|not ok) [0-9]+ ([a-z_0-9]+)$/\1 - $name: kunit: zbud.\2/p
		s/^    ok [0-9]+ ([a-z_0-9]+) # SKIP *(.*)/skip - $name: kunit: zbud.\1 # \2/p" <<<"$said"
	grep -qE '^ok [0-9]+ zbud$' <<<"$said" || not_ok "$name: kunit: the suite zbud passes"
}

need_pkgs "cross-$arch"
need_tree
mkdir -p "$LOGS"
lock "$BUILD" "arch-$name"
say "building $name" >&2
image=$("$TOP/scripts/configs-build.sh" --image "$name") || { not_ok "$name: the kernel builds" && exit 1; }

rm -rf "$jobs"
mkdir -p "$jobs/ramzswap"
make=(make -s -C "$selftests" OUTPUT="$jobs/ramzswap" ARCH="$kbuild" CROSS_COMPILE="$cross" LDFLAGS=-static)
goals=("${programs[@]/#/$jobs/ramzswap/}")
# A script tests the program of its name.
"${make[@]}" "${goals[@]%.sh}" >"$log.build.log" 2>&1 ||
	{ not_ok "$name: the selftests compile # see $log.build.log" && exit 1; }
find "$selftests" -maxdepth 1 -name '*.sh' -exec cp -t "$jobs/ramzswap" {} +
[ ${#programs[@]} != 0 ] || mapfile -t programs < <("${make[@]}" COLLECTION=x emit_tests | sed -n 's/^x://p')
for program in "${programs[@]}"; do
	case $program in
	real_pages) echo "ramzswap $program -f /dev/disk/pages" ;;
	*) echo "ramzswap $program" ;;
	esac
done >"$jobs/tests"
"$TOP/scripts/bench/record.sh" >&2
cat "$BUILD"/pages/{redis,python,compiler}.pages >"$jobs.pages"

say "booting $name to run $(wc -l <"$jobs/tests") test programs; output in $log.log" >&2
status=0
ARCH=$arch "$TOP/scripts/vm.sh" -k "$image" -m "$memory" -s 2048 -d "pages=$jobs.pages" -t 7200 -n "arch-$name" \
	-c 'TEST_SECONDS=900 ramzswap.num_devices=2 kunit.filter_glob=zbud' \
	"$TOP/scripts/guest/run-tests" "$jobs"/* >/dev/null || status=$?
{
	kunit_results "$log.kernel.log"
	tap_results "$name" "$log.log"
	case $status in
	"$VM_SPLAT") not_ok "$name: the kernel log is clean # $log.kernel.log is not" ;;
	"$VM_DIED") not_ok "$name: the kernel log is clean # the machine died; see $log.kernel.log" ;;
	"$VM_TIMEOUT") not_ok "$name: the kernel log is clean # no answer; see $log.log" ;;
	*) ok "$name: the kernel log is clean" ;;
	esac
} | tee "$log.results"
! grep -q '^not ok' "$log.results"
