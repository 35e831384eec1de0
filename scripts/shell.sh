#!/bin/bash
# The machine of run.sh with a prompt: shell.sh [KERNEL] [vm.sh's options]...
# "./run-redis" there does by hand what run.sh does.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=series
case ${1:-} in
'' | -*) ;;
*) kernel=$1 && shift ;;
esac
build_kernel "$kernel"
"$TOP/scripts/redis-image.sh"
build_redisload
say "booting $kernel; its log is $LOGS/shell.kernel.log"
exec "$TOP/scripts/vm.sh" -k "$kernel" -m 512 -s 2048 -d "redis=$BUILD/redis.img" -n shell -i "$@" \
	"$TOP/scripts/guest/run-redis" "$BUILD/guest/redisload"
