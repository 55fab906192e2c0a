/* SPDX-License-Identifier: AGPL-3.0-only */
#ifndef LEFT_H
#define LEFT_H
typedef struct left {
    int a; 
	int b;
} left; // XXX
/* TODO: more
 * FIXME: less */
#endif
