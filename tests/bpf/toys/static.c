/* SPDX-License-Identifier: Apache-2.0 */
/* A server without symbols: a stripped static-pie whose own log function is only known by the texts it is called
 * with. Usage: static CALLS. Says "r", waits for "g", calls CALLS times in each of two threads, says "d", waits for
 * the end of its input. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static __attribute__((noipa)) void say(int level, const char *text, long number)
{
	(void)level;
	(void)text;
	(void)number;
	__asm__ volatile("" ::: "rbx", "memory");
}

static void *work(void *calls)
{
	for (long i = 0, count = (long)calls; i < count; i++) {
		switch (i % 5) {
		case 0:
		case 1:
			say(1, "connect from %s", i);
			break;
		case 2:
			say(1, "disconnect from %s", i);
			break;
		case 3:
			say(2, "login of %ld refused", i);
			break;
		default:
			say(3, "nothing that is counted", i);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	void *calls = argc > 1 ? (void *)strtol(argv[1], NULL, 10) : NULL;
	pthread_t thread;
	char byte;

	if (write(1, "r", 1) != 1 || read(0, &byte, 1) != 1)
		return 1;
	if (pthread_create(&thread, NULL, work, calls))
		return 1;
	work(calls);
	pthread_join(thread, NULL);
	return write(1, "d", 1) != 1 || read(0, &byte, 1) != 0;
}
