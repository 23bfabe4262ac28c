/* SPDX-License-Identifier: Apache-2.0 */
/* collector.h - owns the way from running servers to attached probes, as one object: catalog, scan, plan, probe set.
 * Wiring: every decision is made in the room that it belongs to. It knows no exporter. */
#ifndef MAILGAUGE_COLLECTOR_H
#define MAILGAUGE_COLLECTOR_H
#include <stdbool.h>
#include <sys/types.h>

#include "catalog/catalog.h"
#include "config/config.h"
#include "plan/plan.h"
#include "probe/probe_set.h"
#include "snapshot/snapshot.h"
#include "target/target.h"

struct buf;
struct collector;

/* collector_open - load the BPF programs; nothing is attached yet. `config` and `catalog` are borrowed.
 * With only_pid > 0 just the instance that this process belongs to is counted, its descendants included.
 * 0 or -errno with a reason in err. */
int collector_open(struct collector **out, const struct config *config, const struct catalog *catalog, pid_t only_pid,
		   char err[static 256]);
void collector_close(struct collector **collector);

/* collector_refresh - look for servers, and attach and detach what changed. Cheap when nothing did.
 * 0 or -errno with a reason in err (then all stays as it was). */
int collector_refresh(struct collector *collector, char err[static 256]);
/* collector_detach - take all probes away; the numbers stay readable */
void collector_detach(struct collector *collector);

/* All of these may be called from any thread. */
int collector_snapshot(void *collector, struct snapshot **out);
/* collector_ready - is something attached? If not, why */
bool collector_ready(void *collector, struct buf *reason);
/* collector_servers - a line for each server found */
void collector_servers(void *collector, struct buf *lines);

/* catalog_and_config - configuration checked against the catalog: what all commands begin with.
 * 0, or -EINVAL when all has been said. */
int catalog_and_config(const struct config_input *input, struct config **config, struct catalog **catalog);

#endif
