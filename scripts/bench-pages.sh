#!/bin/bash
# What user space can tell from recorded pages: how dense cold pages could be, alone, with their neighbours, and with
# dictionaries (see bench/density.c); what cleaning a backing device costs, in a model (see bench/cleaning.c).
#
# Usage: bench-pages.sh density|cleaning [FILE.pages]...	by default what the other benchmarks use
# The table goes to build/bench/density.txt or cleaning.txt, too.
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

here=$TOP/scripts/bench
out=$BUILD/bench
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
