#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mail-root.sh SUITE [KIND] - make sure that a Debian root with real mail servers exists, and print its path.
# Only one mail transport agent can be installed in a root: KIND (postfix if none is given) says which.
#
# The root is made once per suite and kind under $MAILGAUGE_CACHE (default /var/cache/mailgauge), outside of the
# source tree, and never written to afterwards: whoever runs servers in it puts an overlay on top.
# A half-made root never carries the final name, so an interrupted run is repeated from the start.
set -eu

usage="usage: mail-root.sh bookworm|trixie [postfix|exim-heavy|exim-light|opensmtpd|popa3d]"
suite=${1:?$usage}
kind=${2:-postfix}
cache=${MAILGAUGE_CACHE:-/var/cache/mailgauge}
common="python3-minimal iproute2"
case $kind in
postfix)
	name=$suite
	packages="postfix libsasl2-modules sasl2-bin dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd \
dovecot-submissiond dovecot-managesieved dovecot-sieve $common"
	# What the exporter tests talk to: Debian's Prometheus scrapes, but is built without the OTLP receiver, so pushes
	# go to VictoriaMetrics, which names metrics as Prometheus does.
	[ "$suite" != trixie ] || packages="$packages prometheus victoria-metrics"
	;;
exim-heavy | exim-light)
	name=$suite-$kind
	packages="exim4-daemon-${kind#exim-} openssl $common"
	;;
opensmtpd)
	name=$suite-$kind
	packages="opensmtpd openssl $common"
	;;
popa3d)
	# The example of docs/NEW-SERVER.md: a server that the catalog does not have.
	name=$suite-$kind
	packages="popa3d $common"
	;;
*)
	echo "$usage" >&2
	exit 2
	;;
esac

# The stamp is the list of packages: a changed list makes a new root.
stamp=$(printf '%s %s' "$suite" "$packages" | cksum | cut -d' ' -f1)
root=$cache/$name-$stamp
mkdir -p "$cache"
exec 9>"$cache/$name.lock"
flock 9

# in_root ROOT COMMAND... - with /proc, which the maintainer scripts of newer packages need
in_root() {
	DEBIAN_FRONTEND=noninteractive unshare --mount --propagation unchanged sh -c '
		root=$1
		shift
		mount --make-rprivate / 2>/dev/null || true # fails in a chroot, whose root is no mount point
		mount -t proc proc "$root/proc" && exec chroot "$root" "$@"' in_root "$@"
}

if [ ! -d "$root" ]; then
	work=$root.part
	rm -rf "$work"
	echo "mail-root: making $root (some minutes, once)" >&2
	debootstrap --variant=minbase "$suite" "$work" >"$cache/$name.log" 2>&1 || {
		tail -n 20 "$cache/$name.log" >&2
		echo "mail-root: debootstrap failed, see $cache/$name.log" >&2
		exit 1
	}
	# No package may start its server here, and none may ask questions.
	printf '#!/bin/sh\nexit 101\n' >"$work/usr/sbin/policy-rc.d"
	chmod 755 "$work/usr/sbin/policy-rc.d"
	printf 'postfix postfix/main_mailer_type select No configuration\n' |
		chroot "$work" debconf-set-selections
	# shellcheck disable=SC2086 # a list of packages is meant
	in_root "$work" apt-get install -y -q --no-install-recommends $packages >>"$cache/$name.log" 2>&1 || {
		tail -n 20 "$cache/$name.log" >&2
		echo "mail-root: apt-get failed, see $cache/$name.log" >&2
		exit 1
	}
	chroot "$work" apt-get clean
	mv "$work" "$root"
fi
echo "$root"
