/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inline functions and macros of the kernel that Rust cannot reach.  No policy:
 * what to do with an answer is decided by the caller.
 */
#ifndef TDX_PAGES_HELPERS_H
#define TDX_PAGES_HELPERS_H

#include <linux/types.h>

struct page;
struct seq_file;
struct tdx_pages_worker;

/* mm.c: memory by HPA; 0 is no page that the allocator would give. */
unsigned int tdx_pages_largest_order(unsigned int most, int nid);
u64 tdx_pages_alloc_block(unsigned int order, int nid, bool zero);
size_t tdx_pages_alloc_singles(u64 *hpas, size_t count, int nid);
size_t tdx_pages_free_singles(const u64 *hpas, size_t count);
void tdx_pages_free_block(u64 hpa, unsigned int order);
void tdx_pages_split_block(u64 hpa, unsigned int order);
u64 tdx_pages_alloc_folio(unsigned int order, int nid);
void tdx_pages_free_folio(u64 hpa);
void *tdx_pages_va(u64 hpa);
void *tdx_pages_vmap(struct page **pages, unsigned int count);
void tdx_pages_vunmap(const void *va);
void tdx_pages_copy_out(void *to, u64 hpa, size_t len);
void tdx_pages_copy_in(u64 hpa, const void *from, size_t len);
struct page *tdx_pages_page(u64 hpa);
int tdx_pages_nid(u64 hpa);
u64 tdx_pages_available(void);
void tdx_pages_clflush(u64 hpa, u64 bytes);

/* kernel.c: the platform. */
bool tdx_pages_on_tdx_platform(void);
bool tdx_pages_has_pw_mce(void);
unsigned int tdx_pages_phys_bits(void);
const void *tdx_pages_dmar_get(size_t *len);
void tdx_pages_dmar_put(const void *table);
int tdx_pages_proximity_node(u32 proximity);
bool tdx_pages_dynamic_pamt(void);
unsigned int tdx_pages_possible_cpus(void);
void tdx_pages_resched(void);
u64 tdx_pages_ticks(void);
unsigned int tdx_pages_tsc_khz(void);
unsigned long tdx_pages_jiffies(void);
u64 tdx_pages_ns_since(unsigned long then);
bool tdx_pages_may_tell(void);
bool tdx_pages_may_tell_news(void);
bool tdx_pages_may_tell_misuse(void);
bool tdx_pages_hold(void);
void tdx_pages_let_go(void);

/* worker.c: tries again later, and hears of a reboot. */
struct tdx_pages_worker *tdx_pages_worker_new(const void *context);
void tdx_pages_worker_kick(struct tdx_pages_worker *worker, unsigned long ms);
void tdx_pages_worker_stop(struct tdx_pages_worker *worker);
void tdx_pages_worker_free(struct tdx_pages_worker *worker);

/* What worker.c calls; Rust, in rust/tdx_pages/worker.rs. */
unsigned long tdx_pages_retry(const void *context);
void tdx_pages_retry_now(const void *context);
void tdx_pages_down(const void *context);

/* debugfs.c: files that hold the kernel module while they are open. */
int tdx_pages_debugfs_add(const void *context);
void tdx_pages_debugfs_remove(void);

/* What debugfs.c calls; Rust, in rust/tdx_pages/debugfs/mod.rs. */
void tdx_pages_show_summary(struct seq_file *m, const void *context);
void tdx_pages_show_users(struct seq_file *m, const void *context);
void tdx_pages_show_objects(struct seq_file *m, const void *context);
void tdx_pages_show_handles(struct seq_file *m, const void *context);
void tdx_pages_show_quarantine(struct seq_file *m, const void *context);
void tdx_pages_show_seamcalls(struct seq_file *m, const void *context);
void tdx_pages_show_features(struct seq_file *m, const void *context);
void tdx_pages_show_state(struct seq_file *m, const void *context);

#endif /* TDX_PAGES_HELPERS_H */
