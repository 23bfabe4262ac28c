/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/glob.h"
#include "base/nearest.h"
#include "config/option.h"

bool config_event_disabled(const struct config *config, const char *event)
{
	for (size_t i = 0; i < config->disabled_events.count; i++)
		if (pattern_match(config->disabled_events.items[i], event))
			return true;
	return false;
}

/* matches_any - and, if not, which name comes nearest */
static bool matches_any(const char *pattern, const char *const *names, size_t count, const char **meant)
{
	struct nearest nearest;

	nearest_init(&nearest, pattern);
	for (size_t i = 0; i < count; i++) {
		if (pattern_match(pattern, names[i]))
			return true;
		nearest_offer(&nearest, names[i]);
	}
	*meant = nearest.best;
	return false;
}

int config_check_events(const struct config *config, const char *const *names, size_t count,
			const struct config_report *report)
{
	const struct string_list *list = &config->disabled_events;
	int rc = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct complaint complaint = {.place = list->places[i],
					      .key = "metrics.disabled-events",
					      .reason = "unknown event",
					      .text = list->items[i]};

		if (matches_any(list->items[i], names, count, &complaint.meant))
			continue;
		if (pattern_is_exact(list->items[i])) {
			complain(report, LOG_ERROR, &complaint);
			rc = -EINVAL;
		} else {
			complaint.reason = "matches no event";
			complaint.meant = NULL;
			complain(report, LOG_WARN, &complaint);
		}
	}
	return rc;
}
