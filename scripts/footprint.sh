#!/bin/bash
# Count the lines that the series adds to and removes from each file of the kernel that exists already.
#
# Usage: footprint.sh [FROM [TO]]    commits in build/linux; by default the base and the end of the series
#        footprint.sh --files        only the names of the files with code
#
# Documentation, build files, tools and selftests are counted together.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_tree
files=''
[ "${1:-}" != --files ] || { files=1 && shift; }
plain_git -C "$TREE" diff --no-renames --diff-filter=M --numstat "${1:-$(base_rev)}" "${2:-$(series_rev)}" |
	awk -F'\t' -v files="$files" '
	function line(name, added, removed) {
		printf "  %-40s %6d %6d %6d\n", name, added, removed, added - removed
	}
	/\.(c|h|rs|S)$/ && $3 !~ /^(tools|Documentation|scripts|samples)\// {
		if (files) { print $3; next }
		if (!n++) printf "%-42s %6s %6s %6s\n", "Existing files", "added", "removed", "more"
		line($3, $1, $2)
		if ($3 == "mm/zswap.c") next
		added += $1; removed += $2
		next
	}
	{ other_added += $1; other_removed += $2 }
	END {
		if (files || !NR) exit
		line("Kconfig, Makefiles, documentation, tests", other_added, other_removed)
		line("all code but mm/zswap.c", added, removed)
	}'
