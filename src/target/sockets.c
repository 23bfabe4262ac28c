/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.c - which sockets a process has is in /proc/PID/fd; what they are is in the socket tables of its network
 * namespace: /proc/PID/net/{tcp,tcp6,unix}, and, for who is connected to whom, the netlink family sock_diag. */
#include "target/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "target/directory.h"
#include "target/proc.h"

#define TCP_LISTEN_STATE 0x0a    /* enum in include/net/tcp_states.h */
#define UNIX_LISTENS     0x10000 /* __SO_ACCEPTCON, include/uapi/linux/net.h */
#define UNIX_CONNECTED   3       /* SS_CONNECTED */
#define PATH_SIZE        108
#define TCPF_ESTABLISHED (1u << 1) /* a connected Unix stream socket has this state, too */

/* A socket that a process has. */
struct owned {
	uint64_t ino;
	size_t process; /* index */
};

/* A socket of the namespace's tables. */
struct known {
	uint64_t ino, peer;   /* peer: of Unix sockets, 0 unknown */
	uint32_t port;        /* TCP */
	char path[PATH_SIZE]; /* Unix; "" nameless */
	bool is_unix, listens, is_connected;
};

struct tables {
	struct arena *mem; /* owns all of it */
	struct clients *processes;
	size_t process_cnt;
	struct owned *owned; /* sorted by ino, then process; no two equal */
	size_t owned_cnt, owned_cap;
	struct known *known; /* sorted by ino */
	size_t known_cnt, known_cap;
	const struct known **listeners;
	size_t listener_cnt;
};

/* ---- processes */

static int compare_processes(const void *a, const void *b)
{
	const struct proc_stat *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool is_in(const struct proc_stat *all, size_t count, pid_t pid, pid_t root)
{
	/* A tree has no more generations than processes; parents that end meanwhile only shorten the way. */
	for (size_t step = 0; step <= count && pid > 1; step++) {
		const struct proc_stat wanted = {.pid = pid}, *found;

		if (pid == root)
			return true;
		found = bsearch(&wanted, all, count, sizeof(wanted), compare_processes);
		if (!found)
			return false;
		pid = found->ppid;
	}
	return pid == root;
}

static struct proc_stat *all_processes(int proc_fd, size_t *count, struct arena *mem)
{
	DIR *dir = directory_open(openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct proc_stat *all = NULL;
	struct dirent *entry;
	size_t cap = 0;

	*count = 0;
	if (!dir)
		return NULL;
	while ((entry = readdir(dir))) {
		struct proc_stat stat;
		pid_t pid = proc_parse_pid(entry->d_name);

		if (!pid || proc_read_stat(proc_fd, pid, &stat))
			continue;
		all = arena_grow(mem, all, *count, &cap, sizeof(*all));
		all[(*count)++] = stat;
	}
	closedir(dir);
	if (*count)
		qsort(all, *count, sizeof(*all), compare_processes);
	return all;
}

static void find_processes(struct tables *t, int proc_fd, pid_t root)
{
	size_t count, cap = 0;
	struct proc_stat *all = all_processes(proc_fd, &count, t->mem);

	for (size_t i = 0; i < count; i++) {
		struct clients *process;

		if (!is_in(all, count, all[i].pid, root))
			continue;
		t->processes = arena_grow(t->mem, t->processes, t->process_cnt, &cap, sizeof(*t->processes));
		process = &t->processes[t->process_cnt++];
		*process = (struct clients){.pid = all[i].pid};
		proc_read_comm(proc_fd, process->pid, process->comm);
	}
}

static void find_owned(struct tables *t, int proc_fd, size_t process)
{
	char path[32], link[64];
	struct dirent *entry;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%d/fd", (int)t->processes[process].pid);
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = directory_open(fd);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		ssize_t len = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
		unsigned long long ino;

		if (len < 0)
			continue;
		link[len] = '\0';
		if (sscanf(link, "socket:[%llu]", &ino) != 1)
			continue;
		t->owned = arena_grow(t->mem, t->owned, t->owned_cnt, &t->owned_cap, sizeof(*t->owned));
		t->owned[t->owned_cnt++] = (struct owned){ino, process};
	}
	closedir(dir);
}

static int compare_owned(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->process < y->process ? -1 : x->process > y->process;
}

/* sort_owned - a process that has a socket twice (dup) has it once */
static void sort_owned(struct tables *t)
{
	size_t kept = 0;

	if (t->owned_cnt)
		qsort(t->owned, t->owned_cnt, sizeof(*t->owned), compare_owned);
	for (size_t i = 0; i < t->owned_cnt; i++)
		if (!kept || compare_owned(&t->owned[kept - 1], &t->owned[i]))
			t->owned[kept++] = t->owned[i];
	t->owned_cnt = kept;
}

/* first_owned - index of the first owner of this socket, or owned_cnt */
static size_t first_owned(const struct tables *t, uint64_t ino)
{
	size_t low = 0, high = t->owned_cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->owned[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low < t->owned_cnt && t->owned[low].ino == ino ? low : t->owned_cnt;
}

/* ---- tables of the namespace */

static void add_known(struct tables *t, const struct known *known)
{
	if (first_owned(t, known->ino) == t->owned_cnt)
		return;
	t->known = arena_grow(t->mem, t->known, t->known_cnt, &t->known_cap, sizeof(*t->known));
	t->known[t->known_cnt++] = *known;
}

/* "  0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 6153 1 ..." */
static bool parse_tcp(const char *line, struct known *out)
{
	unsigned long long ino;
	unsigned port, state;

	if (sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &port, &state,
		   &ino) != 3)
		return false;
	*out = (struct known){
	    .ino = ino,
	    .port = port,
	    .listens = state == TCP_LISTEN_STATE,
	    .is_connected = state != TCP_LISTEN_STATE,
	};
	return ino != 0; /* 0: not accepted yet, or closed by its process */
}

/* "ffff8880: 00000002 00000000 00010000 0001 01  6160 private/smtp" */
static bool parse_unix(const char *line, struct known *out)
{
	unsigned flags, state;
	unsigned long long ino;
	int end = 0;

	if (sscanf(line, "%*[^:]: %*x %*x %x %*x %x %llu%n", &flags, &state, &ino, &end) != 3 || !end)
		return false;
	*out = (struct known){
	    .ino = ino,
	    .is_unix = true,
	    .listens = flags & UNIX_LISTENS,
	    .is_connected = state == UNIX_CONNECTED && !(flags & UNIX_LISTENS),
	};
	if (line[end] == ' ')
		snprintf(out->path, sizeof(out->path), "%s", line + end + 1);
	out->path[strcspn(out->path, "\n")] = '\0';
	return true;
}

static void read_table(struct tables *t, pid_t pid, const char *name,
		       bool (*parse)(const char *line, struct known *out))
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, name);
	file = fopen(path, "re");
	if (!file) /* no IPv6, no Unix sockets */
		return;
	while (fgets(line, sizeof(line), file)) {
		struct known known;

		if (parse(line, &known))
			add_known(t, &known);
	}
	fclose(file);
}

