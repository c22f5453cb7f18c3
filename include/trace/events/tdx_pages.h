/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace points of tdx_pages.ko: what becomes of pages, and each SEAMCALL.
 *
 * Texts come decoded from Rust: who owns an object, leaves and statuses by name.
 * Such a text has the 64 bits of the status; raw is there for filters.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tdx_pages

#if !defined(_TRACE_TDX_PAGES_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_TDX_PAGES_H

#include <linux/tracepoint.h>

/* One SEAMCALL: its leaf, what it answered, and how long it took. */
TRACE_EVENT(tdx_pages_seamcall,
	TP_PROTO(const char *leaf, const char *status, u64 raw, u64 ns),
	TP_ARGS(leaf, status, raw, ns),
	TP_STRUCT__entry(
		__string(leaf, leaf)
		__string(status, status)
		__field(u64, raw)
		__field(u64, ns)
	),
	TP_fast_assign(
		__assign_str(leaf);
		__assign_str(status);
		__entry->raw = raw;
		__entry->ns = ns;
	),
	TP_printk("%s answered %s after %llu ns", __get_str(leaf),
		  __get_str(status), __entry->ns)
);

/* An object: who owns it, how many pages it is about, and what led to this. */
DECLARE_EVENT_CLASS(tdx_pages_object,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what),
	TP_STRUCT__entry(
		__string(owner, owner)
		__field(unsigned long, pages)
		__string(what, what)
	),
	TP_fast_assign(
		__assign_str(owner);
		__entry->pages = pages;
		__assign_str(what);
	),
	TP_printk("%s: %lu pages%s", __get_str(owner), __entry->pages,
		  __get_str(what))
);

/* On record, and about to be handed over. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_hand_over,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));
/* The TDX module has them, to be released. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_held,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));
/* The TDX module has them for good. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_held_for_good,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));
/* They are taken out of their record, to be released. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_release,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));
/* All of them are the host's again. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_back,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));
/* They should be back and are not proved; why is told. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_quarantined,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));
/* They were proved at a later try. */
DEFINE_EVENT(tdx_pages_object, tdx_pages_retried,
	TP_PROTO(const char *owner, unsigned long pages, const char *what),
	TP_ARGS(owner, pages, what));

/* The proof of one page. */
TRACE_EVENT(tdx_pages_proof,
	TP_PROTO(u64 hpa, const char *status, u64 raw),
	TP_ARGS(hpa, status, raw),
	TP_STRUCT__entry(
		__field(u64, hpa)
		__string(status, status)
		__field(u64, raw)
	),
	TP_fast_assign(
		__entry->hpa = hpa;
		__assign_str(status);
		__entry->raw = raw;
	),
	TP_printk("%#llx: %s", __entry->hpa, __get_str(status))
);

#endif /* _TRACE_TDX_PAGES_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
