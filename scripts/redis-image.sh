#!/bin/bash
# Make build/redis.img: a read-only ext4 image with Debian's redis-server and the libraries it needs.
#
# The packages are only unpacked, not installed: no service starts on the host. Libraries that they do
# not bring along (libc6 and others that every Debian has) are taken from the host.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

image=$BUILD/redis.img
debs=$CACHE/redis

lock "$BUILD" redis
[ "$image" -nt "$0" ] && exit
workdir "$BUILD/redis.tmp"
need_pkgs vm

if [ ! -f "$debs/complete" ]; then
	say "fetching redis packages to $debs"
	rm -rf "$debs"
	mkdir -p "$debs"
	mapfile -t packages < <(apt-cache depends -i redis-server redis-tools |
		sed -nE 's/^ +Depends: (lib.*)/\1/p' | grep -vx libc6 | sort -u)
	[ ${#packages[@]} -gt 0 ] || die "apt knows no redis-server" "Run 'apt-get update' as root."
	# As root, apt would like to become _apt, which may not write here.
	(cd "$debs" && apt-get -qq -o APT::Sandbox::User=root download redis-server redis-tools "${packages[@]}") ||
		die "the redis packages cannot be fetched" "Is there a network? Is 'apt-get update' due?"
	touch "$debs/complete"
fi

for deb in "$debs"/*.deb; do
	dpkg-deb -x "$deb" "$WORK/deb"
done
libs=$(find "$WORK/deb" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
mkdir -p "$WORK/image/bin" "$WORK/image/lib"
for program in redis-server redis-cli; do
	cp -L "$WORK/deb/usr/bin/$program" "$WORK/image/bin/"
	ldd=$(LD_LIBRARY_PATH=$libs ldd "$WORK/image/bin/$program")
	! grep 'not found' <<<"$ldd" >&2 || die "these libraries of $program are neither in $debs nor on the host"
	awk '$2 == "=>" { print $3 } $1 ~ "^/" { print $1 }' <<<"$ldd" | xargs cp -Lt "$WORK/image/lib"
done

say "making $image"
mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$WORK/image" "$WORK/redis.img" \
	"$(($(du -sk "$WORK/image" | cut -f1) + 4096))k"
mv "$WORK/redis.img" "$image"
