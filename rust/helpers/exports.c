// SPDX-License-Identifier: GPL-2.0
/*
 * What other drivers may call.  The functions are Rust's, in rust/tdx_pages/capi/,
 * which holds them against the declarations in the header.
 */
#include <linux/export.h>

#include <linux/tdx_pages.h>

/* The functions themselves are in another language, and another file. */
#define EXPORT(symbol) EXPORT_SYMBOL_GPL(symbol)

EXPORT(tdx_pages_register);
EXPORT(tdx_pages_unregister);
EXPORT(tdx_pages_user_balance);

EXPORT(tdx_page_array_create);
EXPORT(tdx_page_array_nr_pages);
EXPORT(tdx_page_array_nid);
EXPORT(tdx_page_array_read);
EXPORT(tdx_page_array_write);
EXPORT(tdx_page_array_vmap);
EXPORT(tdx_page_array_vunmap);
EXPORT(tdx_page_array_end);

EXPORT(tdx_iommu_setup);
EXPORT(tdx_iommu_id);
EXPORT(tdx_iommu_end);

EXPORT(tdx_spdm_session_create);
EXPORT(tdx_spdm_session_connect);
EXPORT(tdx_spdm_session_device_info);
EXPORT(tdx_spdm_session_manage);
EXPORT(tdx_spdm_session_disconnect);
EXPORT(tdx_spdm_session_id);
EXPORT(tdx_spdm_session_end);

EXPORT(tdx_ide_stream_create);
EXPORT(tdx_ide_stream_set_up_keys);
EXPORT(tdx_ide_stream_refresh_keys);
EXPORT(tdx_ide_stream_stop_keys);
EXPORT(tdx_ide_stream_id);
EXPORT(tdx_ide_stream_end);
