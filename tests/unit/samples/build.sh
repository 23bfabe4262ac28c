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
