#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check-layers.sh [TREE] - check the rules that hold the source tree together; each violation is a line FILE:LINE: WHY.
# check-layers.sh --self-test - check that this script finds them.
#
# 1. A file in src/ includes headers of its own room or of one further left:
#    base < snapshot < config, catalog, target < plan < probe < export < main (src/*.c).
#    Rooms of one rank do not see each other, but target may use the catalog's two open headers.
#    bpf/probe.h is for catalog, plan and probe; bpf/ includes nothing from src/.
# 2. No mail server's name in bpf/ or in C files of src/: what is known about a server is data.
# 3. Every source file has an SPDX line at its top, every header then says what it owns.
set -eu

servers='postfix|dovecot|exim|opensmtpd|stalwart'

includes() {
	find src bpf -name '*.[ch]' -o -name '*.cpp' | sort | xargs awk '
	function bad(why) {
		printf "%s:%d: %s\n", FILENAME, FNR, why
	}
	BEGIN {
		split("base snapshot config catalog target plan probe export main", rooms)
		split("0 1 2 2 2 3 4 5 6", ranks)
		for (i in rooms)
			rank[rooms[i]] = ranks[i]
	}
	/^[ \t]*#[ \t]*include[ \t]*["<]/ {
		split($0, quoted, /["<>]/)
		path = quoted[2]
		count = split(path, part, "/")
		if ($0 ~ /</ && count > 1 && part[1] != ".." && !(part[1] in rank))
			next # a header of the system: <sys/stat.h>
		if ($0 ~ /</ && count == 1)
			next
		depth = split(FILENAME, place, "/")
		if (place[1] == "bpf") {
			if (count > 1)
				bad("bpf/ includes " path ", which is not its own")
			next
		}
		room = depth == 2 ? "main" : place[2]
		if (!(room in rank)) {
			bad("unknown room " room)
			next
		}
		if (path == "../bpf/probe.h") {
			if (room != "catalog" && room != "plan" && room != "probe")
				bad(room " includes " path)
			next
		}
		if (path ~ /^[^\/]*\.skel\.h$/ || path ~ /^[^\/]*\.pb-c\.h$/) { # generated
			if (room != (path ~ /skel/ ? "probe" : "export"))
				bad(room " includes " path)
			next
		}
		to = count == 1 ? "main" : part[1]
		if (!(to in rank) || count > 2) {
			bad(path " is in no known room")
			next
		}
		if (to == room || rank[to] < rank[room])
			next
		if (room == "target" && (path == "catalog/catalog.h" || path == "catalog/events.h"))
			next
		bad(room " includes " path ", which is not left of it")
	}' /dev/null
}

names() {
	find src bpf -name '*.[ch]' -o -name '*.cpp' | sort |
		xargs grep -niHE "$servers" /dev/null | sed 's/^\([^:]*:[0-9]*\):.*/\1: names a mail server/' || true
}

headings() {
	find bpf src tests scripts deploy vmlinux -name build -prune -o \
		\( -name '*.[chS]' -o -name '*.cpp' -o -name '*.sh' -o -name '*.py' \) -type f -print 2>/dev/null | sort |
		while read -r file; do
			sed 2q "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file:1: no SPDX line"
			case $file in
			vmlinux/*) ;;
			*.h) sed -n 2p "$file" | grep -q "^/\* ${file##*/} - " ||
				echo "$file:2: does not say what it owns: /* ${file##*/} - owns ..." ;;
			esac
		done
}

check() { # TREE
	found=$(cd "$1" && includes && names && headings)
	[ -n "$found" ] || return 0
	echo "$found"
	return 1
}

