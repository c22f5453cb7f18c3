// SPDX-License-Identifier: GPL-2.0
/*
 * The trace points.  Rust looks at their static keys and calls these only when
 * somebody listens.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/tdx_pages.h>

#include <tdx_pages/trace.h>

void tdx_pages_trace_seamcall(const char *leaf, const char *status, u64 raw, u64 ns)
{
	trace_tdx_pages_seamcall(leaf, status, raw, ns);
}

void tdx_pages_trace_hand_over(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_hand_over(owner, pages, what);
}

void tdx_pages_trace_held(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_held(owner, pages, what);
}

void tdx_pages_trace_held_for_good(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_held_for_good(owner, pages, what);
}

void tdx_pages_trace_release(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_release(owner, pages, what);
}

void tdx_pages_trace_back(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_back(owner, pages, what);
}

void tdx_pages_trace_quarantined(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_quarantined(owner, pages, what);
}

void tdx_pages_trace_retried(const char *owner, unsigned long pages, const char *what)
{
	trace_tdx_pages_retried(owner, pages, what);
}

void tdx_pages_trace_proof(u64 hpa, const char *status, u64 raw)
{
	trace_tdx_pages_proof(hpa, status, raw);
}
