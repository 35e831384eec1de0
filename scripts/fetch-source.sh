#!/bin/bash
# Fetch Debian's package with the source of Linux 7.3, and print the path of the .deb.
#
# Usage: fetch-source.sh SUITE [VERSION SHA256]
#	 PACKAGE=linux-config-7.3 fetch-source.sh ...	another package; if it is no source, of this machine's architecture
#
# Without VERSION, or if the suite no longer has it, the newest 7.3 there is taken. The machine's apt
# configuration only says which mirror to use; apt's own lists, caches and sources stay as they are.
# Exit status 2: the suite has no such package.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suite=${1:?usage: $0 SUITE [VERSION SHA256]}
version=${2:-} sha256=${3:-}
package=${PACKAGE:-linux-source-7.3}
arch=all
[[ $package = linux-source-* ]] || arch=$(dpkg --print-architecture)
debs=$CACHE/debs
otherwise="Or use a kernel clone of your own: LINUX=/path/to/linux.git make tree"

exec 3>&1 >&2 # messages go to stderr, only the path to stdout

# A package is in the cache together with its sha256, the pinned one or what apt verified.
cached() {
	local deb=$debs/${package}_$1_$arch.deb sum=$2

	[ -f "$deb" ] || return
	[ -n "$sum" ] || sum=$(cat "$deb.sha256" 2>/dev/null || echo unknown)
	if ! sha256sum --status -c <<<"$sum  $deb"; then
		say "$deb is damaged (its sha256 differs); fetching it again"
		rm -f "$deb"
		return 1
	fi
	say "using $deb"
	echo "$deb" >&3
}

lock "$CACHE" fetch
[ -z "$version" ] || ! cached "$version" "$sha256" || exit 0

command -v apt-get >/dev/null || die "this is no Debian: $package cannot be fetched" "$otherwise"
[ -f "$APT_KEYRING" ] || die "there is no $APT_KEYRING" "Install the package debian-archive-keyring. $otherwise"
need_space "$CACHE" 600
workdir "$CACHE/tmp-fetch"
mkdir -p "$WORK/out" "$debs"

uri=$(apt_mirror)
[ -n "$uri" ] || die "apt has no Debian mirror configured to fetch $package from" \
	"Add one for your release's 'main' to apt's sources. $otherwise"
own_apt_init "deb [signed-by=$APT_KEYRING] $uri $suite main"
say "asking the mirror for $package in $suite"
own_apt apt-get update >"$WORK/log" 2>&1 || {
	grep -E '^[EW]:' "$WORK/log" | sort -u
	die "$suite cannot be read from the machine's Debian mirror" \
		"Is there a network? Does 'apt-get update' work? $otherwise"
}

mapfile -t versions < <(own_apt apt-cache show "$package" 2>/dev/null | sed -n 's/^Version: //p')
has() { printf '%s\n' "${versions[@]}" | grep -qxF "$1"; }
none() { say "$suite has no $package"; exit 2; }
[ ${#versions[@]} -gt 0 ] || none
if [ -z "$version" ] || ! has "$version"; then
	newest=''
	for v in "${versions[@]}"; do
		# In place of a release, only another release will do.
		[[ -z $version || $v = 7.3.* ]] || continue
		dpkg --compare-versions "$newest" ge "$v" || newest=$v
	done
	[ -n "$newest" ] || none
	[ -z "$version" ] || say "warning: $suite no longer has $package $version; taking $newest instead"
	version=$newest sha256=''
	! cached "$version" '' || exit 0
fi

say "fetching $package $version"
(cd "$WORK/out" && own_apt apt-get download "$package=$version") >"$WORK/log" 2>&1 || {
	grep -E '^[EW]:' "$WORK/log" | sort -u
	die "$package $version could not be fetched" "Run the same again, it starts from scratch. $otherwise"
}
deb=("$WORK"/out/*.deb)
[ -z "$sha256" ] || sha256sum --status -c <<<"$sha256  ${deb[0]}" ||
	die "the mirror's $package $version is not the one that is pinned here (sha256)" \
		"Fetch it again later, and see who else uses that mirror. $otherwise"
sum=$(sha256sum <"${deb[0]}")
echo "${sum%% *}" >"$debs/${package}_${version}_$arch.deb.sha256"
mv "${deb[0]}" "$debs/${package}_${version}_$arch.deb"
echo "$debs/${package}_${version}_$arch.deb" >&3