static int compare_known(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct known *find_known(const struct tables *t, uint64_t ino)
{
	const struct known wanted = {.ino = ino};

	return t->known_cnt ? bsearch(&wanted, t->known, t->known_cnt, sizeof(wanted), compare_known) : NULL;
}

/* ---- who is connected to whom */

struct asking {
	struct tables *tables;
	int netns_fd; /* -1: ours */
	int ret;
};

/* take_peer - what follows the message's fixed part are attributes, each padded to 4 bytes */
static void take_peer(struct tables *t, const struct nlmsghdr *msg)
{
	const struct unix_diag_msg *diag = NLMSG_DATA(msg);
	const char *at = (const char *)(diag + 1), *end = (const char *)msg + msg->nlmsg_len;
	struct known *known = find_known(t, diag->udiag_ino);

	while (known && end - at >= (ptrdiff_t)sizeof(struct rtattr)) {
		struct rtattr attr;
		uint32_t peer;

		memcpy(&attr, at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > end - at)
			return;
		if (attr.rta_type == UNIX_DIAG_PEER && attr.rta_len >= RTA_LENGTH(sizeof(peer))) {
			memcpy(&peer, at + RTA_LENGTH(0), sizeof(peer));
			known->peer = peer;
		}
		at += RTA_ALIGN(attr.rta_len);
	}
}

static int ask_unix(int fd)
{
	const struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} ask = {
	    .header = {.nlmsg_len = sizeof(ask),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .request = {.sdiag_family = AF_UNIX, .udiag_states = TCPF_ESTABLISHED, .udiag_show = UDIAG_SHOW_PEER},
	};

	return send(fd, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask) ? 0 : -errno;
}

/* take_answer - one datagram of the dump: 1 there is more, 0 that was all, -errno */
static int take_answer(struct tables *t, const char *buf, size_t len)
{
	while (len >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *msg = (const void *)buf;
		size_t step = NLMSG_ALIGN(msg->nlmsg_len);

		if (msg->nlmsg_len < sizeof(*msg) || msg->nlmsg_len > len)
			return -EBADMSG;
		if (msg->nlmsg_type == NLMSG_DONE)
			return 0;
		if (msg->nlmsg_type == NLMSG_ERROR)
			return -EOPNOTSUPP; /* no unix_diag */
		if (msg->nlmsg_len >= NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
			take_peer(t, msg);
		buf += step < len ? step : len;
		len -= step < len ? step : len;
	}
	return 1;
}

static int take_answers(struct tables *t, int fd)
{
	const size_t size = 32768; /* the kernel makes no longer ones */
	char *buf = xrealloc_array(NULL, size, 1);
	int ret = 1;

	while (ret > 0) {
		ssize_t len = recv(fd, buf, size, 0);

		ret = len > 0 ? take_answer(t, buf, (size_t)len) : len ? -errno : -EPIPE;
	}
	free(buf);
	return ret;
}

/* ask_peers - a thread, since it may have to go into another network namespace */
static void *ask_peers(void *arg)
{
	const struct timeval patience = {.tv_sec = 2};
	struct asking *asking = arg;
	int fd;

	asking->ret = asking->netns_fd >= 0 && setns(asking->netns_fd, CLONE_NEWNET) ? -errno : 0;
	if (asking->ret)
		return NULL;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0) {
		asking->ret = -errno;
		return NULL;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	asking->ret = ask_unix(fd);
	if (!asking->ret)
		asking->ret = take_answers(asking->tables, fd);
	close(fd);
	return NULL;
}

static int read_peers(struct tables *t, pid_t pid)
{
	struct asking asking = {.tables = t, .netns_fd = -1, .ret = -ECHILD};
	struct stat ours, theirs;
	pthread_t thread;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat("/proc/self/ns/net", &ours) || stat(path, &theirs))
		return -errno;
	if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) {
		asking.netns_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (asking.netns_fd < 0)
			return -errno;
	}
	if (!pthread_create(&thread, NULL, ask_peers, &asking))
		pthread_join(thread, NULL);
	if (asking.netns_fd >= 0)
		close(asking.netns_fd);
	return asking.ret;
}

