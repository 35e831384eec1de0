#!/bin/bash
# Build what the series touches in many configurations and for many architectures: it compiles with W=1,
# without a warning that the base does not have. patches-build.sh does that for each patch, but in one.
#
# Usage: configs-build.sh		a few configurations, the touched files
#	 configs-build.sh --all		all configurations, whole directories; a whole kernel where something is left out
#	 configs-build.sh NAME...	these configurations, whole directories
#	 configs-build.sh --touched NAME...
#	 configs-build.sh --image NAME	a kernel that boots (arch-test.sh); prints its path
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

quick=(tinyconfig no-swap i386-highmem arm64-64k rust)
more=(allnoconfig vm no-memcg no-zswap no-migration no-thp numa no-ramzswap no-debugfs rt i386-pae arm-lpae arm64-4k arm64-16k
	s390x ppc64le-64k clang sparse coccinelle)

# What a configuration has otherwise than vm.config and $always, in words: ARCH=, and symbols without
# CONFIG_. All of it has to be so in the end, and so has what nothing is said about.
always=(SWAP=y ZSWAP=y ZBUD=y RAMZSWAP=y ZRAM=y SHMEM=y MEMCG=y MIGRATION=y COMPACTION=y TRANSPARENT_HUGEPAGE=y
	DEBUG_FS=y HIBERNATION=y PROC_PAGE_MONITOR=y MEMORY_FAILURE=y KUNIT=y ZBUD_KUNIT_TEST=y ZBUD_BENCHMARK=y)
settings() {
	case $1 in
	tinyconfig | allnoconfig | vm | clang | sparse) ;;
	no-swap) echo SWAP=n ZSWAP=n RAMZSWAP=n HIBERNATION=n ;;
	no-memcg) echo MEMCG=n ;;
	no-zswap) echo ZSWAP=n RAMZSWAP=n ;;
	no-ramzswap) echo RAMZSWAP=n ;;
	no-migration) echo MIGRATION=n COMPACTION=n TRANSPARENT_HUGEPAGE=n MEMORY_HOTREMOVE=n MEMORY_FAILURE=n HWPOISON_INJECT=n ;;
	no-thp) echo TRANSPARENT_HUGEPAGE=n ;;
	no-debugfs) echo DEBUG_FS=n ZBUD_BENCHMARK=n HWPOISON_INJECT=n ;;
	numa) echo NUMA=y ;;
	rt) echo PREEMPT_RT=y TRANSPARENT_HUGEPAGE=n ;;
	i386-highmem) echo ARCH=i386 HIGHMEM4G=y HIGHMEM=y X86_PAE=n MEMORY_FAILURE=n ;;
	i386-pae) echo ARCH=i386 HIGHMEM4G=y HIGHMEM=y X86_PAE=y MEMORY_FAILURE=n ;;
	arm-lpae) echo ARCH=arm MMU=y ARCH_MULTIPLATFORM=y ARCH_MULTI_V7=y ARCH_MULTI_V6=n ARCH_VIRT=y ARM_LPAE=y \
		HIGHMEM=y MEMORY_FAILURE=n ;;
	arm64-4k) echo ARCH=arm64 ARM64_4K_PAGES=y ACPI=n HIBERNATION=n ;;
	arm64-16k) echo ARCH=arm64 ARM64_16K_PAGES=y ACPI=n HIBERNATION=n ;;
	arm64-64k) echo ARCH=arm64 ARM64_64K_PAGES=y ACPI=n HIBERNATION=n ;;
	s390x) echo ARCH=s390 MEMORY_FAILURE=n HIBERNATION=n ;;
	ppc64le-64k) echo ARCH=powerpc PPC64=y PPC_BOOK3S_64=y CPU_LITTLE_ENDIAN=y PPC_64K_PAGES=y \
		MEMORY_FAILURE=n ;;
	*) die "no configuration is named '$1'" "There are: ${quick[*]} ${more[*]}." ;;
	esac
}

