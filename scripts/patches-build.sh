#!/bin/bash
# Build each patch of the series alone: at every commit, what it touches compiles with W=1, without a
# warning that the base does not have.
#
# The commits are checked out one after the other in one tree with one build directory, and make compiles what a
# commit changes and all that includes it. What is not compiled again warned, if it does, at an earlier commit.
# A patch that passed is not built again while its tree, its parent's and the base's are the same (see RESULTS in
# lib.sh).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_pkgs build libcap-dev libnuma-dev # some selftests need these
need_tree
lock "$BUILD" patches-build
src=$BUILD/patches-tree obj=$BUILD/obj/patches logs=$BUILD/logs/patches
# The base and the makers of the objects, if they are all of one commit that passed, or of the base.
state=$obj/.built
base=$(base_rev) end=$(series_rev)
base_tree=$(tree_id "$base")
tools=$({ tools_id && cat "$0" "$TOP/scripts/configs/vm.config"; } | sha256sum)
export LC_ALL=C

checkout() {
	rm -f "$src/.git/index.lock" # of a run that was killed
	git -C "$src" checkout -q --force --detach "$1"
	# All but the programs in tools/ is built elsewhere.
	git -C "$src" clean -qfdx tools
}

kmake() { make -C "$src" O="$obj" ARCH=x86_64 LOCALVERSION= CC='ccache gcc' -j"$(nproc)" "$@"; }

# All that the virtual machines have, and the KUnit suites. Made anew only if something of that is another.
configure() {
	local extra=() stamp

	[ ! -f "$src/mm/tests/zbud.kunitconfig" ] || extra=("$src/mm/tests/zbud.kunitconfig")
	sed -E 's/[[:space:]]*# series only$//' "$TOP/scripts/configs/vm.config" "${extra[@]}" >"$obj/all.config"
	stamp=$({ cat "$obj/all.config" && git -C "$src" ls-tree -r HEAD | grep -E '(Kconfig|/kconfig/|[.]config$)'; } |
		sha256sum)
	[ ! -f "$obj/.config" ] || [ "$stamp" != "$(cat "$obj/.stamp" 2>/dev/null)" ] || return 0
	rm -f "$obj/.stamp"
	kmake -s KCONFIG_ALLCONFIG="$obj/all.config" allnoconfig && echo "$stamp" >"$obj/.stamp"
}

# Kernel directories whose .c files a commit changes, and mm/, where headers and Kconfig show.
directories() {
	git -C "$TREE" diff --no-renames --diff-filter=d --name-only "$1^" "$1" | awk '
		/^(tools|Documentation)\// { next }
		/\.c$/ { sub(/[^\/]*$/, ""); print }
		END { print "mm/" }' | sort -u
}

# Programs in tools/ have makefiles of their own.
programs() {
	git -C "$TREE" diff --no-renames --diff-filter=d --name-only "$1^" "$1" |
		sed -nE 's|^(tools/.*)/[^/]*\.[ch]$|\1|p' | sort -u
}

# build LOG COMMIT...: what these commits touch, as it is in the tree now.
build() {
	local log=$1 dir dirs progs commit
	shift

	mapfile -t dirs < <(for commit; do directories "$commit"; done | sort -u | existing)
	mapfile -t progs < <(for commit; do programs "$commit"; done | sort -u | existing)
	{
		configure && kmake W=1 "${dirs[@]}" || return
		for dir in "${progs[@]}"; do
			make -C "$src/$dir" CC='ccache gcc' || return
		done
	} >"$log" 2>&1 </dev/null
}

existing() { while IFS= read -r dir; do [ ! -d "$src/$dir" ] || echo "$dir"; done; }

# Warnings about source files, without line numbers and the paths that lead to them.
warnings() {
	grep -i 'warning:' "$1" | grep -E '[.][chS]:' | sed -E 's/:[0-9]+(:[0-9]+)?:?/:/' | sort -u || :
}

# What the result of a patch depends on: trees, as a commit gets another hash whenever the patches are applied.
commits=() todo=() parent=$base_tree
declare -A keys=() kept=() subjects=()
while read -r commit tree subject; do
	commits+=("$commit")
	subjects[$commit]=$subject
	keys[$commit]=$(result_key patches-build "$base_tree" "$parent" "$tree" <<<"$tools")
	kept[$commit]=$(kept_result "${keys[$commit]}") || todo+=("$commit")
	parent=$tree
done < <(git -C "$TREE" log --reverse --format='%H %T %s' "$base..$end")
mkdir -p "$obj" "$logs"

if [ ${#todo[@]} -gt 0 ] && [ "$(git -C "$src" rev-parse -q --verify "$end^{commit}" 2>/dev/null)" != "$end" ]; then
	say "checking a tree out to $src"
	need_space "$BUILD" 5000
	rm -rf "$src"
	borrowed_tree "$src" "$base"
fi

# The warnings of the base, of all files in the directories. Objects of an unknown state are no start for anything.
if [ ${#todo[@]} -gt 0 ]; then
	mapfile -t dirs < <(for commit in "${commits[@]}"; do directories "$commit" && programs "$commit"; done | sort -u)
	base_key=$(result_key 'warnings of the base' "$base_tree" "${dirs[@]}" <<<"$tools")
	built="$base_tree $tools"
	if [ -n "${FRESH:-}" ] || [ "$built" != "$(cat "$state" 2>/dev/null)" ]; then rm -f "$state"; fi
	if base_warnings=$(kept_result "$base_key"); then
		say "the warnings of the base are known: $(wc -l <"$base_warnings") lines"
		cp "$base_warnings" "$logs/base.warnings"
	else
		rm -f "$state"
	fi
	[ -f "$state" ] || find "$obj" -name '*.o' ! -path '*/tools/*' -delete
	if [ -z "$base_warnings" ]; then
		say "building what the series touches in the base, with W=1, for its warnings (logs: $logs)"
		checkout "$base"
		build "$logs/base.log" "${commits[@]}" || {
			grep -E 'error|Error' "$logs/base.log" | head -n 20 >&2 || :
			die "the base does not build" "The log is $logs/base.log."
		}
		# A file is never empty, as an empty one counts as none.
		{ warnings "$logs/base.log" && echo '~ all'; } >"$logs/base.warnings"
		keep_result "$base_key" <"$logs/base.warnings"
	fi
fi

number=0 failed=0
for commit in "${commits[@]}"; do
	number=$((number + 1))
	log=$logs/$number.log
	name="patch $number alone builds with W=1: ${subjects[$commit]}"
	if [ -n "${kept[$commit]}" ]; then
		ok "$name # cached, built $(cat "${kept[$commit]}")"
		continue
	fi
	rm -f "$state"
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
		# What comes after a failure was not compared with something that is known to be good.
		if [ $failed = 0 ]; then
			date -u '+%F %R UTC' | keep_result "${keys[$commit]}"
			echo "$built" >"$state"
		fi
	fi
done
[ $failed = 0 ]
