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
u64 tdh_phymem_page_rdmd(u64 hpa, u64 *page_type, u64 *owner, u64 *level, u64 *epoch);

u64 tdh_spdm_create(u64 func_id, u64 spdm_mt, u64 *spdm_id);
u64 tdh_spdm_delete(u64 spdm_id, u64 aux, u64 *released);
u64 tdh_spdm_connect(u64 spdm_id, u64 config, u64 response, u64 request,
		     u64 dev_info, u64 *len);
u64 tdh_spdm_disconnect(u64 spdm_id, u64 response, u64 request, u64 *len);
u64 tdh_spdm_mng(u64 spdm_id, u64 operation, u64 param, u64 response,
		 u64 request, u64 dev_info, u64 *len);

u64 tdh_ide_stream_create(u64 stream_info, u64 spdm_id, u64 stream_mt,
			  u64 control, u64 rid1, u64 rid2, u64 addr1, u64 addr2,
			  u64 addr3, u64 *stream_id, u64 *ide_id);
u64 tdh_ide_stream_block(u64 spdm_id, u64 stream_id);
u64 tdh_ide_stream_delete(u64 spdm_id, u64 stream_id, u64 aux, u64 *released);
u64 tdh_ide_stream_km(u64 spdm_id, u64 stream_id, u64 operation, u64 response,
		      u64 request, u64 *len);

#endif /* TDX_PAGES_SEAMCALL_H */
