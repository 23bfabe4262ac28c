#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIR - make the samples that the tests of src/target read, in DIR.
set -eu

out=$1
src=$(dirname "$0")
mkdir -p "$out"

library="gcc -shared -nostdlib -Wl,-Bsymbolic -Wl,--build-id=0x0123456789abcdef"
$library -o "$out/probes.so" "$src/probes.S"
$library -o "$out/calls.so" "$src/calls.S"
strip -s -o "$out/calls-stripped.so" "$out/calls.so"
$library -o "$out/numbers.so" "$src/numbers.S"
$library -o "$out/parts.so" "$src/parts.S"
gcc -static -no-pie -nostdlib -o "$out/fixed" "$src/fixed.S"

# The same server as different distributions would build it; all stripped.
daemon() {
	name=daemon-$1
	shift
	gcc -O2 "$@" -o "$out/$name" "$src/daemon.c"
	strip -s "$out/$name"
}
daemon plain -fcf-protection=none
daemon cet -fcf-protection -Wl,-z,ibtplt
daemon noplt -fno-plt
daemon relr -Wl,-z,pack-relative-relocs
daemon fixed -fno-pie -no-pie
daemon static -static-pie
daemon frame -fno-omit-frame-pointer
daemon small -Os
# no unwind information but that of the start files
daemon bare -fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none

# Functions that recipes find: with symbols, and stripped.
recipes() {
	name=recipes-$1
	shift
	gcc -O2 -rdynamic -Wl,--build-id "$@" -o "$out/$name" "$src/recipes.c"
	strip -s -o "$out/$name-stripped" "$out/$name"
}
recipes plain -fcf-protection=none
recipes cet -fcf-protection=full -Wl,-z,ibtplt
recipes relr -Wl,-z,pack-relative-relocs
recipes fixed -fno-pie -no-pie
recipes bare -fno-asynchronous-unwind-tables -fno-unwind-tables

# Hubs that a survey finds, and one with the same code whose local functions have names.
for form in plain noplt fixed; do
	case $form in
	plain) flags="-fcf-protection=full" ;;
	noplt) flags="-fno-plt" ;;
	fixed) flags="-fno-pie -no-pie" ;;
	esac
	# shellcheck disable=SC2086 # words are meant
	gcc -O2 -rdynamic -U_FORTIFY_SOURCE $flags -o "$out/survey-$form" "$src/survey.c"
	strip -s -o "$out/survey-$form-stripped" "$out/survey-$form"
done

# A program whose symbols are elsewhere: found by the build id, or, with a checksum, by a name.
objcopy --only-keep-debug "$out/recipes-plain" "$out/recipes.debug"
(cd "$out" && objcopy --add-gnu-debuglink=recipes.debug recipes-plain-stripped recipes-linked)

# Another machine: clang and lld need no library of it.
for form in pie relr fixed; do
	case $form in
	pie) flags="-fPIE -pie -Wl,--no-dynamic-linker" ;;
	relr) flags="-fPIE -pie -Wl,--no-dynamic-linker,--pack-dyn-relocs=relr" ;;
	fixed) flags="-fno-pie -static" ;;
	esac
	# shellcheck disable=SC2086 # words are meant
	clang --target=aarch64-linux-gnu -O2 -nostdlib -fuse-ld=lld $flags -funwind-tables -Wl,--eh-frame-hdr \
		-o "$out/arm64-$form" "$src/arm64.c"
	llvm-strip -s -o "$out/arm64-$form-stripped" "$out/arm64-$form"
done
