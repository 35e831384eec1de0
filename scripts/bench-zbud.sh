#!/bin/bash
# Measure zbud beside zsmalloc in the same kernel, with the same objects in the same order. Prints one table.
#
# Usage: bench-zbud.sh [--no-build]	with --no-build, the kernels that are there, even if not up to date
#        ROUNDS=1 bench-zbud.sh	a quick look; the rule is five
#        SIZES=DIR bench-zbud.sh	also the sizes in DIR/*.sizes: a line a page, its compressed size first
#
# Times are measured on User-mode Linux, which runs at this machine's speed; how many instructions an operation
# takes, by QEMU, which also has 8 CPUs contend, with a kernel that counts how often locks are waited for. The
# sizes are those of pages of programs that are recorded here, and of SIZES.
# All numbers go to build/bench/zbud-RUN.tsv, the table to zbud-RUN.txt beside it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

programs=(redis python compiler database browser)
recorded=${SIZES-$TOP/../shared/data/compressed-sizes}
rounds=${ROUNDS:-5}
guest=$BUILD/guest/bench-zbud
out=$BUILD/bench
run=zbud-$(date +%Y%m%d-%H%M%S)
raw=$out/$run.tsv
limit=240 # seconds for a boot
# As many as there are here: a CPU that waits for its turn on the host while it has a lock would be measured.
contending=$(nproc)
# Locks are counted with more of them, emulated. Their time says nothing: an emulated CPU that waits for a lock
# keeps the others from running.
many=8

# The sizes as the kernel wants them. prepare NAME FILE.sizes
prepare() {
	cut -d' ' -f1 "$2" | python3 -c 'import array, sys
array.array("H", map(int, sys.stdin)).tofile(sys.stdout.buffer)' >"$guest/$1.u16"
}

# Turns a guest's results into lines of the table's file, with what is made of several of them.
# keep CLOCK ROUND <LOG
keep() {
	tr -d '\r' | awk -v OFS='\t' -v clock="$1" -v round="$2" '
		function put(metric, value) { print clock, round, $3, $2, metric, value }
		function known(metric) { return v[$2 " " $3 " " metric] }
		$1 != "@" { next }
		{ v[$2 " " $3 " " $4] = $5; put($4, $5) }
		$4 ~ /_meta$/ {
			when = substr($4, 1, length($4) - 5)
			put(when "_pool_per_byte", known(when "_pool") / known(when "_compressed"))
			put(when "_meta_per_object", $5 / known(when "_objects"))
		}
		$4 ~ /^burst_pages_.*ms$/ { put("left" substr($4, 12), $5 / known("burst_pages_before")) }
		$4 == "empty_free_mean" { put("fill_cycle", known("fill_store_mean") + $5) }
		$4 == "churn_free_mean" { put("churn_cycle", known("churn_store_mean") + $5) }' >>"$raw"
}