# ---- self-test: FILE|WANTED MESSAGE|TEXT, one violation each in a tree that is otherwise good; without a message
# the text is allowed. "@" is a newline.
cases() {
	cat <<-'EOF'
		src/base/a.c|src/base/a.c:2: base includes snapshot/s.h, which is not left of it|#include "snapshot/s.h"
		src/snapshot/a.c|2: snapshot includes plan/p.h|#include "plan/p.h"
		src/config/a.c|2: config includes catalog/catalog.h|#include "catalog/catalog.h"
		src/catalog/a.c|2: catalog includes config/c.h|#include "config/c.h"
		src/catalog/a.c|2: catalog includes target/t.h|#include "target/t.h"
		src/target/a.c|2: target includes config/c.h|#include "config/c.h"
		src/target/a.c|2: target includes catalog/server.h|#include "catalog/server.h"
		src/target/a.c|2: target includes ../bpf/probe.h|#include "../bpf/probe.h"
		src/plan/a.c|2: plan includes probe/p.h|  # include	"probe/p.h"
		src/probe/a.c|2: probe includes export/e.h|#include <export/e.h>
		src/export/a.c|2: export includes loop.h|#include "loop.h"
		src/export/a.c|2: export includes ../bpf/probe.h|#include "../bpf/probe.h"
		src/loop.c|2: main includes ../bpf/probe.h|#include "../bpf/probe.h"
		src/plan/a.c|2: plan includes probe.skel.h|#include "probe.skel.h"
		src/plan/a.c|2: plan includes otlp.pb-c.h|#include "otlp.pb-c.h"
		src/base/a.c|2: ../plan/p.h is in no known room|#include "../plan/p.h"
		src/base/a.c|2: base/../plan/p.h is in no known room|#include "base/../plan/p.h"
		src/base/a.cpp|3: base includes plan/p.h|int a;@#include "plan/p.h"
		src/new/a.c|2: unknown room new|#include "base/b.h"
		bpf/a.bpf.c|2: bpf/ includes base/b.h|#include "base/b.h"
		bpf/a.bpf.c|2: bpf/ includes ../src/base/b.h|#include "../src/base/b.h"
		src/base/a.c|src/base/a.c:3: names a mail server|int a;@/* as in Postfix */
		bpf/a.bpf.c|2: names a mail server|char exim4;
		src/export/a.c||#include "base/b.h"@#include "snapshot/s.h"@#include "export/e.h"@#include "probe/p.h"@#include <sys/stat.h>@#include "a.pb-c.h"
		src/target/a.c||#include "catalog/catalog.h"@#include "catalog/events.h"@#include "target/t.h"
		src/probe/a.c||#include "../bpf/probe.h"@#include "plan/p.h"@#include "probe.skel.h"@#include <linux/bpf.h>
		src/catalog/a.c||#include "../bpf/probe.h"
		src/plan/a.c||#include "../bpf/probe.h"@#include "config/c.h"@#include "catalog/c.h"@#include "target/t.h"
		src/main.c||#include "loop.h"@#include "probe/p.h"@#include "export/e.h"
		src/catalog/example.toml||name = "postfix"
	EOF
	for file in src/base/a.c src/base/a.h src/base/a.cpp bpf/a.h tests/a.py tests/a.c scripts/a.sh vmlinux/a.h; do
		echo "$file|$file:1: no SPDX line|"
	done
}

fail() {
	echo "check-layers: self-test: $1: got '$got', want '$want'" >&2
	failed=1
}

self_test() {
	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	failed=
	spdx='/* SPDX-License-Identifier: Apache-2.0 */'
	cases >"$tree/cases"
	while IFS='|' read -r file want text; do
		rm -rf "$tree/t"
		mkdir -p "$tree/t/bpf" "$tree/t/src/base" "$(dirname "$tree/t/$file")"
		printf '%s\n/* b.h - owns nothing */\n' "$spdx" >"$tree/t/src/base/b.h"
		case $want in
		*'no SPDX line') printf 'int a;\n/* %s - owns nothing */\n%s\n' "${file##*/}" "$spdx" ;;
		*) printf '%s\n%s\n' "$spdx" "$text" | tr '@' '\n' ;;
		esac >"$tree/t/$file"
		status=0
		got=$(check "$tree/t") || status=$?
		case $want/$status/$got in
		/0/) ;;
		/*) fail "$file" ;;
		*/1/*"$want"*) [ "$(echo "$got" | wc -l)" = 1 ] || fail "$file" ;;
		*) fail "$file" ;;
		esac
	done <"$tree/cases"
	want="src/base/b.h:2: does not say what it owns"
	printf '%s\n#include <stdio.h>\n' "$spdx" >"$tree/t/src/base/b.h"
	got=$(check "$tree/t") && fail heading
	case $got in "$want"*) ;; *) fail heading ;; esac
	[ -z "$failed" ]
}

case ${1-} in
--self-test) self_test ;;
*) check "${1:-$(dirname "$0")/..}" ;;
esac
