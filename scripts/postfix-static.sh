#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# postfix-static.sh SUITE - make sure that a Postfix without shared libraries exists, and print its directory.
#
# It is Debian's source package of the suite, with Debian's patches, compiled as its authors do by default, and as
# many container images ship it: every program has all of Postfix' own code in itself, and is stripped. Directories
# and paths are those of Debian's Postfix, so that it runs with Debian's configuration when its files are put over
# those of the root that scripts/mail-root.sh makes: DIR/usr/lib/postfix/sbin/*, DIR/usr/sbin/*.
#
# It is made once per root and recipe under $MAILGAUGE_CACHE (default /var/cache/mailgauge). Compiler and sources
# live in an overlay in memory on top of that root, which is gone when they have done their work.
set -eu

suite=${1:?usage: postfix-static.sh bookworm|trixie}
cache=${MAILGAUGE_CACHE:-/var/cache/mailgauge}
root=$("$(dirname "$0")/mail-root.sh" "$suite")

# Runs within the root; what is made goes to /made. The version is that of the root, if the archive still has it.
recipe='
set -eu
export DEBIAN_FRONTEND=noninteractive
sed "s/^deb /deb-src /" /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
apt-get update -q
apt-get install -y -q --no-install-recommends build-essential m4 libdb-dev libssl-dev libsasl2-dev
mkdir /build
cd /build
apt-get source -q "postfix=$(dpkg-query -W -f "\${source:Version}" postfix)" || apt-get source -q postfix
cd postfix-*/
set --
for directory in command_directory config_directory daemon_directory data_directory html_directory mailq_path \
	manpage_directory meta_directory newaliases_path queue_directory readme_directory sendmail_path; do
	set -- "$@" "$directory=$(postconf -dh "$directory")"
done
make -s makefiles shared=no dynamicmaps=no pie=yes OPT=-O2 DEBUG= "$@" \
	CCARGS="-DUSE_TLS -DUSE_SASL_AUTH -DUSE_CYRUS_SASL -I/usr/include/sasl -DNO_NIS -DNO_EAI -DNO_PCRE" \
	AUXLIBS="-lssl -lcrypto -lsasl2"
make -s -j"$(nproc)"
for file in libexec/* bin/*; do
	strip --strip-all "$file" 2>/dev/null || rm "$file" # a shell script: that of the root stays
done
sbin=/made$(postconf -dh daemon_directory)
commands=/made$(postconf -dh command_directory)
mkdir -p "$sbin" "$commands"
cp libexec/* "$sbin"
cp bin/* "$commands"
ln "$sbin/smtp" "$sbin/lmtp"
ln "$sbin/qmgr" "$sbin/nqmgr"
chgrp postdrop "$commands/postdrop" "$commands/postqueue"
chmod g+s "$commands/postdrop" "$commands/postqueue"
'

stamp=$(printf '%s %s' "$root" "$recipe" | cksum | cut -d' ' -f1)
made=$cache/$suite-static-$stamp
log=$cache/$suite-static.log
exec 8>"$cache/$suite-static.lock"
flock 8

if [ ! -d "$made" ]; then
	work=$made.part
	rm -rf "$work"
	mkdir "$work"
	echo "postfix-static: making $made (some minutes, once)" >&2
	unshare --mount --propagation unchanged sh -c '
		set -e
		root=$1 work=$2
		shift 2
		mount --make-rprivate / 2>/dev/null || true # fails in a chroot, whose root is no mount point
		mount -t tmpfs scratch /mnt
		mkdir /mnt/upper /mnt/work /mnt/root
		mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
		mount -t proc proc /mnt/root/proc
		mkdir /mnt/root/made
		mount --bind "$work" /mnt/root/made
		exec chroot /mnt/root "$@"' enter "$root" "$work" sh -c "$recipe" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		echo "postfix-static: failed, see $log" >&2
		exit 1
	}
	mv "$work" "$made"
fi
echo "$made"
