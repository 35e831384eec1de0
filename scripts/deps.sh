#!/bin/bash
# Make sure that Debian packages are installed: install what is missing when root, name it otherwise.
#
# Usage: deps.sh GROUP|PACKAGE...
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "usage: $0 tree|build|deb|vm|check|density|report|docs|clang|cross-ARCH|PACKAGE..."
packages=()
for name in "$@"; do
	case $name in
	tree) packages+=(git xz-utils) ;;
	build) packages+=(build-essential flex bison bc libelf-dev libssl-dev ccache xz-utils perl python3 rsync
		kmod cpio) ;;
	deb) packages+=(debhelper dpkg-dev libdw-dev) ;;
	vm) packages+=(qemu-system-x86 busybox-static cpio e2fsprogs libcap-dev) ;;
	cross-arm) packages+=(gcc-arm-linux-gnueabihf) ;;
	cross-arm64) packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross) ;;
	cross-i386) packages+=(gcc-i686-linux-gnu libc6-dev-i386-cross) ;;
	cross-s390x) packages+=(gcc-s390x-linux-gnu libc6-dev-s390x-cross) ;;
	cross-ppc64le) packages+=(gcc-powerpc64le-linux-gnu) ;;
	density) packages+=(gcc libzstd-dev liblz4-dev) ;;
	report) packages+=(gnuplot-nox python3) ;;
	docs) packages+=(mandoc perl python3 python3-sphinx) ;;
	clang) packages+=(clang-19 lld-19 llvm-19) ;;
	check) packages+=(gcc git libc6-dev mandoc perl python3 python3-git python3-ply shellcheck) ;;
	*) packages+=("$name") ;;
	esac
done

command -v dpkg-query >/dev/null || {
	say "this is no Debian; what these packages have is needed: ${packages[*]}"
	exit 0
}
missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
[ "$(id -u)" = 0 ] || die "packages are missing: apt-get install ${missing[*]}"

export DEBIAN_FRONTEND=noninteractive
install() {
	apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "${missing[@]}" </dev/null
}

say "installing ${missing[*]}"
lock "$BUILD" deps
log=$BUILD/deps.log
# The lists of packages may be missing or old; then, and only then, they are fetched anew.
install >"$log" 2>&1 || { apt-get -q -o DPkg::Lock::Timeout=300 update && install; } >>"$log" 2>&1 || {
	grep '^E:' "$log" >&2 || :
	die "these packages cannot be installed: ${missing[*]}" \
		"Is there a network? The log is $log. Once they are there, run the same again."
}
