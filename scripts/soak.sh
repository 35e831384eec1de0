#!/bin/bash
# Let processes and a controller do everything at once to a machine that swaps, and verify each page that they
# touch. "make soak MINUTES=n".
#
# MINUTES: how long, 10 by default. SEED: what to do, 1 by default. KERNEL: series (the default), debug, kcsan; or uml,
# uml-debug: several times as much in the same time, but there are no large folios, see um.sh.
# POISON=1: memory errors, too, so that some pages are lost, and it is only verified that no other is wrong.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=${KERNEL:-series} seconds=$((${MINUTES:-10} * 60)) seed=${SEED:-1}
memory=768 cpus=2
case $kernel in *debug | kcsan) memory=1280 ;; esac # its own needs take much of it
# flush_tlb_page() of User-mode Linux does not reach other CPUs: a process that runs there goes on with the frame that reclaim
# has taken away, until it enters the kernel. With two CPUs, a page once read wrong.
case $kernel in uml*) cpus=1 ;; esac

# Ending may take as long as half an hour where a debug kernel is emulated.
run_extended "$kernel" "soak-$kernel-$seed" 512M "soak for $((seconds / 60)) minutes, seed $seed" \
	"soak -b /dev/disk/backing -t $seconds -s $seed ${POISON:+-p}" \
	-K -m "$memory" -j "$cpus" -s 512 -t $((seconds + 3600)) \
	-c "TEST_SECONDS=$((seconds + 3000)) ramzswap.num_devices=2 movablecore=256M"