# What else a virtual machine needs to boot it and to run the tests, and what takes long and they can do without
boot_settings() {
	echo KUNIT_DEFAULT_ENABLED=y KUNIT_AUTORUN_ENABLED=y DEBUG_VM=y DEBUG_LIST=y
	echo XFS_FS=n NET=n UNIX=n HIBERNATION=n ZBUD_BENCHMARK=n
	case $1 in
	arm64*) echo PCI_HOST_GENERIC=y SERIAL_AMBA_PL011=y SERIAL_AMBA_PL011_CONSOLE=y ;;
	s390x) echo S390_GUEST=y SCLP_VT220_TTY=y SCLP_VT220_CONSOLE=y ;; # console=ttysclp0 of vm.sh
	esac
}

part=directories
case ${1:-} in
--all) names=("${quick[@]}" "${more[@]}") ;;
'') part=touched names=("${quick[@]}") ;;
--touched) part=touched names=("${@:2}") ;;
--image) part=image names=("$2") ;;
*) names=("$@") ;;
esac
need_pkgs build
need_tree
lock "$BUILD" configs-build
need_space "$BUILD" 4000
logs=$BUILD/logs/configs
mkdir -p "$logs"
mapfile -t touched < <(git -C "$TREE" diff --no-renames --diff-filter=d --name-only "$(base_rev)" "$(series_rev)" |
	grep -E '^(arch|block|drivers|fs|include|mm)/.*[.][chS]$')

# Sets $arch, $objtree and $flags, which say how a configuration is built, and brings the compiler.
# toolchain NAME [OBJECTS]
toolchain() {
	local word cross=

	arch=x86_64 objtree=${2:-$BUILD/obj/config-$1}
	for word in $(settings "$1"); do
		[[ $word != ARCH=* ]] || arch=${word#*=}
	done
	case $arch in
	arm) need_pkgs cross-arm && cross=arm-linux-gnueabihf- ;;
	arm64) need_pkgs cross-arm64 && cross=aarch64-linux-gnu- ;;
	s390) need_pkgs cross-s390x && cross=s390x-linux-gnu- ;;
	powerpc) need_pkgs cross-ppc64le && cross=powerpc64le-linux-gnu- ;;
	esac
	# kernel-doc is what patches-build.sh runs, and it takes longer than the compiler.
	flags=(O="$objtree" ARCH="$arch" LOCALVERSION= KERNELDOC='-c pass' -j"$(nproc)")
	case $1 in
	clang) need_pkgs clang && flags+=(LLVM=-19 CC='ccache clang-19') ;;
	*) flags+=(CROSS_COMPILE="$cross" CC="ccache ${cross}gcc") ;;
	esac
}

# kmake SOURCE [ARGUMENT]...
kmake() { make -C "$1" "${flags[@]}" "${@:2}" </dev/null; }

# The last word on each symbol counts.
wishes() {
	local word

	for word in "${always[@]}" $(settings "$1") $([ $part != image ] || boot_settings "$1"); do
		[[ $word = ARCH=* ]] || echo "$word"
	done | awk -F= '{ value[$1] = $2 } END { for (s in value) print s "=" value[s] }' | sort
}

# Makes the configuration of SOURCE, and prints what it has otherwise than it should. configure SOURCE NAME
configure() {
	local source=$1 name=$2 wish symbol

	case $name in
	tinyconfig | allnoconfig)
		kmake "$source" -s "$name" >&2
		return
		;;
	esac
	wishes "$name" | sed -E 's/^(.*)=n$/# CONFIG_\1 is not set/; t; s/^/CONFIG_/' >"$objtree/wishes"
	{
		sed -E 's/[[:space:]]*# series only$//' "$TOP/scripts/configs/vm.config" |
			grep -vE "^CONFIG_($(sed -E 's/^(# )?CONFIG_//; s/[= ].*//' "$objtree/wishes" | paste -sd'|'))="
		cat "$objtree/wishes"
	} >"$objtree/all.config"
	kmake "$source" -s KCONFIG_ALLCONFIG="$objtree/all.config" allnoconfig >&2 || return
	while IFS= read -r wish; do
		case $wish in
		CONFIG_*) grep -qxF "$wish" "$objtree/.config" || echo "$wish is not to be had" ;;
		*) symbol=${wish#\# } && ! grep "^${symbol%% *}=" "$objtree/.config" ;;
		esac || :
	done <"$objtree/wishes"
}

