#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD - all benchmarks, one after the other, as tables. Nothing fails because it is slow.
set -eu

here=$(dirname "$0")
build=$(cd "$1" && pwd)
export MAILGAUGE="$build/mailgauge"

if [ "$(id -u)" != 0 ]; then
	echo "bench: probes, name spaces and control groups need root" >&2
	exit 1
fi
echo "# $("$MAILGAUGE" --version 2>/dev/null | head -n 1), $(date -u '+%F %R') UTC"
echo "Linux $(uname -r), $(nproc) CPUs ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), load $(cut -d' ' -f1 /proc/loadavg)"
printf '\n## Cost of a hit, against an empty program at the same instruction\n\n'
"$build/bench/bench-hit"
printf '\n## Attaching and detaching\n\n'
"$build/bench/bench-attach" library.so
printf '\n## Scrape\n\n'
python3 "$here/scrape.py" "$build/bench/library.so"
printf '## Real servers\n\n'
python3 "$here/servers.py"
