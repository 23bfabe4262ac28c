/* SPDX-License-Identifier: Apache-2.0 */
#include "export/thread.h"

#include <signal.h>

#include "base/clock.h"

int thread_start(pthread_t *out, const char *name, void *(*body)(void *), void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the new thread */
	err = pthread_create(out, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		pthread_setname_np(*out, name);
	return -err;
}

uint64_t monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}
