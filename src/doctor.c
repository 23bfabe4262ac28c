/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collector.h"
#include "plan/plan.h"

static void say(bool is_good, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(bool is_good, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs(is_good ? "ok       " : "problem  ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

/* effective_caps - the effective capability set from /proc/self/status; false when it cannot be read */
static bool effective_caps(unsigned long long *caps)
{
	FILE *status = fopen("/proc/self/status", "re");
	bool found = false;
	char line[256];

	if (!status)
		return false;
	while (!found && fgets(line, sizeof(line), status))
		found = sscanf(line, "CapEff: %llx", caps) == 1;
	fclose(status);
	return found;
}

static bool has_cap(unsigned long long caps, unsigned cap)
{
	return caps >> cap & 1;
}

static void check_rights(void)
{
	/* linux/capability.h */
	const unsigned sys_ptrace = 19, sys_admin = 21, perfmon = 38, bpf = 39;
	unsigned long long caps = 0;

	if (!effective_caps(&caps)) {
		say(false, "/proc/self/status cannot be read: mount /proc.");
		return;
	}
	if (has_cap(caps, sys_admin) || (has_cap(caps, bpf) && has_cap(caps, perfmon)))
		say(true, "The rights to load BPF programs are there.");
	else
		say(false,
		    "The rights to load BPF programs are missing: run as root, or with CAP_BPF and CAP_PERFMON.");
	if (!has_cap(caps, sys_admin) && !has_cap(caps, sys_ptrace))
		say(false, "Other users' processes cannot be looked at: run as root, or add CAP_SYS_PTRACE.");
}

static void check_kernel(void)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	if (!uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2) {
		if (major > 6 || (major == 6 && minor >= 1))
			say(true, "Linux %s on %s.", name.release, name.machine);
		else
			say(false, "Linux %s is too old: the BPF programs need 6.1.", name.release);
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		say(false,
		    "The kernel has no type information (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF.");
	else
		say(true, "The kernel's type information (BTF) is there.");
	if (probe_kernel_has_multi())
		say(true, "The kernel has uprobe_multi links: attaching and detaching are fast.");
	else if (geteuid())
		say(false, "Whether the kernel has uprobe_multi links cannot be told without root.");
	else
		say(true,
		    "The kernel has no uprobe_multi links (Linux 6.6 brought them): perf events are used, and stopping "
		    "takes about a tenth of a second per probe.");
}

static bool check_load(void)
{
	struct probe_options options = {.method = METHOD_AUTO};
	struct probe_set *set;
	char err[256];

	if (probe_set_open(&set, &options, err)) {
		say(false, "The BPF programs do not load: %s.", err);
		return false;
	}
	probe_set_close(&set);
	say(true, "The BPF programs load.");
	return true;
}

static size_t check_target(const struct target *target, const struct plan *plan)
{
	size_t emulated, points = plan_count_points(plan, target, &emulated);

	say(points > 0,
	    "%s (pid %d, %s): %zu probes can be attached, %zu of them at instructions that are cheap to probe.",
	    target->server->name, (int)target->pid, target->exe, points, emulated);
	return points;
}

static bool check_servers(const struct cli *cli, const struct config *config, const struct catalog *catalog)
{
	struct target_scan *scan = NULL;
	struct plan *plan = NULL;
	size_t points = 0;
	char err[256];

	if (target_scan_proc(&scan, catalog, "/proc", cli->pid, err) || plan_build(&plan, config, catalog, scan, err)) {
		say(false, "Servers cannot be looked at: %s.", err);
		goto out;
	}
	if (!scan->target_cnt && geteuid()) {
		say(false, "No mail server can be seen, which may be because this is not root.");
	} else if (!scan->target_cnt) {
		fputs("problem  No mail server is running that the catalog knows (", stdout);
		for (size_t i = 0; i < catalog->server_cnt; i++)
			printf("%s%s", i ? ", " : "", catalog->servers[i]->name);
		puts("): start it; `mailgauge run` waits for it.");
	}
	for (size_t i = 0; i < scan->target_cnt; i++)
		points += check_target(&scan->targets[i], plan);
	for (size_t i = 0; i < plan->miss_cnt; i++) {
		const struct plan_miss *miss = &plan->misses[i];

		if (miss->why == WHY_DISABLED)
			say(true, "%s: %s is disabled in the configuration.", miss->server->name, miss->event->name);
		else
			say(false, "%s: %s is %s counted: %s: %s.", miss->server->name, miss->event->name,
			    miss->is_partial ? "not fully" : "not", miss->file, miss->reason);
	}
out:
	plan_free(&plan);
	target_scan_free(&scan);
	return points > 0;
}

int command_doctor(const struct cli *cli, const struct config *config, const struct catalog *catalog)
{
	bool loads, has_points;

	check_rights();
	check_kernel();
	loads = check_load();
	has_points = check_servers(cli, config, catalog);
	return loads && has_points ? EXIT_SUCCESS : EXIT_FAILURE;
}
