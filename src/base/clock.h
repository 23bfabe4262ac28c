/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - owns the reading of the system's clocks as one number. It knows no use of time. */
#ifndef MAILGAUGE_CLOCK_H
#define MAILGAUGE_CLOCK_H
#include <stdint.h>
#include <time.h>

/* clock_ns, clock_ms - CLOCK_REALTIME: since 1970; CLOCK_BOOTTIME and CLOCK_MONOTONIC: for intervals and deadlines */
uint64_t clock_ns(clockid_t clock);
uint64_t clock_ms(clockid_t clock);

#endif
