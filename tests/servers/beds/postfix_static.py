# SPDX-License-Identifier: Apache-2.0
"""A bed whose Postfix is compiled without shared libraries, as container images ship it. The configuration, and all
that is no program, is Debian's."""
import subprocess

from .bed import REPO
from .mailbed import MailBed


class StaticPostfixBed(MailBed):
    def prepare(self):
        made = subprocess.run([REPO / "scripts/postfix-static.sh", self.suite], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        subprocess.run(["cp", "-a", "--remove-destination", f"{made}/.", self.path("/")], check=True)
        # What still needs them shall fail, and nobody shall take them for libraries of this Postfix.
        for library in self.path("/usr/lib/postfix").glob("*.so*"):
            library.unlink()
