#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# new-server.sh BINARY [ROOT] - print what can be probed in the program of a mail server that the catalog does not
# have, as a catalog file to start from: see docs/NEW-SERVER.md. BINARY is a path below ROOT, which is / if not given.
set -eu

usage="usage: new-server.sh BINARY [ROOT]"
binary=${1:?$usage}
root=${2:-}
here=$(cd "$(dirname "$0")/.." && pwd)
file=$root/${binary#/}
[ -n "$root" ] || file=$binary

# A link within the root leads to somewhere within the root.
links=0
while [ -L "$file" ] && [ "$links" -lt 40 ]; do
	to=$(readlink "$file")
	case $to in
	/*) file=$root$to ;;
	*) file=$(dirname "$file")/$to ;;
	esac
	links=$((links + 1))
done

if [ -z "${MAILGAUGE-}" ]; then
	make -s -C "$here" >&2
	MAILGAUGE=$here/build/mailgauge
fi
exec "$MAILGAUGE" survey "$file"
