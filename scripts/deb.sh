#!/bin/bash
# Build Debian packages, in build/deb: the kernel of build/linux, by its own bindeb-pkg, and ramzswap-tools.
#
# Usage: deb.sh [kernel] [tools]	both, if none is named
#	 CONFIG=debian deb.sh ...	with Debian's own configuration of 7.3 below ours: hours, and 30 GB
#	 deb.sh configure		the kernel's configuration only
#
# Without CONFIG, the kernel is enough for virtual machines and ordinary PCs: scripts/configs/pc.config on the
# kernel's own defconfig. Prints the paths of the packages.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

config=${CONFIG:-defconfig}
case $config in
defconfig) fragments=(pc.config deb.config) obj=$BUILD/deb/obj ;;
debian) fragments=(deb.config) obj=$BUILD/deb/obj-debian ;;
*) die "CONFIG=$config is not known here" "There are: CONFIG=debian, and none." ;;
esac
fragments=("${fragments[@]/#/$TOP/scripts/configs/}")
[ $# -gt 0 ] || set -- kernel tools

exec 3>&1 >&2 # messages go to stderr, only the paths to stdout
need_pkgs build deb
need_tree
lock "$BUILD" deb
mkdir -p "$obj"
workdir "$BUILD/deb/tmp"
version=$(make -s -C "$TREE" kernelversion)-$(git -C "$TREE" rev-list --count "$(base_rev)..HEAD")

# All times in the packages are that of the last patch, so the same source and compiler give the same ramzswap-tools,
# anywhere and at any time. The kernel's packages do not have the time, user or machine of the build either, but they
# may still differ, with Debian's configuration by the keys that sign modules, for example.
umask 022
SOURCE_DATE_EPOCH=$(git -C "$TREE" log -1 --format=%at)
export SOURCE_DATE_EPOCH
export KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_USER=ramzswap KBUILD_BUILD_HOST=ramzswap
export KDEB_PKGVERSION=$version KBUILD_BUILD_VERSION=${version##*-} KDEB_COMPRESS=zstd \
	KDEB_CHANGELOG_DIST=trixie
DEBFULLNAME=$(maintainer | sed -E 's/ *<.*//') DEBEMAIL=$(maintainer | sed -E 's/.*<(.*)>/\1/')
export DEBFULLNAME DEBEMAIL

# The kernel's mkdebian asks date for the time of the changelog.
mkdir "$WORK/bin"
printf '#!/bin/sh\nexec /usr/bin/date -u -d @%s "$@"\n' "$SOURCE_DATE_EPOCH" >"$WORK/bin/date"
chmod +x "$WORK/bin/date"

kmake() { make -C "$TREE" O="$obj" ARCH=x86_64 LOCALVERSION='' CC='ccache gcc' "$@"; }

configure() {
	local deb missing

	say "configuring the kernel"
	if [ "$config" = debian ]; then
		deb=$(PACKAGE=linux-config-7.3 "$TOP/scripts/fetch-source.sh" "$BASE_SUITE" "$BASE_VERSION" '')
		dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards '*/config.amd64_none_amd64.xz' | xz -dc >"$obj/.config"
	else
		kmake -s x86_64_defconfig
	fi
	cat "${fragments[@]}" >>"$obj/.config"
	kmake -s olddefconfig >"$obj/config.log" 2>&1 || {
		tail -n 20 "$obj/config.log"
		die "no configuration could be made of $TREE" "The whole log is $obj/config.log."
	}
	missing=$(
		grep -hE '^CONFIG_' "${fragments[@]}" | grep -vxFf "$obj/.config" || :
		sed -nE 's/^# (CONFIG_[A-Z0-9_]+) is not set$/^\1=/p' "${fragments[@]}" | grep -f - "$obj/.config" || :
	)
	[ -z "$missing" ] || die "the configuration has these otherwise than the files in scripts/configs:" "$missing"
}

kernel() {
	local file

	need_space "$BUILD" 6000
	configure
	say "building Linux $version; the log is $obj/build.log"
	{ kmake -j"$(nproc)" all && PATH=$WORK/bin:$PATH kmake bindeb-pkg; } >"$obj/build.log" 2>&1 || {
		grep -nE 'error:|Error|undefined reference|No space' "$obj/build.log" | head -n 20 || :
		die "the packages of the kernel cannot be built" "All that was said is in $obj/build.log."
	}
	# That one would replace the distribution's.
	rm -f "$BUILD"/deb/linux-libc-dev_* "$BUILD"/deb/linux-upstream_*
	for file in "$BUILD"/deb/linux-{image,headers}-*_"$version"_amd64.deb; do
		echo "$file" >&3
	done
	say "built in $SECONDS s"
}

tools() {
	local src=$TOP/scripts/debian root=$WORK/root deb=$BUILD/deb/ramzswap-tools_${version}_amd64.deb

	say "building ramzswap-tools $version"
	install -d "$root"/usr/{sbin,lib/{ramzswap,systemd/system,systemd/system-generators,udev/rules.d}} \
		"$root"/usr/share/{man/man5,man/man8,doc/ramzswap-tools,initramfs-tools/hooks} "$root/DEBIAN"
	gcc -O2 -Wall -Wextra -s -I "$TREE/tools/include" -o "$root/usr/sbin/ramzswapstat" "$TREE/tools/mm/ramzswapstat.c"
	install -m 755 "$src/ramzswap-setup" "$root/usr/lib/ramzswap/"
	ln -s ../../ramzswap/ramzswap-setup "$root/usr/lib/systemd/system-generators/ramzswap-generator"
	install -m 644 "$src/ramzswap-setup.service" "$root/usr/lib/systemd/system/"
	install -m 644 "$src/60-ramzswap.rules" "$root/usr/lib/udev/rules.d/"
	install -m 755 "$src/initramfs-hook" "$root/usr/share/initramfs-tools/hooks/ramzswap"
	echo 'activate-noawait update-initramfs' >"$root/DEBIAN/triggers"
	gzip -9n <"$src/ramzswap.conf.5" >"$root/usr/share/man/man5/ramzswap.conf.5.gz"
	gzip -9n <"$TREE/tools/mm/ramzswapstat.8" >"$root/usr/share/man/man8/ramzswapstat.8.gz"
	install -m 644 "$TREE/Documentation/admin-guide/mm/ramzswap.rst" "$TOP/COPYING" "$root/usr/share/doc/ramzswap-tools/"
	cat >"$root/DEBIAN/control" <<-END
		Package: ramzswap-tools
		Version: $version
		Architecture: amd64
		Maintainer: $(maintainer)
		Depends: libc6 (>= 2.34)
		Section: admin
		Priority: optional
		Description: compressed swap in memory: set up at boot, and statistics
		 Swaps on /dev/ramzswap0 at boot, as /etc/ramzswap.conf asks for, and has
		 ramzswapstat, which shows what it holds. Needs a kernel with ramzswap.
	END
	dpkg-deb --root-owner-group -Zgzip -b "$root" "$deb" >"$WORK/log" || die "dpkg-deb fails" "$(cat "$WORK/log")"
	echo "$deb" >&3
}

for part; do
	case $part in
	configure | kernel | tools) $part ;;
	*) die "$part is not known here" "The first lines of $0 show how to call it." ;;
	esac
done
