// SPDX-License-Identifier: GPL-2.0
/*
 * SEAMCALL wrappers of the leaves that the kernel tree does not know.
 *
 * This file uses nothing but the kernel's tdx_seamcall*().  But for its include
 * and for TDH_SYS_RD, which is known there, it could move into
 * arch/x86/virt/vmx/tdx/tdx.c as it stands.
 *
 * No copy of Intel's documents of TDX Connect was at hand: leaf numbers and
 * operands are those of the public host patches, which name the documents
 * cited below.
 */
#include <asm/tdx.h>

#include <tdx_pages/seamcall.h>

#define TDH_SYS_RD		34
#define TDH_EXT_INIT		60
#define TDH_EXT_MEM_ADD		61
#define TDH_IOMMU_SETUP		128
#define TDH_IOMMU_CLEAR		129

/*
 * The statuses that Rust has constants of its own for; bindgen would make
 * negative numbers of them.  rust/abi/status.rs holds the same values.
 */
static_assert(TDX_SUCCESS == 0);
static_assert(TDX_SEAMCALL_VMFAILINVALID == 0x8000ff00ffff0000ULL);
static_assert(TDX_SEAMCALL_GP == 0x8000ff000000000dULL);
static_assert(TDX_SEAMCALL_UD == 0x8000ff0000000006ULL);
static_assert(TDX_RND_NO_ENTROPY == 0x8000020300000000ULL);
static_assert(TDX_INTERRUPTED_RESUMABLE == 0x8000000300000000ULL);
static_assert(TDX_OPERAND_INVALID == 0xc000010000000000ULL);
static_assert(TDX_OPERAND_BUSY == 0x8000020000000000ULL);
static_assert(TDX_PAGE_METADATA_INCORRECT == 0xc000030000000000ULL);
static_assert(TDX_METADATA_FIELD_NOT_READABLE == 0xc0000c0200000000ULL);

/**
 * tdh_sys_rd() - TDH.SYS.RD, leaf 34: read one global metadata field
 * @field_id: the field; RDX in
 * @value: the field's value; R8 out
 *
 * Source: TDX Module base ABI; used by the kernel itself in the same way.
 *
 * Return: the status in RAX.
 */
u64 tdh_sys_rd(u64 field_id, u64 *value)
{
	struct tdx_module_args args = {
		.rdx = field_id,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_SYS_RD, &args);
	*value = args.r8;

	return ret;
}

/**
 * tdh_ext_mem_add() - TDH.EXT.MEM.ADD, leaf 61: add pages to the extension pool
 * @list_info: HPA_LIST_INFO of the pages; RCX in
 * @next_list_info: the same with the first entry advanced; RCX out.  An
 *                  interrupted call is made again with this word.
 *
 * The pages are the TDX module's for good: no leaf gives them back.
 *
 * Source: TDX Module base specification, "TDX Module Extension
 * Initialization"; operands from the host patches of 2026-03 and 2026-05.
 *
 * Return: the status in RAX.
 */
u64 tdh_ext_mem_add(u64 list_info, u64 *next_list_info)
{
	struct tdx_module_args args = {
		.rcx = list_info,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_EXT_MEM_ADD, &args);
	*next_list_info = args.rcx;

	return ret;
}

/**
 * tdh_ext_init() - TDH.EXT.INIT, leaf 60: initialise the extensions
 *
 * No operands.  An interrupted call is made again.
 *
 * Source: as for tdh_ext_mem_add().
 *
 * Return: the status in RAX.
 */
u64 tdh_ext_init(void)
{
	struct tdx_module_args args = {};

	return tdx_seamcall(TDH_EXT_INIT, &args);
}

/**
 * tdh_iommu_setup() - TDH.IOMMU.SETUP, leaf 128: give an IOMMU its IOMMU_MT
 * @reg_base: register base of the remapping unit as in the ACPI DMAR table;
 *            RCX in
 * @iommu_mt: HPA of the IOMMU_MT root page; RDX in
 * @iommu_id: what the TDX module calls this IOMMU; RCX out
 *
 * An interrupted call is made again with the same operands.
 *
 * Source: Intel document 858625, TDX Connect ABI, section 3.2 and table 3.35.
 *
 * Return: the status in RAX.
 */
u64 tdh_iommu_setup(u64 reg_base, u64 iommu_mt, u64 *iommu_id)
{
	struct tdx_module_args args = {
		.rcx = reg_base,
		.rdx = iommu_mt,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_IOMMU_SETUP, &args);
	*iommu_id = args.rcx;

	return ret;
}

/**
 * tdh_iommu_clear() - TDH.IOMMU.CLEAR, leaf 129: take an IOMMU out of TDX mode
 * @iommu_id: the id that SETUP gave; RCX in
 * @root: HPA of a page that the list of the IOMMU_MT's pages may be written
 *        to; RDX in.  Later TDX modules take the id only.
 *
 * An interrupted call is made again with the same operands.
 *
 * Source: Intel document 858625, TDX Connect ABI, section 3.2.
 *
 * Return: the status in RAX.
 */
u64 tdh_iommu_clear(u64 iommu_id, u64 root)
{
	struct tdx_module_args args = {
		.rcx = iommu_id,
		.rdx = root,
	};

	return tdx_seamcall(TDH_IOMMU_CLEAR, &args);
}
