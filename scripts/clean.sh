#!/bin/bash
# Remove what was built.
#
# Usage: clean.sh          all of build/ but the tree that the series is worked on in
#        clean.sh --all    that too, unless there is work in it that is not exported
#        PART=n clean.sh   all of build/part-n, its tree too: nothing is worked on there
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ -d "$BUILD" ] || exit 0
if [ -n "${PART:-}" ]; then
	say "removing $BUILD"
	rm -rf "$BUILD"
	[ ! -e "$TOP/build/linux/.git" ] || git -C "$TOP/build/linux" worktree prune
	exit
fi
lock "$BUILD" tree # not while another run makes it
if [ "${1:-}" = --all ] && [ -e "$TREE/.git" ]; then
	"$TOP/scripts/export.sh" --compare ||
		die "$TREE stays: it has work that is not exported" "Run 'make export', or remove it yourself."
	say "removing $TREE"
	if [ -f "$TREE/.git" ]; then
		# A worktree of the user's own clone: nothing of it shall stay there.
		clone=$(git -C "$TREE" rev-parse --path-format=absolute --git-common-dir)
		branch=$(git -C "$TREE" symbolic-ref -q --short HEAD || :)
		git -C "$clone" worktree remove --force "$TREE"
		case $branch in ramzswap-*) git -C "$clone" branch -q -D "$branch" ;; esac
		rm -rf "$BASE_TREE" "$BUILD"/part-*
		git -C "$clone" worktree prune
	else
		rm -rf "$TREE"
	fi
fi
say "removing what was built in $BUILD"
find "$BUILD" -mindepth 1 -maxdepth 1 ! -path "$BUILD/linux" ! -name '.*.lock' -exec rm -rf {} +
[ ! -e "$TREE/.git" ] || git -C "$TREE" worktree prune
