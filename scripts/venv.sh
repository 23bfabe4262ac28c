#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# venv.sh - make sure that the Python environment of the tests exists, and print its path.
# It is made once per list of requirements and Python, under $MAILGAUGE_CACHE (default /var/cache/mailgauge).
set -eu

here=$(dirname "$0")
requirements=$here/../tests/requirements.txt
cache=${MAILGAUGE_CACHE:-/var/cache/mailgauge}
stamp=$( (cat "$requirements"; /usr/bin/python3 --version) | cksum | cut -d' ' -f1)
venv=$cache/venv-$stamp
mkdir -p "$cache"
exec 9>"$cache/venv.lock"
flock 9
if [ ! -d "$venv" ]; then
	echo "venv: making $venv (once)" >&2
	rm -rf "$venv.part"
	/usr/bin/python3 -m venv "$venv.part" >&2
	"$venv.part/bin/pip" install -q -r "$requirements" >&2
	mv "$venv.part" "$venv"
fi
echo "$venv"