# Boots User-mode Linux and runs TEST on it. boot NAME CPUS TEST NAME=VALUE...
boot() {
	local status=0

	"$TOP/scripts/um.sh" -k "$guest/um" -j "$2" -t "$limit" -n "$1" -c "slab_nomerge zswap.enabled=0 TEST=$3 ${*:4}" \
		"$TOP/scripts/guest/run-zbud" "$guest"/*.u16 >/dev/null || status=$?
	case $status in
	0) return 0 ;;
	"$VM_SPLAT") die "User-mode Linux complains in its log" "See $LOGS/$1.log." ;;
	"$VM_DIED" | "$VM_TIMEOUT") ;;
	*) die "$3 fails on User-mode Linux" "See $LOGS/$1.log." ;;
	esac
	say "User-mode Linux did not come to an end (status $status); its log is kept as $LOGS/$1.log.$run" >&2
	mv "$LOGS/$1.log" "$LOGS/$1.log.$run"
	return 1
}

# All rounds of TEST. On a busy host, User-mode Linux with several CPUs stops for ever now and then: a round
# may be done twice, and the table says so. um CLOCK CPUS TEST NAME=VALUE...
um() {
	local name=bench-zbud-$1 round

	for ((round = 1; round <= rounds; round++)); do
		boot "$name" "${@:2}" || {
			echo "# $1, round $round: done again, as User-mode Linux did not come to an end" >>"$raw"
			boot "$name" "${@:2}" || die "$3 does not come to an end on User-mode Linux"
		}
		keep "$1" "$round" <"$LOGS/$name.log"
	done
}

describe() {
	local changes=''

	[ -z "$(git -C "$TREE" status --porcelain -uno)" ] || changes=' with uncommitted changes'
	echo "command: ${ROUNDS:+ROUNDS=$ROUNDS }scripts/bench-zbud.sh${*:+ $*}"
	echo "run $run, $rounds rounds, load at the beginning: $(cut -d' ' -f1-3 /proc/loadavg)"
	echo "machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)"
	echo "series: $(series_rev | cut -c1-12)$changes${no_build:+, the kernels not brought up to date}"
	echo "mean size: $(for f in "$guest"/*.u16; do
		basename "$f" .u16
		od -An -v -w2 -tu2 "$f" | awk '{ sum += $1 } END { printf "%d\n", sum / NR }'
	done | paste -sd ' ' | sed -E 's/([0-9]) /\1, /g')"
}

no_build=''
case ${1:-} in
'') ;;
--no-build) no_build=yes ;;
*) die "unknown option $1" "The first lines of $0 say which there are." ;;
esac

lock "$BUILD" bench-zbud
need_pkgs build vm density
rm -rf "$guest"
mkdir -p "$out" "$LOGS" "$guest"
if [ -z "$no_build" ]; then
	build_kernel series
	build_kernel series-lockstat
	build_kernel um
fi
# The same kernels all the time, whatever is built meanwhile
cp "$(kernel_image series)" "$guest/series.bzImage" || die "there is no kernel series"
cp "$(kernel_image series-lockstat)" "$guest/lockstat.bzImage" || die "there is no kernel series-lockstat"
cp "$(kernel_image um)" "$guest/um" || die "there is no User-mode Linux"

"$TOP/scripts/bench/record.sh" "${programs[@]}"
gcc -O2 -Wall -o "$guest/pagesizes" "$TOP/scripts/bench/pagesizes.c" -llz4 -lzstd
for name in "${programs[@]}"; do
	"$guest/pagesizes" <"$BUILD/pages/$name.pages" >"$guest/$name.sizes"
	prepare "$name" "$guest/$name.sizes"
done
shopt -s nullglob
for file in "$recorded"/*.sizes; do
	prepare "$(basename "$file" .sizes)-recorded" "$file"
done
cat "$guest"/*.u16 >"$guest/mixed.u16"

{
	describe "$@" | sed 's/^/# /'
	printf '# clock\tround\tallocator\tset\tmetric\tvalue\n'
} >"$raw"
say "time and memory, $rounds rounds on User-mode Linux"
um native 2 measure
say "contention, $rounds rounds on User-mode Linux with $contending CPUs"
um contended "$contending" contend SETS=mixed "THREADS=$contending" OPERATIONS=50000
say "instructions, by QEMU"
"$TOP/scripts/vm.sh" -I -k "$guest/series.bzImage" -t "$limit" -n bench-zbud-instructions \
	-c 'TEST=measure OBJECTS=30000 zswap.enabled=0' "$TOP/scripts/guest/run-zbud" "$guest"/*.u16 \
	>/dev/null || die "measure fails in QEMU" "See $LOGS/bench-zbud-instructions.log and .kernel.log."
keep counted 1 <"$LOGS/bench-zbud-instructions.log"
for one in 0 1; do
	say "contention, $rounds rounds in QEMU with $many CPUs$([ $one = 0 ] || echo ', one of which stores first')"
	for ((round = 1; round <= rounds; round++)); do
		"$TOP/scripts/vm.sh" -j "$many" -m 1024 -k "$guest/lockstat.bzImage" -t "$limit" -n bench-zbud-locks \
			-c "TEST=contend SETS=mixed THREADS=$many OPERATIONS=4000 OBJECTS=20000 ONE_STORES=$one zswap.enabled=0" \
			"$TOP/scripts/guest/run-zbud" "$guest"/mixed.u16 >/dev/null ||
			die "contend fails in QEMU" "See $LOGS/bench-zbud-locks.log and .kernel.log."
		keep "locks$one" "$round" <"$LOGS/bench-zbud-locks.log"
	done
done

{
	sed -n 's/^# //p' "$raw" | grep -v '^clock'
	echo
	python3 "$TOP/scripts/bench/zbud_table.py" "$raw"
} | tee "$out/$run.txt"
say "all numbers are in $raw, the table in $out/$run.txt"