# What the configuration compiles of the touched files, as make's targets.
touched_objects() {
	local dir file

	for file in "${touched[@]}"; do
		case $file in *.c) dirname "$file" ;; esac
	done | sort -u | while IFS= read -r dir; do
		[ -f "$TREE/$dir/Makefile" ] || continue
		make -s -f - obj="$dir" src="$TREE/$dir" srctree="$TREE" objtree="$objtree" <<-'END' | tr ' ' '\n' |
			include $(objtree)/include/config/auto.conf
			include $(src)/Makefile
			list: ; @echo $(foreach o,$(obj-y) $(obj-m),$(o) $($(o:.o=-y)) $($(o:.o=-objs)))
			.PHONY: list
			.DEFAULT_GOAL := list
		END
			sed -n "s|^\(.*\)\.o$|$dir/\1.c|p"
	done | sort | comm -12 - <(printf '%s\n' "${touched[@]}" | sort) | sed 's/c$/o/'
}

# Compiles TARGETs, of which only what is compiled now can warn; ccache makes it cheap.
# build SOURCE [ARGUMENT|TARGET]...
build() {
	local file

	for file in "${touched[@]}"; do
		case $file in *.c) rm -f "$objtree/${file%.c}.o" ;; esac
	done
	kmake "$@"
}

# What a log says about touched files, without line numbers.
warnings() {
	sed -nE '/(warning|error): /I { s/:[0-9]+(:[0-9]+)?: /: /; s|^.*[/ ]((include/linux\|mm\|fs\|block\|drivers)/[^ ]*: )|\1|; p }' "$1" |
		sort -u | grep -F -f <(printf '%s:\n' "${touched[@]}") || :
}

# The same of the base, for the objects that the warnings in $1 are about. base_warnings NAME TARGET...
base_warnings() {
	local objtree=$BUILD/obj/config-base name=$1
	shift

	base_worktree >&2
	rm -rf "$objtree" && mkdir -p "$objtree"
	toolchain "$name" "$objtree"
	configure "$BASE_TREE" "$name" >/dev/null 2>&1
	# Not all of these files are there.
	kmake "$BASE_TREE" -k "${checks[@]}" "$@" >"$logs/base.log" 2>&1 || :
	warnings "$logs/base.log"
}

