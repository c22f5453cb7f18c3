/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SEAMCALL wrappers of the leaves that the kernel tree does not know.
 *
 * In the manner of the kernel's own in arch/x86/virt/vmx/tdx/tdx.c: physical
 * operands in, the raw status out, outputs through pointers.  They check
 * nothing and decide nothing.  An output is what the register holds after the
 * call, whatever the status: only the caller knows when it means something.
 *
 * None sleeps.  Each takes as long as one SEAMCALL with preemption disabled, and
 * may be called in any context that can bear that.
 */
#ifndef TDX_PAGES_SEAMCALL_H
#define TDX_PAGES_SEAMCALL_H

#include <linux/types.h>

u64 tdh_sys_rd(u64 field_id, u64 *value);
u64 tdh_ext_mem_add(u64 list_info, u64 *next_list_info);
u64 tdh_ext_init(void);
u64 tdh_iommu_setup(u64 reg_base, u64 iommu_mt, u64 *iommu_id);
u64 tdh_iommu_clear(u64 iommu_id, u64 root);

#endif /* TDX_PAGES_SEAMCALL_H */
