#!/bin/bash
# What zram costs on the unpatched base, with zsmalloc, and on the series, with zbud, as pages come and go: a table,
# also in build/bench/zram.txt. bench/zramchurn.c says what is measured; the times are instructions (vm.sh -I).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs build vm
need_tree
lock "$BUILD" bench
workdir "$BUILD/tmp-bench-zram"
mkdir -p "$BUILD/bench"
"$TOP/scripts/bench/record.sh"
gcc -O2 -Wall -Wextra -static -o "$WORK/zramchurn" "$TOP/scripts/bench/zramchurn.c"
for kernel in base series; do
	build_kernel "$kernel" >&2
	"$TOP/scripts/vm.sh" -k "$kernel" -m 512 -I -t 1800 -n "bench-zram-$kernel" -c zswap.enabled=0 \
		"$TOP/scripts/guest/run-zramchurn" "$WORK/zramchurn" "$BUILD"/pages/{redis,python,compiler}.pages >/dev/null
	tr -d '\r' <"$LOGS/bench-zram-$kernel.log" | awk '
		/^@ / { algorithm = $2 }
		algorithm && NF == 2 && $1 != "@" { print algorithm, $1, $2 }' >"$WORK/$kernel"
done
awk '
	NR == FNR { base[$1 " " $2] = $3; next }
	FNR == 1 { print "| compressor | | zsmalloc | zbud | zbud/zsmalloc |\n| --- | --- | ---: | ---: | ---: |" }
	{ printf "| %s | %s | %s | %s | %.3f |\n", $1, $2, base[$1 " " $2], $3, $3 / base[$1 " " $2] }
' "$WORK/base" "$WORK/series" | tee "$BUILD/bench/zram.txt"
