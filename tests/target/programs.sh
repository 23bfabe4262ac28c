#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# programs.sh SUITE - make sure that some of Debian's programs exist with their symbols, and print their directory.
#
# They are source packages of Debian 12, compiled by the suite's compiler with Debian's patches and options, and
# not stripped: small ones of different authors, which need nothing but a compiler. Made once per root and recipe
# under $MAILGAUGE_CACHE (default /var/cache/mailgauge), in an overlay in memory on top of the root that
# scripts/mail-root.sh makes.
set -eu

suite=${1:?usage: programs.sh bookworm|trixie}
cache=${MAILGAUGE_CACHE:-/var/cache/mailgauge}
root=$("$(dirname "$0")/../../scripts/mail-root.sh" "$suite" exim-light)

# Runs within the root; what is made goes to /made.
recipe='
set -eu
export DEBIAN_FRONTEND=noninteractive FORCE_UNSAFE_CONFIGURE=1
sed "s/^deb /deb-src /; s/ trixie / bookworm /" /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
apt-get update -q
apt-get install -y -q --no-install-recommends build-essential
mkdir /build
cd /build
eval "$(DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --export=sh)"
# five of these: not every package of an older point release is still in the archive
for program in patch/src/patch gzip/gzip sed/sed/sed grep/src/grep mawk/mawk diffutils/src/diff hello/hello; do
	[ "$(ls /made | wc -l)" -lt 5 ] || break
	package=${program%%/*}
	apt-get source -q "$package" || continue
	(
		cd "$package"-*/
		find . -exec touch -r configure {} + # nothing is to be made anew by tools that are not here
		./configure -q
		make -s -j"$(nproc)" || make -s
		strip --strip-debug -o "/made/$package" "${program#*/}"
	)
done
'

stamp=$(printf '%s %s' "$root" "$recipe" | cksum | cut -d' ' -f1)
made=$cache/$suite-programs-$stamp
log=$cache/$suite-programs.log
exec 8>"$cache/$suite-programs.lock"
flock 8

if [ ! -d "$made" ]; then
	work=$made.part
	rm -rf "$work"
	mkdir "$work"
	echo "programs: making $made (some minutes, once)" >&2
	unshare --mount --propagation unchanged sh -c '
		set -e
		root=$1 work=$2
		shift 2
		mount --make-rprivate / 2>/dev/null || true # fails in a chroot, whose root is no mount point
		mount -t tmpfs scratch /mnt
		mkdir /mnt/upper /mnt/work /mnt/root
		mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
		mount -t proc proc /mnt/root/proc
		mkdir /mnt/root/made
		mount --bind "$work" /mnt/root/made
		exec chroot /mnt/root "$@"' enter "$root" "$work" sh -c "$recipe" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		echo "programs: failed, see $log" >&2
		exit 1
	}
	mv "$work" "$made"
fi
echo "$made"
