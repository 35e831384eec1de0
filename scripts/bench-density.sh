#!/bin/bash
# How dense could cold pages be? Compress recorded pages in user space, alone, with their neighbours, and with
# dictionaries (see bench/density.c), and print one table.
#
# Usage: bench-density.sh [FILE.pages]...	by default what the other benchmarks use
# The table goes to build/bench/density.txt, too.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs build density
"$TOP/scripts/bench/record.sh"
[ $# -gt 0 ] || set -- "$BUILD"/pages/{redis,python,compiler}.pages
mkdir -p "$BUILD/bench"
gcc -O2 -Wall -o "$BUILD/bench/density" "$TOP/scripts/bench/density.c" -lzstd -llz4
say "compressing $# files of pages"
"$BUILD/bench/density" "$@" | tee "$BUILD/bench/density.txt"
