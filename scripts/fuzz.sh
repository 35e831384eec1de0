#!/bin/bash
# Hostile input to the device: attributes, parameters, swap headers, raw I/O, ioctls, and blocks of the backing
# device that are damaged, exchanged or old; and what those without privileges can do. "make fuzz".
#
# INPUTS: how many, 100,000 by default. SEED: which, 1 by default. KERNEL: series (the default) or debug.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${KERNEL:-series} inputs=${INPUTS:-100000} seed=${SEED:-1}
run_extended "$kernel" "fuzz-$kernel-$seed" 24M "fuzz, $inputs inputs, seed $seed" \
	"fuzz -b /dev/disk/backing -n $inputs -s $seed" \
	-m 1024 -s 256 -t 14400 -c "TEST_SECONDS=14000 ramzswap.num_devices=2"
