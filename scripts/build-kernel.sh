#!/bin/bash
# Build a kernel: build-kernel.sh SRC NAME FRAGMENT...
#		   ARCH=um build-kernel.sh SRC NAME FRAGMENT...	one that is a program of this machine
#
# SRC is a kernel tree. The objects go to build/obj/NAME, what the compiler said to build.log there. The
# configuration is allnoconfig plus the fragments of scripts/configs, made anew only when these or the
# tree's Kconfig files changed, so that a second build is incremental. Prints the path of what is to be booted.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 3 ] || die "usage: $0 SRC NAME FRAGMENT..."
src=$1 name=$2 obj=$BUILD/obj/$2
arch=${ARCH:-x86_64}
case $arch in
x86_64) target=bzImage image=arch/x86/boot/bzImage ;;
um) target=linux image=linux ;;
*) die "ARCH=$arch is not known here" "There are: x86_64 um." ;;
esac
fragments=("${@:3}")
[ -f "$src/Kconfig" ] || die "$src is no kernel tree" "Run 'make tree' first."
src=$(cd "$src" && pwd)
fragments=("${fragments[@]/#/$TOP/scripts/configs/}")
need_pkgs build
lock "$BUILD/obj" "$name"
mkdir -p "$obj"

# The same source gives the same bytes anywhere and at any time.
export KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_USER=ramzswap KBUILD_BUILD_HOST=ramzswap

kmake() { make -C "$src" O="$obj" ARCH="$arch" LOCALVERSION='' CC='ccache gcc' "$@"; }

# A line of a fragment: the wish alone, without the mark
wish() { sed -E 's/[[:space:]]*(# series only)?$//'; }

has_symbol() {
	grep -rqE --include='Kconfig*' "^(menu)?config[[:space:]]+${1#CONFIG_}\$" "$src/mm" "$src/drivers/block"
}

# Prints what the fragments ask for and did not get. A line marked "# series only" may be ignored by a
# tree that does not know the symbol.
unmet() {
	local line want sym

	cat "${fragments[@]}" | while IFS= read -r line; do
		want=$(wish <<<"$line")
		case $want in
		CONFIG_*) sym=${want%%=*} ;;
		'# CONFIG_'*' is not set') sym=${want#\# } && sym=${sym%% *} ;;
		*) continue ;;
		esac
		case $want in
		CONFIG_*) ! grep -qxF "$want" "$obj/.config" ;;
		*) grep -q "^$sym=" "$obj/.config" ;;
		esac || continue
		[[ $line == *'# series only' ]] && ! has_symbol "$sym" || echo "$want"
	done
}

# What the configuration is made from. If that is as last time, so is the configuration.
stamp=$({
	cat "${fragments[@]}" "$0"
	gcc --version
	git -C "$src" ls-files -z -- '*Kconfig*' | (cd "$src" && xargs -0 sha256sum)
} | sha256sum)
if [ ! -f "$obj/.config" ] || [ "$stamp" != "$(cat "$obj/.stamp" 2>/dev/null)" ]; then
	say "configuring $name: allnoconfig + ${*:3}"
	rm -f "$obj/.stamp"
	cat "${fragments[@]}" | wish >"$obj/allno.config"
	kmake -s KCONFIG_ALLCONFIG="$obj/allno.config" allnoconfig >"$obj/config.log" 2>&1 || {
		tail -n 20 "$obj/config.log" >&2
		die "no configuration could be made of $src" "The whole log is $obj/config.log."
	}
	missing=$(unmet)
	[ -z "$missing" ] || die "the fragments ask for these, and the configuration has them otherwise:" \
		"$missing" "Look up what they depend on: make -C $src O=$obj menuconfig, then '/'." \
		"Add that to the fragment, or remove the line."
	echo "$stamp" >"$obj/.stamp"
fi

say "building $name from $src; the log is $obj/build.log"
kmake -j"$(nproc)" "$target" >"$obj/build.log" 2>&1 || {
	grep -nE 'error:|Error|undefined reference|No space' "$obj/build.log" | head -n 20 >&2 || :
	die "$name does not build" "All that the compiler said is in $obj/build.log."
}
say "built in $SECONDS s; warnings: $(grep -c 'warning:' "$obj/build.log" || :)"
echo "$obj/$image"
