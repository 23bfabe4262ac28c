# SPDX-License-Identifier: Apache-2.0
"""Runs programs of the Debian root that scripts/mail-root.sh makes, without ever writing to it: each program gets a
mount namespace of its own with an overlay in memory on top. Network and process ids are those of the host."""
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

ENTER = """set -e
root=$1 shared=$2; shift 2
mount --make-rprivate / 2>/dev/null || true # fails in a chroot, whose root is no mount point
mount -t tmpfs scratch /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
mount -t proc proc /mnt/root/proc
mkdir -p /mnt/root/shared
mount --bind "$shared" /mnt/root/shared
exec chroot /mnt/root "$@"
"""


class MailRoot:
    def __init__(self, suite):
        script = REPOSITORY / "scripts" / "mail-root.sh"
        self.path = subprocess.run([script, suite], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def command(self, shared, *arguments):
        """The command line that runs the program; the directory `shared` is /shared for it. It is one process from
        the start to its end, so that ending it needs no more than its id."""
        return ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", ENTER, "sh", self.path, str(shared),
                *arguments]

    def run(self, shared, *arguments, **options):
        return subprocess.run(self.command(shared, *arguments), timeout=60, **options)

    def popen(self, shared, *arguments, **options):
        return subprocess.Popen(self.command(shared, *arguments), **options)
