// SPDX-License-Identifier: GPL-2.0
/*
 * SEAMCALL wrappers of the leaves that the kernel tree does not know.
 *
 * This file uses nothing but the kernel's tdx_seamcall*().  But for its include
 * and for TDH_SYS_RD and TDH_PHYMEM_PAGE_RDMD, which are known there, it could
 * move into arch/x86/virt/vmx/tdx/tdx.c as it stands.
 *
 * No copy of Intel's documents of TDX Connect was at hand: leaf numbers and
 * operands are those of the public host patches, which name the documents
 * cited below.
 */
#include <asm/tdx.h>

#include <tdx_pages/seamcall.h>

#define TDH_PHYMEM_PAGE_RDMD	24
#define TDH_SYS_RD		34
#define TDH_EXT_INIT		60
#define TDH_EXT_MEM_ADD		61
#define TDH_IOMMU_SETUP		128
#define TDH_IOMMU_CLEAR		129
#define TDH_SPDM_CREATE		130
#define TDH_SPDM_DELETE		131
#define TDH_IDE_STREAM_CREATE	132
#define TDH_IDE_STREAM_BLOCK	133
#define TDH_IDE_STREAM_DELETE	134
#define TDH_IDE_STREAM_KM	135
#define TDH_SPDM_CONNECT	142
#define TDH_SPDM_DISCONNECT	143
#define TDH_SPDM_MNG		144

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

/**
 * tdh_phymem_page_rdmd() - TDH.PHYMEM.PAGE.RDMD, leaf 24: read what the TDX
 *                          module knows of a page
 * @hpa: the page; RCX in
 * @page_type: its type; RCX out
 * @owner: whose it is; RDX out
 * @level: its size level; R8 out
 * @epoch: its epoch, for some types; R9 out
 *
 * Source: TDX Module base ABI.
 *
 * Return: the status in RAX.
 */
u64 tdh_phymem_page_rdmd(u64 hpa, u64 *page_type, u64 *owner, u64 *level, u64 *epoch)
{
	struct tdx_module_args args = {
		.rcx = hpa,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_PHYMEM_PAGE_RDMD, &args);
	*page_type = args.rcx;
	*owner = args.rdx;
	*level = args.r8;
	*epoch = args.r9;

	return ret;
}

/**
 * tdh_spdm_create() - TDH.SPDM.CREATE, leaf 130: make a session with a device
 * @func_id: the function: requester id in 15:0, segment in 23:16, segment valid
 *           in 24; RCX in
 * @spdm_mt: HPA_ARRAY_T of SPDM_MT_PAGE_COUNT pages, with later TDX modules
 *           their HPA_LIST_INFO; RDX in
 * @spdm_id: what the TDX module calls this session; RCX out
 *
 * Source: Intel document 858625, TDX Connect ABI, section 3.2; operands from
 * the host patches of 2026-03.
 *
 * Return: the status in RAX.
 */
u64 tdh_spdm_create(u64 func_id, u64 spdm_mt, u64 *spdm_id)
{
	struct tdx_module_args args = {
		.rcx = func_id,
		.rdx = spdm_mt,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_SPDM_CREATE, &args);
	*spdm_id = args.rcx;

	return ret;
}

