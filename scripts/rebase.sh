#!/bin/bash
# Try the patches on another base, and say of each whether it applies.
#
# Usage: rebase.sh                            a release candidate of 7.3, always the same: CI does not depend on uploads
#        BASE=experimental rebase.sh          the newest linux-source-7.3 in a suite of Debian
#        BASE=7.3.5-1~bpo13+1 rebase.sh       that version, of trixie-backports or experimental
#        BASE=/path/to/linux.git:v7.4-rc1 rebase.sh     a commit of a git repository (without one: its HEAD)
#        BASE=... rebase.sh --build           then build the kernel of the virtual machines from it
#
# Where git am fails, git am -3 merges. Where that fails too, this says in which files, and goes on with what the
# patch wants there, so that the next patches can be tried. What comes of it is a git tree in build/rebase.
#	PACKAGE=linux-source-7.4 BASE=experimental rebase.sh	another package
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

base=${BASE:-7.3~rc7-1~exp1} build=${1:-}
export PACKAGE=${PACKAGE:-linux-source-7.3}
package=$PACKAGE
name="git am patches/*.patch applies to another 7.3"
result=$BUILD/rebase
[ -z "$build" ] || [ "$build" = --build ] || die "usage: BASE=... $0 [--build]"
need_pkgs tree
mapfile -t patches < <(patch_files)

# The files of the other base that the patches need, or all of them, below $WORK/tree; $version says what it is.
unpack() { # DEB
	local tar=./usr/src/$package.tar.xz only=(-T "$WORK/files")

	[ -z "$build" ] || only=()
	sed -i "s|^|$package/|" "$WORK/files"
	# A file that is not there is found by git am.
	dpkg-deb --fsys-tarfile "$1" | tar -xO "$tar" |
		tar -xJ --strip-components=1 -C "$WORK/tree" "${only[@]}" 2>"$WORK/tar.log" || cat "$WORK/tar.log"
	version=${1##*"${package}"_}
	version=${version%_all.deb}
}

from_debian() {
	local deb='' suite suites=("$base") wanted='' status=2

	case $base in
	*~exp*) suites=(experimental) wanted=$base ;;
	[0-9]*) suites=(trixie-backports experimental) wanted=$base ;;
	esac
	for suite in "${suites[@]}"; do
		status=0
		deb=$("$TOP/scripts/fetch-source.sh" "$suite" "$wanted") || status=$?
		# It takes another version if that is not there any more.
		[ $status != 0 ] || [ -z "$wanted" ] || [[ $deb = *"_${wanted}_"* ]] || status=2
		[ $status = 2 ] || break
	done
	case $status in
	0) unpack "$deb" ;;
	2) skip "$name" "Debian has no $package $base"; exit ;;
	*) not_ok "$name"; exit 1 ;;
	esac
}

from_git() {
	local repository=${base%%:*} rev=HEAD files=()

	[[ $base != *:* ]] || rev=${base#*:}
	version=$(git -C "$repository" rev-parse -q --verify "$rev^{commit}") ||
		die "$repository has no commit $rev" "BASE=/path/to/linux.git:REV names a tag, a branch or a commit there."
	[ -n "$build" ] || mapfile -t files < <(git -C "$repository" ls-tree -r --name-only "$version" |
		LC_ALL=C sort | LC_ALL=C comm -12 - "$WORK/files")
	git -C "$repository" archive "$version" "${files[@]}" | tar -x -C "$WORK/tree"
	version="$rev ($(git -C "$repository" log -1 --format='%h, %cs' "$version")) of $repository"
}

lock "$BUILD" rebase
workdir "$BUILD/tmp-rebase"
# What the patches change and do not create themselves is all that is needed of that tree.
awk '/^--- a\// { print substr($0, 7) }' "${patches[@]}" | LC_ALL=C sort -u >"$WORK/changed"
awk '/^--- / { new = ($2 == "/dev/null") } /^\+\+\+ b\// && new { print substr($0, 7) }' "${patches[@]}" |
	LC_ALL=C sort -u | LC_ALL=C comm -23 "$WORK/changed" - >"$WORK/files"
say "unpacking ${build:+all}${build:-$(wc -l <"$WORK/files")} files of $base"
mkdir "$WORK/tree"
if [[ $base = */* ]]; then from_git; else from_debian; fi

cd "$WORK/tree"
plain_git init -q .
# What the patches were made on, for three-way merges
[ ! -e "$TREE/.git" ] || echo "$(git -C "$TREE" rev-parse --path-format=absolute --git-common-dir)/objects" \
	>.git/objects/info/alternates
git config user.name "$(identity name)"
git config user.email "$(identity email)"
git config gc.auto 0
git config advice.mergeConflict false
plain_git -c core.bigFileThreshold=1 add -f .
git commit -q -m "Linux $version"

clean=0 merged=0 conflicts=0
for patch in "${patches[@]}"; do
	short=$(basename "$patch" .patch)
	if git am -q --no-3way "$patch" >"$WORK/am.log" 2>&1; then
		clean=$((clean + 1))
		continue
	fi
	git am --abort
	if git am -q --3way "$patch" >"$WORK/am.log" 2>&1; then
		merged=$((merged + 1))
		echo "    $short: git am fails, git am -3 merges it"
		continue
	fi
	conflicts=$((conflicts + 1))
	echo "    $short: conflicts"
	unmerged=$(git diff --name-only --diff-filter=U)
	if [ -z "$unmerged" ]; then
		sed 's/^/        /' "$WORK/am.log"
		git am --skip >"$WORK/am.log" 2>&1
		continue
	fi
	while IFS= read -r file; do
		echo "        $file: $(grep -c '^<<<<<<< ' "$file" 2>/dev/null || :) places"
		git checkout -q --theirs -- "$file" 2>/dev/null || :
	done <<<"$unmerged"
	git add -A
	git am --continue >"$WORK/am.log" 2>&1 || git am --skip >"$WORK/am.log" 2>&1
done
say "on Linux $version: $clean of ${#patches[@]} patches apply, $merged need a merge, $conflicts have conflicts"
rm -rf "$result"
mv "$WORK/tree" "$result"
if [ $clean = ${#patches[@]} ]; then ok "$name"; else not_ok "$name # see $result"; fi
if [ -n "$build" ]; then
	[ $conflicts = 0 ] || die "with conflicts, there is nothing to build" "Resolve them in build/linux, or in $result."
	"$TOP/scripts/build-kernel.sh" "$result" rebase vm.config
fi
[ $clean = ${#patches[@]} ]
