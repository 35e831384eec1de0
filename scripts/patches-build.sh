#!/bin/bash
# Build each patch of the series alone: at every commit, what it touches compiles with W=1, without a
# warning that the base does not have.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs build
need_tree
lock "$BUILD" patches-build
src=$BUILD/patches-tree obj=$BUILD/obj/patches logs=$BUILD/logs/patches
base=$(base_rev) end=$(series_rev)
mapfile -t touched < <(git -C "$TREE" diff --no-renames --name-only "$base" "$end")

# One tree, checked out commit by commit, so that each build has little to do.
checkout() {
	rm -f "$src/.git/index.lock" # of a run that was killed
	git -C "$src" checkout -q --force --detach "$1"
	git -C "$src" clean -qfdx
}

kmake() { make -C "$src" O="$obj" ARCH=x86_64 LOCALVERSION= CC='ccache gcc' -j"$(nproc)" "$@"; }

# All that the virtual machines have, and the KUnit suites.
configure() {
	local extra=()

	[ ! -f "$src/mm/tests/zbud.kunitconfig" ] || extra=("$src/mm/tests/zbud.kunitconfig")
	sed -E 's/[[:space:]]*# series only$//' "$TOP/scripts/configs/vm.config" "${extra[@]}" >"$obj/all.config"
	kmake -s KCONFIG_ALLCONFIG="$obj/all.config" allnoconfig
}

# Kernel directories whose .c files a commit changes, and mm/, where headers and Kconfig show.
directories() {
	git -C "$src" diff --no-renames --diff-filter=d --name-only "$1^" "$1" | awk '
		/^(tools|Documentation)\// { next }
		/\.c$/ { sub(/[^\/]*$/, ""); print }
		END { print "mm/" }' | sort -u
}

# Programs in tools/ have makefiles of their own.
programs() {
	git -C "$src" diff --no-renames --diff-filter=d --name-only "$1^" "$1" |
		sed -nE 's|^(tools/.*)/[^/]*\.[ch]$|\1|p' | sort -u
}

# build LOG COMMIT...: what these commits touch, as it is in the tree now.
build() {
	local log=$1 dir file dirs progs
	shift

	mapfile -t dirs < <(for commit in "$@"; do directories "$commit"; done | sort -u | existing)
	mapfile -t progs < <(for commit in "$@"; do programs "$commit"; done | sort -u | existing)
	# Only what is compiled now can warn; ccache makes it cheap.
	for file in "${touched[@]}"; do
		case $file in *.c) rm -f "$obj/${file%.c}.o" ;; esac
	done
	{
		configure && kmake W=1 "${dirs[@]}" || return
		for dir in "${progs[@]}"; do
			make -C "$src/$dir" CC='ccache gcc' || return
		done
	} >"$log" 2>&1 </dev/null
}

existing() { while IFS= read -r dir; do [ ! -d "$src/$dir" ] || echo "$dir"; done; }

# Warnings about files that the series touches, without line numbers.
warnings() {
	grep -i 'warning:' "$1" | grep -E "(^|[ /])($names):" | sed -E 's/:[0-9]+(:[0-9]+)?:?/:/' | sort -u || :
}
names=$(printf '%s\n' "${touched[@]##*/}" | grep '[.][chS]$' | sort -u | sed 's/[.]/[.]/g' | paste -sd'|')

if [ "$(git -C "$src" rev-parse -q --verify "$end^{commit}" 2>/dev/null)" != "$end" ]; then
	say "checking a tree out to $src"
	need_space "$BUILD" 5000
	rm -rf "$src"
	borrowed_tree "$src" "$base"
fi
mkdir -p "$obj" "$logs"

mapfile -t commits < <(git -C "$TREE" rev-list --reverse "$base..$end")
say "building what the series touches in the base, with W=1, for its warnings (logs: $logs)"
checkout "$base"
build "$logs/base.log" "${commits[@]}" || {
	grep -E 'error|Error' "$logs/base.log" | head -n 20 >&2 || :
	die "the base does not build" "The log is $logs/base.log."
}
warnings "$logs/base.log" >"$logs/base.warnings"

number=0 failed=0
for commit in "${commits[@]}"; do
	number=$((number + 1))
	log=$logs/$number.log
	name="patch $number alone builds with W=1: $(git -C "$src" log -1 --format=%s "$commit")"
	checkout "$commit"
	if ! build "$log" "$commit"; then
		not_ok "$name # it does not; see $log"
		grep -E 'error|Error' "$log" | head -n 20 | sed 's/^/    /' || :
		failed=1
	elif warnings "$log" | comm -23 - "$logs/base.warnings" | grep . >"$logs/$number.new"; then
		not_ok "$name # it warns; see $log"
		sed 's/^/    /' "$logs/$number.new"
		failed=1
	else
		ok "$name"
	fi
done
[ $failed = 0 ]