/**
 * tdh_spdm_delete() - TDH.SPDM.DELETE, leaf 131: end a session
 * @spdm_id: the session; RCX in
 * @aux: HPA of a page that the list of released pages may be written to, 0 for
 *       a single page; RDX in.  Later TDX modules take the id only: pass 0.
 * @released: HPA_ARRAY_T of the released pages; RCX out.  Later TDX modules
 *            have no output.
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_spdm_delete(u64 spdm_id, u64 aux, u64 *released)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = aux,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_SPDM_DELETE, &args);
	*released = args.rcx;

	return ret;
}

/**
 * tdh_spdm_connect() - TDH.SPDM.CONNECT, leaf 142: connect a session to its
 *                      device
 * @spdm_id: the session; RCX in
 * @config: HPA of the configuration page; RDX in
 * @response: HPA of the page with the device's last response; R8 in
 * @request: HPA of the page for the next request; R9 in
 * @dev_info: HPA_ARRAY_T of the pages for the device info; R10 in
 * @len: bytes of the request; at the end, of the device info; RCX out
 *
 * With TDX_SPDM_REQUEST it wants the request sent and is to be called again
 * with the same operands and the response in place.  An interrupted call is
 * made again with the same operands.
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_spdm_connect(u64 spdm_id, u64 config, u64 response, u64 request,
		     u64 dev_info, u64 *len)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = config,
		.r8 = response,
		.r9 = request,
		.r10 = dev_info,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_SPDM_CONNECT, &args);
	*len = args.rcx;

	return ret;
}

/**
 * tdh_spdm_disconnect() - TDH.SPDM.DISCONNECT, leaf 143: disconnect a session
 * @spdm_id: the session; RCX in
 * @response: HPA of the page with the device's last response; RDX in
 * @request: HPA of the page for the next request; R8 in
 * @len: bytes of the request; RCX out
 *
 * Called again as tdh_spdm_connect() is.
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_spdm_disconnect(u64 spdm_id, u64 response, u64 request, u64 *len)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = response,
		.r8 = request,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_SPDM_DISCONNECT, &args);
	*len = args.rcx;

	return ret;
}

/**
 * tdh_spdm_mng() - TDH.SPDM.MNG, leaf 144: look after a connected session
 * @spdm_id: the session; RCX in
 * @operation: 0 heartbeat, 1 key update, 2 device info again; RDX in
 * @param: HPA of a page with parameters, or all ones; R8 in
 * @response: HPA of the page with the device's last response; R9 in
 * @request: HPA of the page for the next request; R10 in
 * @dev_info: HPA_ARRAY_T of the pages for the device info, or all ones; R11 in
 * @len: bytes of the request; at the end, of the device info; RCX out
 *
 * Called again as tdh_spdm_connect() is.
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_spdm_mng(u64 spdm_id, u64 operation, u64 param, u64 response,
		 u64 request, u64 dev_info, u64 *len)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = operation,
		.r8 = param,
		.r9 = response,
		.r10 = request,
		.r11 = dev_info,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_SPDM_MNG, &args);
	*len = args.rcx;

	return ret;
}

/**
 * tdh_ide_stream_create() - TDH.IDE.STREAM.CREATE, leaf 132: make an IDE stream
 * @stream_info: root port's device and function in 7:0, selective in 8; RCX in
 * @spdm_id: the session; RDX in
 * @stream_mt: HPA_ARRAY_T of IDE_MT_PAGE_COUNT pages; R8 in.  That later TDX
 *             modules take their HPA_LIST_INFO is inferred.
 * @control: image of the Selective IDE Stream Control register; R9 in
 * @rid1: image of RID Association Register 1; R10 in
 * @rid2: image of RID Association Register 2; R11 in
 * @addr1: image of Address Association Register 1; R12 in
 * @addr2: image of Address Association Register 2; R13 in
 * @addr3: image of Address Association Register 3; R14 in
 * @stream_id: what the TDX module calls this stream; RCX out
 * @ide_id: the stream id at the root port; RDX out
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_ide_stream_create(u64 stream_info, u64 spdm_id, u64 stream_mt,
			  u64 control, u64 rid1, u64 rid2, u64 addr1, u64 addr2,
			  u64 addr3, u64 *stream_id, u64 *ide_id)
{
	struct tdx_module_args args = {
		.rcx = stream_info,
		.rdx = spdm_id,
		.r8 = stream_mt,
		.r9 = control,
		.r10 = rid1,
		.r11 = rid2,
		.r12 = addr1,
		.r13 = addr2,
		.r14 = addr3,
	};
	u64 ret;

	/* The other entries do not load R12 and above. */
	ret = tdx_seamcall_saved_ret(TDH_IDE_STREAM_CREATE, &args);
	*stream_id = args.rcx;
	*ide_id = args.rdx;

	return ret;
}

/**
 * tdh_ide_stream_block() - TDH.IDE.STREAM.BLOCK, leaf 133: stop an IDE stream
 * @spdm_id: the session; RCX in
 * @stream_id: the stream; RDX in
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_ide_stream_block(u64 spdm_id, u64 stream_id)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = stream_id,
	};

	return tdx_seamcall(TDH_IDE_STREAM_BLOCK, &args);
}

/**
 * tdh_ide_stream_delete() - TDH.IDE.STREAM.DELETE, leaf 134: end an IDE stream
 * @spdm_id: the session; RCX in
 * @stream_id: the stream; RDX in
 * @aux: HPA of a page that the list of released pages may be written to, 0 for
 *       a single page; R8 in.  That later TDX modules have no such operand is
 *       inferred: pass 0.
 * @released: HPA_ARRAY_T of the released pages; RCX out.  Later TDX modules
 *            have no output, as inferred.
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_ide_stream_delete(u64 spdm_id, u64 stream_id, u64 aux, u64 *released)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = stream_id,
		.r8 = aux,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_IDE_STREAM_DELETE, &args);
	*released = args.rcx;

	return ret;
}

/**
 * tdh_ide_stream_km() - TDH.IDE.STREAM.KM, leaf 135: manage the keys of an IDE
 *                       stream
 * @spdm_id: the session; RCX in
 * @stream_id: the stream; RDX in
 * @operation: 0 set up, 1 refresh, 2 stop; R8 in
 * @response: HPA of the page with the device's last response; R9 in
 * @request: HPA of the page for the next request; R10 in
 * @len: bytes of the request; RCX out
 *
 * Called again as tdh_spdm_connect() is.
 *
 * Source: as for tdh_spdm_create().
 *
 * Return: the status in RAX.
 */
u64 tdh_ide_stream_km(u64 spdm_id, u64 stream_id, u64 operation, u64 response,
		      u64 request, u64 *len)
{
	struct tdx_module_args args = {
		.rcx = spdm_id,
		.rdx = stream_id,
		.r8 = operation,
		.r9 = response,
		.r10 = request,
	};
	u64 ret;

	ret = tdx_seamcall_ret(TDH_IDE_STREAM_KM, &args);
	*len = args.rcx;

	return ret;
}
