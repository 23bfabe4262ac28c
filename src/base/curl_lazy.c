/* SPDX-License-Identifier: Apache-2.0 */
/* curl_lazy.c - owns the loading of libcurl: its functions under their own names, the library behind them loaded when
 * the first one is called. libcurl brings a dozen libraries (TLS, Kerberos, LDAP, SSH), 3 MB of resident memory that
 * a collector which does not push should not hold. Callers just include <curl/curl.h>.
 *
 * Every argument of the variadic functions is a pointer, a long or a curl_off_t: on the 64-bit machines that we run on
 * one register each, so they are handed on as pointers. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBCURL "libcurl.so.4"

_Static_assert(sizeof(void *) == 8 && sizeof(long) == 8 && sizeof(curl_off_t) == 8, "see above");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library;

static void load(void)
{
	library = dlopen(LIBCURL, RTLD_LAZY | RTLD_LOCAL);
}

/* function - of libcurl. Without it the program ends, as it would have when it started, had it been linked to it. */
static void *function(const char *name)
{
	void *found;

	pthread_once(&once, load);
	found = library ? dlsym(library, name) : NULL;
	if (!found) {
		fprintf(stderr, "mailgauge: pushing needs libcurl (Debian: libcurl4): %s\n", dlerror());
		exit(1);
	}
	return found;
}

#define HAND_ON(type, name, parameters, arguments)                                                                 \
	type(name) parameters                                                                                      \
	{                                                                                                          \
		static type(*real) parameters;                                                                     \
		if (!__atomic_load_n(&real, __ATOMIC_ACQUIRE))                                                     \
			__atomic_store_n(&real, (type(*) parameters)(uintptr_t)function(#name), __ATOMIC_RELEASE); \
		return real arguments;                                                                             \
	}

HAND_ON(CURLcode, curl_global_init, (long flags), (flags))
HAND_ON(void, curl_global_cleanup, (void), ())
HAND_ON(void, curl_free, (void *memory), (memory))
HAND_ON(CURL *, curl_easy_init, (void), ())
HAND_ON(void, curl_easy_cleanup, (CURL * easy), (easy))
HAND_ON(const char *, curl_easy_strerror, (CURLcode code), (code))
HAND_ON(CURLM *, curl_multi_init, (void), ())
HAND_ON(CURLMcode, curl_multi_cleanup, (CURLM * multi), (multi))
HAND_ON(CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *easy), (multi, easy))
HAND_ON(CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL *easy), (multi, easy))
HAND_ON(CURLMcode, curl_multi_perform, (CURLM * multi, int *running), (multi, running))
HAND_ON(CURLMcode, curl_multi_poll,
	(CURLM * multi, struct curl_waitfd extra[], unsigned int extra_cnt, int timeout_ms, int *ready),
	(multi, extra, extra_cnt, timeout_ms, ready))
HAND_ON(CURLMcode, curl_multi_wakeup, (CURLM * multi), (multi))
HAND_ON(CURLMsg *, curl_multi_info_read, (CURLM * multi, int *left), (multi, left))
HAND_ON(struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text), (list, text))
HAND_ON(void, curl_slist_free_all, (struct curl_slist * list), (list))
HAND_ON(CURLU *, curl_url, (void), ())
HAND_ON(void, curl_url_cleanup, (CURLU * url), (url))
#if LIBCURL_VERSION_NUM >= 0x080000
#define URL_CONST const
#else
#define URL_CONST
#endif
HAND_ON(CURLUcode, curl_url_get, (URL_CONST CURLU * url, CURLUPart what, char **part, unsigned int flags),
	(url, what, part, flags))
HAND_ON(CURLUcode, curl_url_set, (CURLU * url, CURLUPart what, const char *part, unsigned int flags),
	(url, what, part, flags))
HAND_ON(const char *, curl_url_strerror, (CURLUcode code), (code))

CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
	CURLcode (*real)(CURL *, CURLoption, ...) =
	    (CURLcode(*)(CURL *, CURLoption, ...))(uintptr_t)function("curl_easy_setopt");
	va_list args;
	void *value;

	va_start(args, option);
	value = va_arg(args, void *);
	va_end(args);
	return real(easy, option, value);
}

CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
	CURLcode (*real)(CURL *, CURLINFO, ...) =
	    (CURLcode(*)(CURL *, CURLINFO, ...))(uintptr_t)function("curl_easy_getinfo");
	va_list args;
	void *value;

	va_start(args, info);
	value = va_arg(args, void *);
	va_end(args);
	return real(easy, info, value);
}
