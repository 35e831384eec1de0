#!/bin/bash
# The main job: a machine with the series swaps out a real redis-server, and every key comes back right.
#
# Usage: run.sh [--base]. With --base the unpatched kernel does the same, to try the job itself.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=series stats=/sys/kernel/debug/ramzswap/stats
if [ "${1:-}" = --base ]; then
	kernel=base stats=/sys/kernel/debug/zswap
fi

build_kernel "$kernel"
"$TOP/scripts/redis-image.sh"
build_redisload

say "booting $kernel: 512 MiB of RAM, 2 CPUs, zswap.enabled=1; redis gets more data than that"
status=0
"$TOP/scripts/vm.sh" -k "$kernel" -m 512 -s 2048 -t 900 -n "run-$kernel" -c "STATS=$stats" \
	-d "redis=$BUILD/redis.img" "$TOP/scripts/guest/run-redis" "$BUILD/guest/redisload" || status=$?
[ "$status" = 0 ] || die "the main job failed (status $status)" \
	"The guest's output is in $LOGS/run-$kernel.log, the kernel's in run-$kernel.kernel.log there."
say "every key came back; done in $SECONDS s"
