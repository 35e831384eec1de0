#!/bin/bash
# What user space can tell from recorded pages: how dense cold pages could be, alone, with their neighbours, and with
# dictionaries (see bench/density.c); what cleaning a backing device costs, in a model (see bench/cleaning.c).
#
# Usage: bench-pages.sh density|cleaning [FILE.pages]...	by default what the other benchmarks use
# The table goes to build/bench/density.txt or cleaning.txt, too; of cleaning, the numbers go to cleaning-RUN.tsv as well, for
# report.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

density() {
	gcc -O2 -Wall -o "$out/density" "$here/density.c" -lzstd -llz4
	say "compressing $# files of pages" >&2
	"$out/density" "$@"
}

cleaning() {
	local work=$out/cleaning.d file name

	rm -rf "$work"
	mkdir -p "$work/include/linux" "$work/all"
	# bench/kernel.h has what the kernel's headers would.
	sed -n 's|^#include <\(linux/.*\)>$|\1|p' "$TOP"/mm/ramzswap_blocks.[ch] | (cd "$work/include" && xargs touch)
	gcc -O2 -Wall -Wextra -idirafter "$work/include" -o "$work/cleaning" "$here/cleaning.c"
	gcc -O2 -Wall -Wextra -o "$work/pagesizes" "$here/pagesizes.c" -lzstd -llz4

	say "compressing $# files of pages" >&2
	for file; do
		name=$(basename "$file" .pages)
		"$work/pagesizes" <"$file" >"$work/$name, LZ4.sizes"
		"$work/pagesizes" "$cold_level" <"$file" >"$work/$name, zstd $cold_level.sizes"
	done
	for name in LZ4 "zstd $cold_level"; do
		cat "$work"/*", $name.sizes" >"$work/all/all, $name.sizes"
	done
	seq 100 1999 >"$work/uniform, as in KUnit.sizes"
	say "cleaning, with pages of each program, in the worst case" >&2
	"$work/cleaning" -w "$work"/*.sizes
	say "cleaning, with pages of all programs" >&2
	echo
	"$work/cleaning" "$work"/all/*.sizes "$work"/uniform*.sizes
}

# Lines as in bench.sh's RUN.tsv. numbers <cleaning.txt
numbers() {
	echo "# command: scripts/bench.sh cleaning"
	echo "# run $run; series: $(git -C "$TOP" rev-parse --short=12 HEAD) of the repository"
	(cd "$out/cleaning.d" && sha256sum ./*.sizes | sed -E 's|^(.{12}).* \./(.*)\.sizes|# \2 \1|')
	awk -F' *[|] *' -v OFS='\t' '
		NF < 9 || $4 !~ /^[0-9]/ { next }
		{ case_ = $2 " " $3; gsub(/[^A-Za-z0-9]+/, "-", case_) }
		!seen[case_]++ {
			print "cleaning", 1, "model", case_, "written", $4
			print "cleaning", 1, "greedy", case_, "written", $5
			print "cleaning", 1, "model", case_, "read", $6
		}'
}

here=$TOP/scripts/bench
out=$BUILD/bench
run=$(date +%Y%m%d-%H%M%S)
cold_level=$(sed -n "s/^#define COLD_ZSTD_LEVEL[^0-9]*//p" "$TOP/mm/zswap_cold.c")
case ${1:-} in
density | cleaning) kind=$1 ;;
*) die "unknown kind ${1:-}" "Usage: $0 density|cleaning [FILE.pages]..." ;;
esac
shift

need_pkgs build density
"$TOP/scripts/bench/record.sh"
[ $# -gt 0 ] || set -- "$BUILD"/pages/{redis,python,compiler}.pages
mkdir -p "$out"
"$kind" "$@" | tee "$out/$kind.txt"
[ "$kind" = density ] || numbers <"$out/$kind.txt" >"$out/$kind-$run.tsv"
