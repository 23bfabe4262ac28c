# SPDX-License-Identifier: Apache-2.0
"""Throw-away mail servers: a Debian root of its own per bed, and what talks with the servers in it."""
