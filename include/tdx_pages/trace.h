/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trace.c: the trace points of include/trace/events/tdx_pages.h, for Rust.
 */
#ifndef TDX_PAGES_TRACE_H
#define TDX_PAGES_TRACE_H

#include <linux/tracepoint-defs.h>
#include <linux/types.h>

/* Their static keys. */
DECLARE_TRACEPOINT(tdx_pages_seamcall);
DECLARE_TRACEPOINT(tdx_pages_hand_over);
DECLARE_TRACEPOINT(tdx_pages_held);
DECLARE_TRACEPOINT(tdx_pages_held_for_good);
DECLARE_TRACEPOINT(tdx_pages_release);
DECLARE_TRACEPOINT(tdx_pages_back);
DECLARE_TRACEPOINT(tdx_pages_quarantined);
DECLARE_TRACEPOINT(tdx_pages_retried);
DECLARE_TRACEPOINT(tdx_pages_proof);

void tdx_pages_trace_seamcall(const char *leaf, const char *status, u64 raw, u64 ns);
void tdx_pages_trace_hand_over(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_held(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_held_for_good(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_release(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_back(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_quarantined(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_retried(const char *owner, unsigned long pages, const char *what);
void tdx_pages_trace_proof(u64 hpa, const char *status, u64 raw);

#endif /* TDX_PAGES_TRACE_H */
