/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What rust/tdx_pages/bindings.rs is made from.
 */
#ifndef TDX_PAGES_TDX_PAGES_H
#define TDX_PAGES_TDX_PAGES_H

#include <asm/tdx.h>

#include <linux/tdx_pages.h>

#include <tdx_pages/helpers.h>
#include <tdx_pages/seamcall.h>
#include <tdx_pages/trace.h>
#ifdef TDX_PAGES_KUNIT
#include <tdx_pages/test.h>
#endif
#ifdef TDX_PAGES_BENCH
#include <tdx_pages/bench.h>
#endif

#endif /* TDX_PAGES_TDX_PAGES_H */
