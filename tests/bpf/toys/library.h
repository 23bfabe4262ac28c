/* SPDX-License-Identifier: Apache-2.0 */
/* library.h - what library.c exports; tests look the functions up by dlsym, since there are several builds of it. */
#ifndef MAILGAUGE_TOY_LIBRARY_H
#define MAILGAUGE_TOY_LIBRARY_H

#define TOY_NINE long a0, long a1, long a2, long a3, long a4, long a5, long a6, long a7, long a8
#define TOY_MANY 300 /* toy_many_100 ... toy_many_399 */

long toy_one(TOY_NINE);
long toy_two(TOY_NINE);
long toy_three(TOY_NINE);
long toy_four(TOY_NINE);
long toy_log(TOY_NINE);
void toy_log_at_once(long which);
void toy_log_merged(long which);
long toy_log_jump(TOY_NINE);
long toy_log_numbers(long which);

#endif
