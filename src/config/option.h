/* SPDX-License-Identifier: Apache-2.0 */
/* option.h - owns the table of options and the one way to set them; private to the configuration room.
 * It knows the form of values, but not where they come from: file, environment and flags all end here. */
#ifndef MAILGAUGE_OPTION_H
#define MAILGAUGE_OPTION_H
#include "base/toml.h"
#include "config/config.h"

struct config_option;

/* One configuration being made. */
struct loader {
	struct config *config;
	const struct config_input *input;
	struct config_place *places; /* where each option was set last, by its number in the table */
	size_t errors;
};

struct option_type {
	const char *name;       /* as the reference calls it */
	const char *flag_value; /* as the help of a flag calls it */
	enum toml_kind kind;    /* of the value, or of each item */
	bool is_list;
	/* parse - check `text` and store it in *field; NULL, or what is wrong */
	const char *(*parse)(struct arena *mem, const struct config_option *option, const char *text, void *field);
};

struct config_option {
	const char *key;
	const struct option_type *type;
	size_t offset; /* in struct config */
	const char *def, *flag, *help;
	uint64_t min_ms, max_ms; /* of a duration */
	bool is_secret;          /* its text never appears in a message */
};

struct option_table {
	const struct config_option *items;
	size_t count;
};
extern const struct option_table option_table;

/* A mistake: "[PLACE: ][KEY: ]REASON[: `TEXT'][, did you mean `MEANT'?]" */
struct complaint {
	struct config_place place;
	const char *key, *reason, *text, *meant; /* all but reason may be NULL */
};
void complain(const struct config_report *report, enum log_level level, const struct complaint *complaint);
/* loader_error, loader_warn - complain to the input's report, and count errors */
void loader_error(struct loader *loader, const struct complaint *complaint);
void loader_warn(const struct loader *loader, const struct complaint *complaint);

const struct config_option *option_find(const char *key);
const struct config_option *option_by_flag(const char *flag);
/* option_place - where it was set, .source NULL: nowhere */
struct config_place *option_place(const struct loader *loader, const struct config_option *option);
void *option_field(const struct loader *loader, const struct config_option *option);
/* option_try - set it (or append to its list); NULL, or what is wrong with the text and nothing was changed */
const char *option_try(struct loader *loader, const struct config_option *option, const char *text,
		       struct config_place place);
/* option_set - the same; a mistake is reported */
void option_set(struct loader *loader, const struct config_option *option, const char *text, struct config_place place);
/* option_clear - make a list empty before a source replaces it; nothing else is touched */
void option_clear(struct loader *loader, const struct config_option *option);

/* environment_apply - lay the variables over what is there */
void environment_apply(struct loader *loader);
/* environment_reference - append the table of variables as Markdown */
void environment_reference(struct buf *out);

#endif