/* ---- telling */

static void find_listeners(struct tables *t)
{
	t->listeners = arena_array(t->mem, t->known_cnt, sizeof(*t->listeners));
	for (size_t i = 0; i < t->known_cnt; i++)
		if (t->known[i].listens)
			t->listeners[t->listener_cnt++] = &t->known[i];
}

static bool is_listened(const struct tables *t, const struct known *socket)
{
	for (size_t i = 0; i < t->listener_cnt; i++) {
		const struct known *other = t->listeners[i];

		if (other->is_unix != socket->is_unix)
			continue;
		if (socket->is_unix ? !strcmp(other->path, socket->path) : other->port == socket->port)
			return true;
	}
	return false;
}

/* is_pair - nameless, and so is its peer, which a process other than `process` has */
static bool is_pair(const struct tables *t, const struct known *socket, size_t process)
{
	const struct known *peer = socket->peer ? find_known(t, socket->peer) : NULL;

	if (!peer || socket->path[0] || peer->path[0])
		return false;
	for (size_t i = first_owned(t, peer->ino); i < t->owned_cnt && t->owned[i].ino == peer->ino; i++)
		if (t->owned[i].process != process)
			return true;
	return false;
}

static void tell(struct tables *t)
{
	for (size_t i = 0; i < t->known_cnt; i++) {
		const struct known *socket = &t->known[i];
		bool is_nameless = socket->is_unix && !socket->path[0], is_accepted;

		if (!socket->is_connected)
			continue;
		is_accepted = !is_nameless && is_listened(t, socket);
		for (size_t k = first_owned(t, socket->ino); k < t->owned_cnt && t->owned[k].ino == socket->ino; k++) {
			struct clients *process = &t->processes[t->owned[k].process];

			process->accepted += is_accepted;
			process->paired += is_nameless && is_pair(t, socket, t->owned[k].process);
		}
	}
}

int clients_of_instance(struct clients **out, size_t *count, pid_t root, bool *has_pairs, struct arena *mem)
{
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tables t = {.mem = mem};

	if (proc_fd < 0)
		return -errno;
	find_processes(&t, proc_fd, root);
	for (size_t i = 0; i < t.process_cnt; i++)
		find_owned(&t, proc_fd, i);
	close(proc_fd);
	sort_owned(&t);
	read_table(&t, root, "tcp", parse_tcp);
	read_table(&t, root, "tcp6", parse_tcp);
	read_table(&t, root, "unix", parse_unix);
	if (t.known_cnt)
		qsort(t.known, t.known_cnt, sizeof(*t.known), compare_known);
	*has_pairs = !read_peers(&t, root);
	find_listeners(&t);
	tell(&t);
	*out = t.processes;
	*count = t.process_cnt;
	return 0;
}
