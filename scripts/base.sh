#!/bin/bash
# Make build/linux, the tree that the series is worked on in: the base as a commit, the patches on top.
#
# Usage: base.sh                          from Debian's source package: tag ramzswap-base, branch ramzswap
#        LINUX=/path/to/clone base.sh     a worktree of your own clone, at its tag v7.3
#        PART=n base.sh                   build/part-n/linux, a worktree of build/linux: the base, and the patches
#                                         of parts 1 to n
#
# A tree that is there already is left alone. If patches/ has changed since it was made, that is said.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

mapfile -t patches < <(patch_files)
[[ -z ${PART:-} ]] || grep -q "^# part $PART: " "$TOP/series" ||
	die "there is no part '$PART'" "$(sed -n 's/^# //p' "$TOP/series")"

# The source package, unpacked and committed. Author, date and contents are fixed, and so is the hash.
commit_base() {
	local dir=$1 version=$2
	local -x GIT_AUTHOR_NAME='Linux base' GIT_AUTHOR_EMAIL=base@localhost
	local -x GIT_COMMITTER_NAME='Linux base' GIT_COMMITTER_EMAIL=base@localhost
	local -x GIT_AUTHOR_DATE='2026-11-15T00:00:00Z' GIT_COMMITTER_DATE='2026-11-15T00:00:00Z'

	# Debian's .gitignore hides all that is not packaging.
	perl -0pi -e 's/\n#\n# Debian packaging.*//s' "$dir/.gitignore"
	plain_git init -q -b ramzswap "$dir"
	git -C "$dir" config gc.auto 0
	# With these settings all goes into one pack.
	plain_git -C "$dir" -c core.compression=1 -c core.bigFileThreshold=1 -c core.autocrlf=false add -f .
	plain_git -C "$dir" commit -q -m "Linux ${version%%-*} (Debian linux-source-7.3 $version)"
	git -C "$dir" tag ramzswap-base
}

from_debian() {
	local deb version status=0

	need_space "$BUILD" 4500
	deb=$("$TOP/scripts/fetch-source.sh" "$BASE_SUITE" "$BASE_VERSION" "$BASE_SHA256") || status=$?
	[ $status != 2 ] || die "Debian's $BASE_SUITE has no source of Linux 7.3 any more" \
		"Use a kernel clone of your own: LINUX=/path/to/linux.git make tree"
	[ $status = 0 ] || exit 1
	version=${deb##*linux-source-7.3_}
	version=${version%_all.deb}

	say "unpacking Linux $version (a minute or two)"
	mkdir "$WORK/linux"
	{ dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/src/linux-source-7.3.tar.xz |
		tar -xJ --strip-components=1 -C "$WORK/linux"; } 2> >(head -n 3 >&2; cat >/dev/null) ||
		die "$deb cannot be unpacked" "Is the disk full? Otherwise remove that file and run the same again."
	say "committing it as the base"
	commit_base "$WORK/linux" "$version"
	git -C "$WORK/linux" config user.name "$(identity name)"
	git -C "$WORK/linux" config user.email "$(identity email)"
}

# The branch in the user's clone is all that is left there, made when all went well. It is named after
# this repository's path, as another copy of it may use the same clone.
branch=ramzswap-$(sha256sum <<<"$TOP" | cut -c1-8)

from_clone() {
	local clone

	clone=$(git -C "$LINUX" rev-parse --path-format=absolute --git-common-dir 2>/dev/null) ||
		die "LINUX=$LINUX is no git repository" "Give the path of a clone of Linux."
	git -C "$clone" rev-parse -q --verify 'refs/tags/v7.3^{commit}' >/dev/null ||
		die "the clone LINUX=$LINUX has no tag v7.3" "Get it: git -C $LINUX fetch --tags"
	need_space "$BUILD" 2500
	# What a run that was killed left behind, and a tree that was simply removed.
	git -C "$clone" worktree unlock "$WORK/linux" 2>/dev/null || :
	git -C "$clone" worktree prune
	! git -C "$clone" rev-parse -q --verify "refs/heads/$branch" >/dev/null ||
		die "the branch $branch of an earlier tree is still in $LINUX" \
			"If you need nothing of it: git -C $LINUX branch -D $branch"
	say "adding a worktree of $LINUX at v7.3"
	git -C "$clone" worktree add -q --detach "$WORK/linux" v7.3 ||
		die "there can be no worktree of $LINUX" "What git says is above."
}

# Only the objects are shared with the tree of the whole series. Nothing is committed there.
from_tree() {
	local whole=$TOP/build/linux

	[ -e "$whole/.git" ] || PART='' "$TOP/scripts/base.sh"
	need_space "$BUILD" 2500
	git -C "$whole" worktree prune
	say "adding a worktree of $whole at the base"
	git -C "$whole" worktree add -q --detach "$WORK/linux" "$(TREE=$whole base_rev)"
}

# Is the tree what patches/ has? If both have changed since it was made, export would undo what patches/ has got.
compare() {
	local id='' head=''

	read -r id head < <(cat "$(tree_note)" 2>/dev/null) || :
	if [ -z "${PART:-}" ] && "$TOP/scripts/export.sh" --compare; then
		note_patches
		return
	fi
	[ -n "$id" ] && [ "$id" != "$(patches_id)" ] || return 0
	say "patches/ has changed since $TREE was made or exported: 'make export' would undo that"
	if [ "$head" != "$(series_rev)" ] || ! tree_is_clean "$TREE"; then
		say "the tree has changed, too: first keep its commits, for instance: git -C $TREE branch mine"
	fi
	if [ -n "${PART:-}" ]; then
		say "to make it anew: git -C $TOP/build/linux worktree remove --force $TREE; make tree PART=$PART"
	else
		say "to take the patches over: git -C $TREE reset --hard $(base_rev | cut -c1-12) &&"
		say "    git -C $TREE am $TOP/patches/*.patch"
	fi
}

# A failure or an interruption leaves no worktree behind in the user's clone.
drop_worktree() {
	[ ! -f "$WORK/linux/.git" ] || git -C "$WORK/linux" worktree remove -f -f "$WORK/linux"
	rm -rf "$WORK"
}

lock "$BUILD" tree
if [ -e "$TREE/.git" ]; then
	say "$TREE is there already, and stays as it is"
	compare
	exit 0
fi
[ ! -e "$TREE" ] || die "$TREE is in the way, and no git tree" "Move it elsewhere."

need_pkgs tree
workdir "$BUILD/tmp-tree"
if [ -n "${PART:-}" ]; then
	trap drop_worktree EXIT
	from_tree
elif [ -n "${LINUX:-}" ]; then
	trap drop_worktree EXIT
	from_clone
else
	from_debian
fi

if [ ${#patches[@]} -gt 0 ]; then
	say "applying ${#patches[@]} patches"
	GIT_COMMITTER_NAME=$(identity name) GIT_COMMITTER_EMAIL=$(identity email) \
		git -C "$WORK/linux" -c gc.auto=0 am -q "${patches[@]}" ||
		die "a patch does not apply to $(git -C "$WORK/linux" log -1 --format=%s)" "What git says is above."
fi
if [ -f "$WORK/linux/.git" ]; then
	git -C "$WORK/linux" worktree move "$WORK/linux" "$TREE"
	[ -n "${PART:-}" ] || git -C "$TREE" checkout -q -b "$branch"
else
	mv "$WORK/linux" "$TREE"
fi
note_patches
say "$TREE is ready: $(git -C "$TREE" log -1 --format='%h, "%s"')"
