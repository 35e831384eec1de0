#!/bin/bash
# Hostile input to the device: attributes, parameters, swap headers, raw I/O, ioctls, and blocks of the backing
# device that are damaged, exchanged or old; and what those without privileges can do. "make fuzz".
#
# INPUTS: how many, 100,000 by default. SEED: which, 1 by default. KERNEL: series (the default) or debug.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${KERNEL:-series} inputs=${INPUTS:-100000} seed=${SEED:-1}
name=fuzz-$kernel-$seed
job=$BUILD/guest/$name

build_kernel "$kernel"
rm -rf "$job"
mkdir -p "$job" "$LOGS"
make -s -C "$(kernel_source "$kernel")/tools/testing/selftests/ramzswap" OUTPUT="$job" LDFLAGS=-static "$job/fuzz"
echo ". fuzz -b /dev/disk/backing -n $inputs -s $seed" >"$job/tests"
truncate -s 24M "$job.disk"

say "$inputs inputs to $kernel, seed $seed; output in $LOGS/$name.log"
status=0
"$TOP/scripts/vm.sh" -k "$kernel" -m 1024 -s 256 -w "backing=$job.disk" -t 14400 -n "$name" \
	-c "TEST_SECONDS=14000 ramzswap.num_devices=2" "$TOP/scripts/guest/run-tests" "$job"/* || status=$?
rm -f "$job.disk"
case $status in
0) ok "$kernel: fuzz, $inputs inputs, seed $seed" ;;
*) not_ok "$kernel: fuzz, $inputs inputs, seed $seed # status $status; see $LOGS/$name.log and $LOGS/$name.kernel.log" ;;
esac
exit "$status"
