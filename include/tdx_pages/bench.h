/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For `make bench` only: built in with TDX_PAGES_BENCH=1.
 */
#ifndef TDX_PAGES_BENCH_H
#define TDX_PAGES_BENCH_H

#include <linux/types.h>

/*
 * bench/rival.c: plain C.  Rust, in rust/tdx_pages/bench.rs: this kernel module.
 * Both the same functions, each on what its new() gave.  Those that can fail
 * return an error and leave things as they were.  May sleep, but for nothing.
 */
#define TDX_PAGES_BENCH_FUNCTIONS(who)						\
	void *who##_new(const void *context);					\
	void who##_drop(void *what);						\
	int who##_create(void *what, unsigned long pages);			\
	int who##_create_tables(void *what, unsigned long pages);		\
	int who##_hand_over(void *what);					\
	int who##_set_up(void *what, u64 reg_base);				\
	int who##_hold(void *what);						\
	int who##_release(void *what);						\
	int who##_clear(void *what);						\
	int who##_recover(void *what);						\
	void who##_free(void *what)

TDX_PAGES_BENCH_FUNCTIONS(tdx_pages_bench);
TDX_PAGES_BENCH_FUNCTIONS(rival);

/* Bytes of the values themselves, what they allocate not counted. */
size_t tdx_pages_bench_size(void);
size_t rival_size(void);

/* rust/helpers/emu.c: what SEAMCALLs took in the software TDX Module, and how many there were. */
extern u64 tdx_emu_bench_ticks;
extern u64 tdx_emu_bench_calls;

/* bench/bench.c */
int tdx_pages_bench_add(const void *context);
void tdx_pages_bench_remove(void);

/*
 * The end of a use for which the interface has no leaf: the software TDX Module
 * forgets all pages.  What it had can be proved then.
 */
u64 tdx_pages_bench_forget(void);
/* All pages of a list are gone through now. */
void tdx_pages_bench_pass(void);
/* The KeyID to flush with; Rust. */
u16 tdx_pages_bench_keyid(const void *context);

#endif /* TDX_PAGES_BENCH_H */
