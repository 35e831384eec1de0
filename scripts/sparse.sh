#!/bin/bash
# Print the path of a sparse that is new enough for the kernel: the one that is installed, or one that is built here
# from Debian's source of a later suite, once. Exit status 2: there is none.
#
# The machine's apt configuration only says which mirror to use.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suite=sid
sparse=$CACHE/sparse/sparse

exec 3>&1 >&2 # messages go to stderr, only the path to stdout

# Sets found, if the kernel would use it. use PROGRAM
use() {
	found=''
	[ "$(sh "$TREE/scripts/checker-valid.sh" "$1")" != 1 ] || found=$1
	[ -n "$found" ]
}

need_tree
if ! use "$(command -v sparse || echo "$sparse")" && ! use "$sparse"; then
	need_pkgs build
	lock "$CACHE" fetch
	need_space "$CACHE" 300
	uri=$(apt_mirror)
	[ -n "$uri" ] || die "apt has no Debian mirror configured to fetch sparse from"
	workdir "$CACHE/tmp-fetch"
	mkdir "$WORK/out"
	own_apt_init "deb-src [signed-by=$APT_KEYRING] $uri $suite main"
	say "building the sparse of $suite"
	{ own_apt apt-get update && cd "$WORK/out" && own_apt apt-get source --download-only sparse &&
		mkdir source && tar -xf ./*.orig.tar.* -C source --strip-components=1 &&
		make -C source -j"$(nproc)" sparse; } >"$WORK/log" 2>&1 || {
		grep -E '^[EW]:|error' "$WORK/log" | sort -u | head
		die "sparse could not be built from $suite" "Is there a network? Or install a newer one."
	}
	mkdir -p "${sparse%/*}"
	mv source/sparse "$sparse"
	use "$sparse" || exit 2
fi
echo "$found" >&3
