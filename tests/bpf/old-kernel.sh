#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs tests of values, counts and metrics under older kernels: 6.1 of Debian 12, which has no uprobe_multi links and
# whose verifier allows our programs least, and 6.12 of Debian 13. In a machine emulated without KVM, a minute each.
# Prints SKIP and why when something for that is not there.
# usage: old-kernel.sh get DIR           fetch the kernels' packages by apt and unpack them in DIR
#        old-kernel.sh run DIR TESTS     boot each kernel in DIR with the test programs of directory TESTS
set -eu

skip()
{
	echo "SKIP old-kernel: $*"
	exit 0
}

get()
{
	mkdir -p "$1"
	cd "$1"
	for version in 6.1 6.12; do
		name=$(apt-cache search --names-only "^linux-image-$version\..*cloud-amd64(-unsigned)?\$" | cut -d ' ' -f 1 |
			sort -V | tail -n 1)
		if [ -z "$name" ]; then
			echo "apt knows no kernel $version"
			continue
		fi
		apt-get download "$name"
		dpkg-deb --fsys-tarfile "$name"_*.deb | tar -x --strip-components=2 --wildcards './boot/vmlinuz-*'
		rm "$name"_*.deb
	done
}

# copy ROOT FILE... - with all libraries that they need, to the same paths below ROOT
copy()
{
	root=$1
	shift
	for file in "$@"; do
		echo "$file"
		ldd "$file" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p'
	done | sort -u | while read -r file; do
		mkdir -p "$root$(dirname "$file")"
		cp -L "$file" "$root$file"
	done
}

# make_root ROOT TESTS BUSYBOX - what the guest runs
make_root()
{
	mkdir -p "$1/proc" "$1/sys" "$1/tmp" "$1/bin"
	copy "$1" "$3" "$2/test-values" "$2/test-counting" "$2/test-metrics" "$2/library.so" "$2/library-cet.so" \
		"$2/tree" "$2/static"
	ln -s "$3" "$1/bin/sh"
	cat >"$1/init" <<-EOF
		#!/bin/sh
		$3 mount -t proc proc /proc
		$3 mount -t sysfs sys /sys
		echo
		$3 uname -sr
		/bin/sh /tests
		$3 poweroff -f
	EOF
	cat >"$1/tests" <<-EOF
		export TOY_DIVISOR=500
		$2/test-counting auto || exit 1
		TOY_SETS_CLOCK=1 $2/test-metrics auto || exit 1
		for TOY_CASES in '*text*' '*list*' '*values' '*stack' 'a switch' '*label*' '*choice' 'histogram*' \
			clocks 'sums*' 'argument*process' 'several*'; do
			export TOY_CASES
			$2/test-values library-cet.so auto || exit 1
		done
		echo "all tests: passed"
	EOF
	chmod +x "$1/init"
}

run()
{
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64 (package qemu-system-x86)"
	command -v cpio >/dev/null || skip "no cpio"
	busybox=$(command -v busybox) || skip "no busybox (package busybox-static)"
	ls "$1"/vmlinuz-* >/dev/null 2>&1 || skip "no kernel in $1 ($0 get $1)"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	make_root "$work/root" "$(cd "$2" && pwd)" "$busybox"
	(cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/init.gz"
	for kernel in "$1"/vmlinuz-*; do
		timeout 300 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 512 -smp 2 -nographic -no-reboot \
			-nodefaults -serial stdio -kernel "$kernel" -initrd "$work/init.gz" \
			-append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null |
			tr -d '\r' | sed '1,/^Linux /{/^Linux /!d}' | tee "$work/log"
		grep -q '^all tests: passed$' "$work/log"
	done
}

case ${1-}/$# in
get/2) get "$2" ;;
run/3) run "$2" "$3" ;;
*)
	sed -n 's/^# usage: //p; s/^#  *old/old/p' "$0" >&2
	exit 2
	;;
esac
