#!/bin/bash
# Fetch a static busybox for a machine of another architecture, and print its path.
#
# Usage: fetch-busybox.sh ARCH		as Debian names it: arm64, i386, s390x
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

arch=${1:?usage: $0 ARCH}
busybox=$CACHE/debs/busybox-$arch
exec 3>&1 >&2 # messages go to stderr, only the path to stdout

lock "$CACHE" fetch
if [ ! -x "$busybox" ]; then
	uri=$(apt_mirror)
	[ -n "$uri" ] || die "apt has no Debian mirror configured to fetch busybox from"
	workdir "$CACHE/tmp-busybox"
	mkdir -p "$WORK/out" "$CACHE/debs"
	own_apt_init "deb [signed-by=$APT_KEYRING arch=$arch] $uri $(apt_codename) main"
	say "fetching busybox-static for $arch"
	{
		own_apt apt-get -o "APT::Architectures::=$arch" update &&
			cd "$WORK/out" && own_apt apt-get -o "APT::Architectures::=$arch" download "busybox-static:$arch"
	} >"$WORK/log" 2>&1 || {
		grep -E '^[EW]:' "$WORK/log" | sort -u
		die "busybox-static for $arch cannot be fetched" "Is there a network? Does 'apt-get update' work?"
	}
	dpkg-deb -x "$WORK"/out/*.deb "$WORK/out"
	mv "$WORK/out/bin/busybox" "$busybox"
fi
echo "$busybox" >&3
