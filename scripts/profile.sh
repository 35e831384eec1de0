#!/bin/bash
# Where do the instructions go when a page is swapped out, swapped in, or freed? Counts them for each function
# of the kernel while swapbench runs, by QEMU, so that the numbers repeat. Prints a table a kernel.
#
# Usage: profile.sh [FOLIO_KIB [MACHINE...]]	4 and 64 KiB are of interest; MACHINE is a mode of
#						guest/run-bench and a kernel: zswap:base zram:base zswap:series
#
# All numbers go to build/bench/profile-FOLIO_KIB-MODE-KERNEL.counts, the tables beside them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

folio=${1:-4}
machines=("${@:2}")
[ ${#machines[@]} -gt 0 ] || machines=(zswap:base zram:base zswap:series)
pages=1024
guest=$BUILD/guest/profile
out=$BUILD/bench

lock "$BUILD" profile
need_pkgs build vm
rm -rf "$guest"
mkdir -p "$out" "$LOGS" "$guest"
"$TOP/scripts/bench/record.sh"
gcc -O2 -Wall -Wextra -Wno-unused-parameter -shared -fPIC -fvisibility=hidden \
	-o "$guest/insns.so" "$TOP/scripts/bench/insns.c"
# At an address where nothing else is that runs in the guest, as these addresses tell what is being measured.
make -s -C "$TREE/tools/testing/selftests/ramzswap" OUTPUT="$guest" \
	LDFLAGS='-static -Wl,-Ttext-segment=0x70000000' "$guest/swapbench" >"$LOGS/profile.build.log" 2>&1 ||
	die "swapbench does not compile; see $LOGS/profile.build.log"
echo "$folio swapbench -f $folio -n $pages -p 1" >"$guest/cases"

# at=ADDRESS:PHASE for a function of swapbench
at() { nm "$guest/swapbench" | awk -v f="$1" '$3 ~ "^" f "($|\\.)" { print "at=0x" $1 ":'"$2"'"; found = 1 } END { exit !found }'; }
events=$(at measure_out 1 && at pages_swapped 0 && at measure_in 2 && at measure_free 3 && at own_cpu_ns 0 &&
	at timing_forget reset) || die "swapbench lacks a function that tells where a measurement begins or ends"

for machine in "${machines[@]}"; do
	mode=${machine%:*} kernel=${machine#*:}
	counts=$out/profile-$folio-$mode-$kernel.counts
	[ -f "$(kernel_image "$kernel")" ] || build_kernel "$kernel"
	vm=(-s 128) cmdline=MODE=$mode
	[ "$mode" != zram ] || { vm=() cmdline+=' zswap.enabled=0'; }
	say "counting instructions of $mode, kernel $kernel"
	"$TOP/scripts/vm.sh" -I -P "$guest/insns.so,out=$counts,$(paste -sd, <<<"$events")" -k "$kernel" -m 1024 -t 900 \
		-n "profile-$mode-$kernel" -c "$cmdline" "${vm[@]}" "$TOP/scripts/guest/run-bench" "$guest"/{swapbench,cases} \
		"$BUILD"/pages/{redis,python,compiler}.pages >/dev/null || die "it fails; see $LOGS/profile-$mode-$kernel.log"
	{
		echo "$mode, kernel $kernel ($(cat "$BUILD/obj/$kernel/include/config/kernel.release")), folios of $folio KiB," \
			"instructions a page"
		python3 "$TOP/scripts/bench/profile_table.py" "$counts" "$BUILD/obj/$kernel" "$pages"
	} | tee "${counts%.counts}.txt"
done
