/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/value.h"

#define HEADER_MAX 8192
#define PREFIX_MAX 64
#define URL_MAX    4096
#define LETTERS    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS     "0123456789"

static const struct unit {
	const char *name;
	uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

const char *duration_parse(const char *text, uint64_t *ms)
{
	size_t digits = strspn(text, DIGITS);
	const char *unit = text + digits;
	uint64_t number = 0;

	if (!*text)
		return "is empty";
	if (*text == '-')
		return "must not be negative";
	if (!digits || *unit == '.' || *unit == ',')
		return "must be a whole number and a unit (ms, s, m, h or d), such as 1500ms";
	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
			return "is too large";
	if (!*unit && number)
		return "needs a unit: ms, s, m, h or d";
	for (size_t i = 0; *unit && i <= UNIT_COUNT; i++) {
		if (i == UNIT_COUNT)
			return "must end with one unit: ms, s, m, h or d";
		if (strcmp(unit, units[i].name))
			continue;
		if (__builtin_mul_overflow(number, units[i].ms, &number))
			return "is too large";
		break;
	}
	*ms = number;
	return NULL;
}

void duration_print(struct buf *out, uint64_t ms)
{
	size_t i = 0;

	while (i + 1 < UNIT_COUNT && (!ms || ms % units[i].ms))
		i++;
	buf_u64(out, ms / units[i].ms);
	buf_puts(out, units[i].name);
}

/* parse_host - an IPv4 address, localhost, or an IPv6 address in brackets */
static bool parse_host(const char *text, size_t len, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	char host[64];
	bool in_brackets = len > 1 && text[0] == '[' && text[len - 1] == ']';

	if (in_brackets) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*address = (struct sockaddr_storage){0};
	if (in_brackets) {
		if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
			return false;
		memcpy(address, &v6, sizeof(v6));
		return true;
	}
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &v4.sin_addr) != 1)
		return false;
	memcpy(address, &v4, sizeof(v4));
	return true;
}

const char *address_parse(const char *text, struct sockaddr_storage *address)
{
	const char *colon = strrchr(text, ':');
	unsigned long port;

	if (!colon)
		return "must be ADDRESS:PORT";
	if (colon == text)
		return "needs an address before the port; for all of them write 0.0.0.0 or [::]";
	if (!colon[1] || strspn(colon + 1, DIGITS) != strlen(colon + 1) || strlen(colon + 1) > 5)
		return "must end with a port from 1 to 65535";
	port = strtoul(colon + 1, NULL, 10);
	if (port < 1 || port > 65535)
		return "must end with a port from 1 to 65535";
	if (!parse_host(text, (size_t)(colon - text), (uint16_t)port, address))
		return "needs an IPv4 address, an IPv6 address in [brackets] or localhost before the port";
	return NULL;
}

const char *prefix_check(const char *text)
{
	if (!*text)
		return NULL;
	if (strlen(text) > PREFIX_MAX)
		return "is too long";
	if (!isascii(*text) || !isalpha((unsigned char)*text))
		return "must begin with a letter";
	if (strspn(text, LETTERS DIGITS "_") != strlen(text))
		return "must consist of letters, digits and underscores";
	/* Prometheus makes one underscore of several, so pull and push would differ. */
	if (strstr(text, "__") || text[strlen(text) - 1] == '_')
		return "must have underscores only singly and between other characters";
	return NULL;
}

const char *path_check(const char *text)
{
	static const char *const taken[] = {"/", "/healthz", "/readyz"};

	if (*text != '/')
		return "must begin with a slash";
	if (strspn(text, LETTERS DIGITS "/._~-") != strlen(text))
		return "must consist of letters, digits and / . _ ~ -";
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(text, taken[i]))
			return "is the path of another page";
	return NULL;
}

const char *text_check(const char *text)
{
	if (!*text)
		return "is empty";
	if (!utf8_valid(text))
		return "is not well-formed UTF-8";
	for (const char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			return "must not contain control characters";
	return NULL;
}

/* add_path - append to the path of a URL, with one slash between */
static bool add_path(CURLU *url, const char *add, struct arena *mem)
{
	char *path = NULL;
	const char *longer;

	if (curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK)
		return false;
	longer = arena_printf(mem, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", add);
	curl_free(path);
	return curl_url_set(url, CURLUPART_PATH, longer, 0) == CURLUE_OK;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK && *text;

	curl_free(text);
	return is_there;
}

const char *url_parse(const char *text, const char *add, struct arena *mem, const char **url)
{
	CURLU *parts;
	CURLUcode code;
	const char *why = NULL;
	char *whole = NULL;

	if (strncasecmp(text, "http://", 7) && strncasecmp(text, "https://", 8))
		return "must be a URL that begins with http:// or https://";
	if (strlen(text) > URL_MAX)
		return "is too long";
	if (strchr("/?#", strstr(text, "://")[3])) /* curl would take the path's first part as host */
		return "has no host";
	if (!(parts = curl_url()))
		return "cannot be parsed: out of memory";
	/* The parser that will be used for the push, so that both read the same. */
	code = curl_url_set(parts, CURLUPART_URL, text, 0);
	if (code != CURLUE_OK)
		why = curl_url_strerror(code);
	else if (has_part(parts, CURLUPART_USER) || has_part(parts, CURLUPART_PASSWORD))
		why = "must not hold a user or password; give an Authorization header";
	else if (has_part(parts, CURLUPART_FRAGMENT))
		why = "must not have a fragment (#...)";
	else if ((add && !add_path(parts, add, mem)) || curl_url_get(parts, CURLUPART_URL, &whole, 0) != CURLUE_OK)
		why = "cannot be taken apart";
	else
		*url = arena_strdup(mem, whole);
	curl_free(whole);
	curl_url_cleanup(parts);
	return why;
}

char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && strchr(" \t", text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

/* sent_anyway - headers that describe the body: another value than the push's own would be a lie */
static bool sent_anyway(const char *name)
{
	static const char *const names[] = {"content-type", "content-length", "content-encoding", "transfer-encoding"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return false;
}

const char *header_parse(const char *text, struct arena *mem, const char **header)
{
	char *name = arena_strdup(mem, text), *value = strchr(name, ':');

	if (strlen(text) > HEADER_MAX)
		return "is too long";
	if (!value)
		return "must look like \"Name: value\"";
	*value++ = '\0';
	name = trim(name);
	value = trim(value);
	if (!*name || strspn(name, LETTERS DIGITS "!#$%&'*+-.^_`|~") != strlen(name))
		return "must have a name of letters, digits and - before the colon";
	if (!*value)
		return "must have a value behind the colon";
	for (const char *c = value; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return "must not contain control characters";
	if (sent_anyway(name))
		return "describes the body and is always sent as it must be";
	*header = arena_printf(mem, "%s: %s", name, value);
	return NULL;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool percent_decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '%') {
			int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);

			if (low < 0 || !(high * 16 + low))
				return false;
			*to++ = (char)(high * 16 + low);
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
	return true;
}