# compiles NAME: whether it does, with a result.
compiles() {
	local log=$logs/$1.log what targets checks=(W=1) new sparse

	what="configuration $1 builds with W=1"
	toolchain "$1"
	mkdir -p "$objtree"
	configure "$TREE" "$1" >"$logs/$1.unmet" 2>"$log" || { not_ok "$what # no configuration; see $log" && return; }
	if [ -s "$logs/$1.unmet" ]; then
		not_ok "$what # it is not the one that is meant"
		sed 's/^/    /' "$logs/$1.unmet"
		return
	fi
	kmake "$TREE" prepare >"$log" 2>&1 || { not_ok "$what # no 'make prepare'; see $log" && return; }
	case $1-$part in
	sparse-*)
		what="sparse has nothing to say that it does not say of the base"
		# With one that is too old, make would only warn, and check nothing.
		sparse=$("$TOP/scripts/sparse.sh") ||
			{ skip "$what" "no sparse is new enough for the kernel; see scripts/checker-valid.sh" && return; }
		checks=(C=2 CHECK="$sparse")
		mapfile -t targets < <(touched_objects)
		;;
	*-touched) mapfile -t targets < <(touched_objects) ;;
	# What calls a function that is not there compiles, and does not link.
	tinyconfig-* | allnoconfig-* | no-* | numa-*) targets=(vmlinux) ;;
	*) targets=(mm/ block/ drivers/block/ fs/proc/) ;;
	esac
	[ ${#targets[@]} -gt 0 ] || { not_ok "$what # nothing to build" && return; }
	if ! build "$TREE" "${checks[@]}" "${targets[@]}" >>"$log" 2>&1; then
		not_ok "$what # it does not; see $log"
		grep -E 'error|Error' "$log" | head -n 20 | sed 's/^/    /' || :
		return
	fi
	warnings "$log" >"$logs/$1.warnings"
	if [ -s "$logs/$1.warnings" ]; then
		mapfile -t targets < <(touched_objects)
		base_warnings "$1" "${targets[@]}" >"$logs/base.warnings"
		new=$(comm -23 "$logs/$1.warnings" "$logs/base.warnings")
		if [ -n "$new" ]; then
			not_ok "$what # it warns; see $log"
			printf '    %s\n' "${new//$'\n'/$'\n    '}"
			return
		fi
	fi
	ok "$what"
}

# rustc wants every field of a structure named. The kernel's Rust needs a newer bindgen than Debian's, so
# that is compared by hand where "make rustavailable" says no.
rust() {
	local what="Rust names all fields of struct block_device_operations" in_c in_rust

	in_c=$(awk '/^struct block_device_operations \{/ { on = 1; next } on && /^}/ { exit } on' \
		"$TREE/include/linux/blkdev.h" | sed 's|/\*.*\*/||; /^[[:space:]]*\/\?\*/d' | tr -d '\n' | tr ';' '\n' |
		sed -nE 's/^[^(]*\(\*([a-z_]+)\).*$/\1/p; t; s/^.*[ *]([a-z_]+)$/\1/p' | sort)
	in_rust=$(sed -n '/= bindings::block_device_operations {/,/};/p' "$TREE/rust/kernel/block/mq/gen_disk.rs" |
		sed -nE 's/^ *([a-z_]+): .*/\1/p' | sort)
	if [ -n "$in_c" ] && [ "$in_c" = "$in_rust" ]; then
		ok "$what"
	else
		not_ok "$what"
		diff <(echo "$in_c") <(echo "$in_rust") | sed 's/^/    /' || :
	fi
}

# Coccinelle's rules for the kernel, on the .c files of mm/ and fs/ that the series adds or changes.
coccinelle() {
	local what="coccinelle has nothing to say that it does not say of the base" file rule new

	need_pkgs coccinelle
	base_worktree >&2
	local said=()
	for tree in "$BASE_TREE" "$TREE"; do
		said+=("$logs/coccinelle-$(basename "$tree").said")
		(
			cd "$tree"
			mapfile -t files < <(for file in "${touched[@]}"; do
				case $file in *.c) [ ! -f "$file" ] || echo "$file" ;; esac
			done)
			find scripts/coccinelle -name '*.cocci' | sort | while IFS= read -r rule; do
				grep -q 'virtual report' "$rule" || continue
				spatch -D report --very-quiet --no-show-diff --cocci-file "$rule" --no-includes \
					--include-headers --jobs "$(nproc)" "${files[@]}" 2>/dev/null || :
			done
		) | sed -E 's/:[0-9]+(:|-)[0-9-]+:?/:/g; s/line [0-9]+/line/g' | sort -u >"${said[-1]}"
	done
	new=$(comm -13 "${said[@]}")
	if [ -z "$new" ]; then
		ok "$what"
	else
		not_ok "$what"
		printf '    %s\n' "${new//$'\n'/$'\n    '}"
	fi
}

if [ $part = image ]; then
	log=$logs/${names[0]}-image.log
	toolchain "${names[0]}" "$BUILD/obj/boot-${names[0]}"
	mkdir -p "$objtree"
	unmet=$(configure "$TREE" "${names[0]}" 2>"$log") || die "no configuration; see $log"
	[ -z "$unmet" ] || die "the configuration is not the one that is meant:" "$unmet"
	case $arch in
	arm64) image=Image ;;
	*) image=bzImage ;;
	esac
	kmake "$TREE" "$image" >"$log" 2>&1 || die "the kernel does not build; see $log"
	realpath "$objtree/arch/$arch/boot/$image"
	exit
fi

for name in "${names[@]}"; do
	start=$SECONDS
	say "$name"
	case $name in
	rust | coccinelle) "$name" ;;
	*) compiles "$name" ;;
	esac
	say "$name took $((SECONDS - start)) s"
done | tee "$logs/results"
! grep -q '^not ok' "$logs/results"
