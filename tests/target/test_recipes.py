# SPDX-License-Identifier: Apache-2.0
"""Recipes on real programs: what the catalogs' functions are found by finds them in their own server, and nothing
in other programs; exported functions, and programs with symbols, tell what is right.

    pytest -s tests/target      with -s, the tables of what was found
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tomllib

import pytest

TREE = pathlib.Path(__file__).parent.parent.parent
RECIPES = os.environ.get("RECIPES", str(TREE / "build/target/recipes"))
SUITES = "bookworm", "trixie"
# The server of a catalog, and where it is: kinds of scripts/mail-root.sh, files
SERVERS = {
    "exim": (("exim-heavy", "exim-light"), "usr/sbin/exim4"),
    "opensmtpd": (("opensmtpd",), "usr/sbin/smtpd"),
    "postfix": (("postfix",), "usr/lib/postfix/sbin/smtpd"),
}
FOREIGN_LEAST, FOREIGN_SIZE = 30, (60_000, 6_000_000)

# Formats of the exported functions of one server, in both releases. The vote must find the functions without names.
EXPORTED = {
    "log_write": (2, 8, [
        "string too large in smtp_printf()", "log_write called with no log flags set",
        "\"discard\" verb not allowed in %s ACL", "\"drop\" verb not allowed in %s ACL",
        "%s F=<%s> RCPT %s: discarded by %s ACL%s%s", "%s authenticator failed for %s: %s",
        "%s error reading spool file: %s", "%s lost while reading message data%s",
        "%s%s%s %s%srejected %s%s", "%s%s%s%s: error ignored%s", "%s: %s (while routing <%s>)",
        "%s: message too big (limit set to %d)", "%s: no recipient addresses",
        "%s: at least one malformed recipient address: %s - %s"]),
    "smtp_printf": (0, 8, [
        "%d Too many syntax or protocol errors\r\n", "220 TLS go ahead\r\n", "250 OK id=%s\r\n",
        "354 Enter message, ending with \".\" on a line by itself\r\n", "452 Space shortage, please try later\r\n",
        "452 too many recipients\r\n", "454 TLS currently unavailable\r\n", "458 Already processing %s\r\n",
        "458 Internal failure\r\n", "458 Unable to fork process\r\n", "421 Too much load; please try again later.\r\n"]),
}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def root_of(suite, kind):
    return pathlib.Path(run(str(TREE / "scripts/mail-root.sh"), suite, kind).strip())


def field(text):
    return str(text).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def ask(path, questions):
    """One answer for each question, which is a list of words."""
    lines = "".join("\t".join(map(field, question)) + "\n" for question in questions)
    out = subprocess.run([RECIPES, str(path)], input=lines.encode(), check=True, capture_output=True).stdout
    return [json.loads(line) for line in out.decode(errors="replace").splitlines()]


def questions_of(function):
    """The ways to find one function of a catalog that need no name."""
    out = []
    if "vote" in function:
        vote = function["vote"]
        out.append(["vote", vote["arg"], vote["min"], *vote["texts"]])
    if "uses" in function:
        without = function["uses"].get("without", [])
        out.append(["uses", *function["uses"]["texts"], *(["!", *without] if without else [])])
    if "table" in function:
        out.append(["table", function["table"]["text"], function["table"]["slot"]])
    return out


def is_found(answer, function):
    low, high = function.get("size", (0, 1 << 62))
    return answer["ret"] == 0 and low <= answer["size"] <= high


def catalogs():
    for path in sorted((TREE / "src/catalog").glob("*.toml")):
        functions = tomllib.loads(path.read_text()).get("function", {})
        functions = {name: function for name, function in functions.items() if questions_of(function)}
        if functions and path.stem in SERVERS:
            yield path.stem, functions


def is_program(path):
    if path.is_symlink() or not path.is_file() or not FOREIGN_SIZE[0] < path.stat().st_size < FOREIGN_SIZE[1]:
        return False
    with path.open("rb") as file:
        head = file.read(20)
    return head[:5] == b"\x7fELF\x02" and head[16] in (2, 3) and head[18] == 62


each_catalog = pytest.mark.parametrize("server, functions", list(catalogs()),
                                       ids=lambda value: value if isinstance(value, str) else "functions")

# Programs of mail servers, and those that they come with: they speak the same protocols in the same words, and may well
# have a table of commands of the same form. What is found there is told, not judged.
MAIL_DIRECTORIES = "usr/lib/postfix/sbin", "usr/lib/dovecot"
MAIL_NAMES = ("exim", "smtp", "makemap", "newaliases", "mailq", "sendmail", "post", "dov", "send-mail", "qmqp-", "qshape")


def programs_in(directories, is_mail):
    """Each program of the directories once for each suite."""
    out = {}
    for suite in SUITES:
        for kind in ("postfix", "exim-light", "opensmtpd"):
            root = root_of(suite, kind)
            for directory in directories:
                for path in sorted((root / directory).glob("*")):
                    if is_program(path) and (is_mail or not path.name.startswith(MAIL_NAMES)):
                        out.setdefault((suite, path.name), path)
    return sorted(out.values())


def found_in(paths, functions):
    questions = [(name, question) for name, function in functions.items() for question in questions_of(function)]
    out = []
    for path in paths:
        answers = ask(path, [question for _, question in questions])
        out += [f"{name} in {path}" for (name, _), answer in zip(questions, answers)
                if is_found(answer, functions[name])]
    return out


@pytest.mark.parametrize("suite", SUITES)
@each_catalog
def test_own_server(server, functions, suite):
    """Each function is found in at least one build of the suite; where it was looked at by hand, at that address."""
    kinds, file = SERVERS[server]
    found = dict.fromkeys(functions, 0)
    for kind in kinds:
        path = root_of(suite, kind) / file
        for name, function in functions.items():
            answers = ask(path, questions_of(function) + [["build-id"]])
            build_id = answers.pop()
            addresses = {answer["addr"] for answer in answers if is_found(answer, function)}
            assert len(addresses) <= 1, f"{name}: the ways do not agree"
            recorded = function.get("recorded", {}).get(build_id)
            assert recorded is None or not addresses or addresses == {recorded}, name
            found[name] += bool(addresses)
            for answer in answers:
                what = f"{answer['addr']:#x} {answer['size']}" if is_found(answer, function) else answer["err"]
                print(f"{suite} {kind} {name}: {what}", file=sys.stderr)
    if server != "postfix":  # each of its programs has some of them only
        assert [name for name, count in found.items() if not count] == []


@each_catalog
def test_other_programs(server, functions):
    """They must not be found in programs of others, which have other texts and tables."""
    others = programs_in(("usr/bin", "usr/sbin"), False)
    mail = [path for path in programs_in(MAIL_DIRECTORIES, True) if server != "postfix" or "dovecot" in str(path)]
    assert len(others) >= FOREIGN_LEAST
    wrong, alike = found_in(others, functions), found_in(mail, functions)
    print(f"{server}: {len(functions)} functions; {len(wrong)} found in {len(others)} other programs, {len(alike)} in "
          f"{len(mail)} of other mail servers", *alike, sep="\n\t", file=sys.stderr)
    assert wrong == []


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", SERVERS["exim"][0])
def test_exported(suite, kind):
    """The vote of the texts finds the very function that the file exports."""
    path = root_of(suite, kind) / SERVERS["exim"][1]
    for name, (arg, least, texts) in EXPORTED.items():
        by_vote, by_name = ask(path, [["vote", arg, least, *texts], ["symbol", name]])
        assert (by_vote["ret"], by_vote["addr"]) == (0, by_name["addr"]), f"{name}: {by_vote}"


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", SERVERS["exim"][0])
def test_resources(suite, kind):
    """A program of 2 MB: below 0.5 s of processor time (five times that for a slow machine), and below 64 MiB, which
    the driver looks after."""
    path = root_of(suite, kind) / SERVERS["exim"][1]
    questions = [["vote", arg, least, *texts] for arg, least, texts in EXPORTED.values()]
    questions += [["table", "plaintext", 6], ["uses", "554 Already in TLS\r\n"]]
    lines = "".join("\t".join(map(field, question)) + "\n" for question in questions)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([RECIPES, str(path), "memory"], input=lines, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert len(done.stdout.splitlines()) == len(questions)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{suite} {kind}: {path.stat().st_size} bytes, {used:.3f} s, {done.stderr.strip()}", file=sys.stderr)
    assert used < 0.5 * 5


# ---- against symbols

def program_symbols(path):
    """Sizes of functions by address, and names."""
    sizes, names = {}, {}
    for line in run("nm", "-S", "--defined-only", str(path)).splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in "tTwW":
            sizes[int(words[0], 16)] = int(words[1], 16)
            names[int(words[0], 16)] = words[3]
    return sizes, names


def program_calls(path):
    """Direct calls as an independent decoder sees them."""
    out = set()
    for line in run("objdump", "-d", "--no-show-raw-insn", str(path)).splitlines():
        words = line.split()
        if len(words) > 2 and words[0].endswith(":") and "call" in words[1:3]:
            target = words[words.index("call") + 1]
            if not target.startswith("*"):
                out.add((int(words[0][:-1], 16), int(target, 16)))
    return out


@pytest.fixture(scope="module", params=SUITES)
def programs(request, tmp_path_factory):
    made = pathlib.Path(run(str(TREE / "tests/target/programs.sh"), request.param).strip())
    directory = tmp_path_factory.mktemp("stripped")
    for path in sorted(made.iterdir()):
        run("strip", "-s", "-o", str(directory / path.name), str(path))
    return made, directory


def test_bounds_and_calls(programs):
    """Five stripped programs: all bounds and all calls are those of the symbols and of another decoder; a part of a
    function is never taken for another one's, and hardly any function is given up for being one."""
    made, stripped = programs
    names = sorted(path.name for path in stripped.iterdir())
    assert len(names) == 5
    for name in names:
        functions, calls = ask(stripped / name, [["functions"], ["calls"]])
        sizes, symbols = program_symbols(made / name)
        bounds = {addr: size for addr, size, _ in functions}
        owners = {addr: owner for addr, _, owner in functions}
        start_files = {"_init", "_fini", "deregister_tm_clones", "register_tm_clones", "__do_global_dtors_aux",
                       "frame_dummy"}  # have no unwind information
        differing = [symbols[addr] for addr, size in sizes.items()
                     if bounds.get(addr) != size and symbols[addr] not in start_files]
        assert differing == [], name
        assert {tuple(call) for call in calls} == program_calls(made / name), name
        parts = [addr for addr in sizes if ".cold" in symbols[addr]]
        wrong = [symbols[addr] for addr in parts
                 if owners[addr] and symbols.get(owners[addr]) != symbols[addr].split(".cold")[0]]
        assert wrong == [], name
        whole = [addr for addr in sizes if addr in owners and ".cold" not in symbols[addr]]
        wrong = [symbols[addr] for addr in whole if owners[addr] not in (0, addr)]
        assert wrong == [], name
        given_up = [symbols[addr] for addr in whole if not owners[addr]]
        print(f"{name}: {len(whole)} functions, {len(given_up)} given up; {len(parts)} parts, "
              f"{sum(owners[addr] == 0 for addr in parts)} given up; {len(calls)} calls", file=sys.stderr)
        assert len(given_up) <= len(whole) * 0.05, name
