#!/bin/bash
# Let processes and a controller do everything at once to a machine that swaps, and verify each page that they
# touch. "make soak MINUTES=n".
#
# MINUTES: how long, 10 by default. SEED: what to do, 1 by default. KERNEL: series (the default), debug, kcsan.
# POISON=1: memory errors, too, so that some pages are lost, and it is only verified that no other is wrong.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${KERNEL:-series} seconds=$((${MINUTES:-10} * 60)) seed=${SEED:-1}
name=soak-$kernel-$seed
job=$BUILD/guest/$name
memory=768
[ "$kernel" = series ] || memory=1280 # its own needs take much of it

build_kernel "$kernel"
rm -rf "$job"
mkdir -p "$job" "$LOGS"
make -s -C "$(kernel_source "$kernel")/tools/testing/selftests/ramzswap" OUTPUT="$job" LDFLAGS=-static "$job/soak"
echo ". soak -b /dev/disk/backing -t $seconds -s $seed ${POISON:+-p}" >"$job/tests"
truncate -s 512M "$job.disk"

say "soaking $kernel for $((seconds / 60)) minutes, seed $seed; output in $LOGS/$name.log"
status=0
# Ending may take as long as half an hour where a debug kernel is emulated.
"$TOP/scripts/vm.sh" -K -k "$kernel" -m "$memory" -s 512 -w "backing=$job.disk" -t $((seconds + 3600)) -n "$name" \
	-c "TEST_SECONDS=$((seconds + 3000)) ramzswap.num_devices=2 movablecore=256M" \
	"$TOP/scripts/guest/run-tests" "$job"/* || status=$?
rm -f "$job.disk"
case $status in
0) ok "$kernel: soak for $((seconds / 60)) minutes, seed $seed" ;;
*) not_ok "$kernel: soak for $((seconds / 60)) minutes, seed $seed # status $status; see $LOGS/$name.log and $LOGS/$name.kernel.log" ;;
esac
exit "$status"
