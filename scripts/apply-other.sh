#!/bin/bash
# Check that the patches apply, without fuzz, to another Linux 7.3 than the one they were made on:
# the release candidate in Debian's suite "experimental".
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

name="git am patches/*.patch applies to another 7.3"
need_pkgs tree
status=0
deb=$("$TOP/scripts/fetch-source.sh" experimental) || status=$?
case $status in
0) ;;
2) skip "$name" "Debian's experimental has no linux-source-7.3 any more"; exit ;;
*) not_ok "$name"; exit 1 ;;
esac
version=${deb##*linux-source-7.3_}
version=${version%_all.deb}

lock "$BUILD" apply-other
workdir "$BUILD/tmp-apply-other"
# What the patches change and do not create themselves is all that is needed of that tree.
sed -n 's|^--- a/|linux-source-7.3/|p' "$TOP"/patches/*.patch | sort -u >"$WORK/changed"
awk '/^--- / { new = ($2 == "/dev/null") } /^\+\+\+ b\// && new { print "linux-source-7.3/" substr($0, 7) }' \
	"$TOP"/patches/*.patch | sort -u | comm -23 "$WORK/changed" - >"$WORK/files"

say "unpacking $(wc -l <"$WORK/files") files of Linux $version"
mkdir "$WORK/tree"
# A file that is not there is found by git am.
dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/src/linux-source-7.3.tar.xz |
	tar -xJ --strip-components=1 -C "$WORK/tree" -T "$WORK/files" 2>"$WORK/tar.log" || cat "$WORK/tar.log"
cd "$WORK/tree"
git init -q .
git config user.name "$(identity name)"
git config user.email "$(identity email)"
git config am.threeWay false
git add -f .
git commit -q -m "Linux $version"
if git am "$TOP"/patches/*.patch >"$WORK/am.log" 2>&1; then
	ok "$name"
	say "it was Linux $version"
else
	not_ok "$name"
	sed 's/^/    /' "$WORK/am.log"
	say "it was Linux $version"
fi
