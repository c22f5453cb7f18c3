/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bench/count.c: what a job asks of allocators and locks.  Counted in rounds of
 * their own, which are not timed.
 */
#ifndef TDX_PAGES_BENCH_COUNT_H
#define TDX_PAGES_BENCH_COUNT_H

#include <linux/types.h>

struct bench_counts {
	/* Calls of the page allocator, and pages that are out by them. */
	u64 page_allocs;
	u64 page_frees;
	s64 pages;
	s64 peak_pages;
	/* Calls of kmalloc() and kfree(), and bytes that are out by them. */
	u64 slab_allocs;
	u64 slab_frees;
	s64 bytes;
	s64 peak_bytes;
	/* Mutexes taken, those of them that another thread takes too, and waits. */
	u64 locks;
	u64 shared;
	u64 waits;
	u64 spins;
	/* The longest stretch between two points where another task may run. */
	u64 stretch;
};

int bench_count_begin(void);
void bench_count_end(void);
/* From here on this task is looked at; its counts, and no further. */
void bench_count_on(struct bench_counts *counts);
/* Ends a stretch, for a step begins or ends here. */
void bench_count_step(void);
void bench_count_off(void);

#endif /* TDX_PAGES_BENCH_COUNT_H */
