#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh MAILGAUGE - run the collector on this host's mail servers. Where none runs, start a throw-away Postfix and
# Dovecot with a little traffic first, and remove them at the end.
set -eu

mailgauge=${1:?usage: run.sh MAILGAUGE}
here=$(dirname "$0")

if [ "$(id -u)" != 0 ]; then
	echo "run: uprobes need root: sudo make run" >&2
	exit 1
fi

# A plan without any point means that no server was found.
if "$mailgauge" plan --format json 2>/dev/null | grep -q '"points":\[{'; then
	exec "$mailgauge" run
fi

echo "No mail server runs on this host: starting a throw-away Postfix and Dovecot (the first time this takes minutes)."
demo=
tmp=$(mktemp -d)
stop() {
	trap - EXIT INT TERM
	[ -z "$demo" ] || kill "$demo" 2>/dev/null || true
	[ -z "$demo" ] || wait "$demo" 2>/dev/null || true
	rm -rf "$tmp"
}
trap stop EXIT
trap 'exit 130' INT TERM

mkfifo "$tmp/said"
python3 "$here/demo.py" >"$tmp/said" &
demo=$!
read -r line <"$tmp/said" || {
	echo "run: the throw-away servers did not start" >&2
	exit 1
}
echo "$line"
"$mailgauge" run &
collector=$!
# ^C reaches all of us; the collector says what it has to say and ends.
trap 'kill -TERM "$collector" 2>/dev/null || true' INT TERM
status=0
while kill -0 "$collector" 2>/dev/null; do
	wait "$collector" && status=0 || status=$?
done
exit "$status"
