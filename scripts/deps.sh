#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh [run|check|kernels] - install the Debian packages that are missing: to build, to run the demo, to check, or
# to check on older kernels.
# When nothing is missing it asks nobody: no network, no root. The names are the same on Debian 12 and 13,
# except for those with a compiler's version in them.
set -eu

build="gcc g++ make pkgconf clang llvm bpftool git linux-libc-dev libbpf-dev libelf-dev libzydis-dev \
libcurl4-openssl-dev libmicrohttpd-dev libprotobuf-c-dev protobuf-c-compiler zlib1g-dev libtomlplusplus-dev \
bsdextrautils"
run="debootstrap iproute2 python3"
check="libcmocka-dev lld clang-format shellcheck python3-venv ca-certificates openssl"

kernels="libcmocka-dev qemu-system-x86 busybox-static cpio"

case ${1-} in
'') packages=$build ;;
run) packages="$build $run" ;;
kernels) packages="$build $kernels" ;;
check)
	case $(. /etc/os-release && echo "${VERSION_ID-}") in
	12) check="$check libclang-rt-14-dev" ;; # libFuzzer
	13) check="$check libclang-rt-19-dev" ;;
	esac
	packages="$build $run $check"
	;;
*)
	echo "usage: deps.sh [run|check|kernels]" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "deps: this system has no dpkg. On Debian these packages are needed:" >&2
	echo "$packages" >&2
	exit 1
fi

missing=
for package in $packages; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: packages are missing, and installing them needs root:" >&2
	echo "	apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "deps: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of packages is meant
apt-get install -y -q --no-install-recommends $missing
