#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lint.sh - all checks that need no run of the program: format, layers, clang's analyser, scripts, Python.
# Everything is checked before it fails, so that one run shows all there is to mend.
#
# Format: clang-format 14 (Debian 12) and 19 (Debian 13) agree on this tree. Where they do not (a macro that is a
# braced list, "} *name" behind a struct, a cast of a string, a variable called `not`), write it in another way.
set -eu
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=

step() { # NAME COMMAND...
	name=$1
	shift
	"$@" || {
		echo "lint: $name: failed" >&2
		failed="$failed $name"
	}
}

# files PATTERN DIRECTORY... - not from git, which refuses to answer root in somebody else's checkout
files() {
	pattern=$1
	shift
	find "$@" -name "$pattern" -type f | sort
}

format() {
	files '*.[ch]' bpf src tests | while read -r file; do
		clang-format "$file" | cmp -s - "$file" || echo "$file: not as clang-format writes it"
	done >"$tmp/format"
	cat "$tmp/format"
	[ ! -s "$tmp/format" ]
}

# The analyser sees what the compiler sees: flags and generated headers are the Makefile's. What it finds within a
# generated header, coming from a call of ours, is bpftool's affair.
analyze() {
	# shellcheck disable=SC2016 # $ is for make, and for the inner shell
	make -s --eval='lint-flags: ; $(MAKE) -s $(GEN)/probe.skel.h $(PROTO_HEADERS) && echo "$(CPPFLAGS_)" >"$(LINT_TMP)/flags"' \
		lint-flags LINT_TMP="$tmp" || return 1
	# shellcheck disable=SC2016,SC2046 # words are meant
	files '*.c' src | xargs -P "$(nproc)" -n 1 sh -c '
		found=$(clang --analyze -Xclang -analyzer-output=text "$@" 2>&1) || echo "$found"
		echo "$found" | grep -q "^src/.*: warning: " && echo "$found"' \
		sh -std=gnu11 -DMAILGAUGE_VERSION='"lint"' $(cat "$tmp/flags") >"$tmp/analysis" || true
	cat "$tmp/analysis"
	[ ! -s "$tmp/analysis" ]
}

scripts() {
	files '*.sh' scripts tests >"$tmp/scripts"
	echo .ci/run >>"$tmp/scripts"
	xargs -n 1 sh -n <"$tmp/scripts" || return 1
	if command -v shellcheck >/dev/null; then
		# $ in single quotes is meant; what a script includes is not there to be followed; traps call functions
		xargs shellcheck --exclude=SC1091,SC2016,SC2317 <"$tmp/scripts"
	else
		echo "lint: shellcheck is not installed, scripts are only parsed" >&2
	fi
}

python() {
	files '*.py' tests scripts | PYTHONPYCACHEPREFIX=$tmp/pycache xargs -r python3 -m py_compile
}

step format format
step layers scripts/check-layers.sh
step layers-self-test scripts/check-layers.sh --self-test
step analyze analyze
step docs scripts/servers-doc.py --check
step scripts scripts
step python python
[ -z "$failed" ]
