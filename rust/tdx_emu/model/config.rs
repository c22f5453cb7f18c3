// SPDX-License-Identifier: GPL-2.0

//! How the software TDX Module is loaded.

use crate::abi::field::Field;

/// What a TDX Module is like when it is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Address bits below the KeyID.
    pub(crate) phys_bits: u32,
    /// The KeyID that the TDX Module keeps its own pages with.
    pub(crate) global_keyid: u64,
    /// TDX_FEATURES0.
    pub(crate) features0: u64,
    /// MEMORY_POOL_REQUIRED_PAGES.
    pub(crate) pool_pages: u64,
    /// Whether that is the u32 field, and EXT_REQUIRED the u8 one.
    pub(crate) pool_u32: bool,
    /// EXT_REQUIRED.
    pub(crate) ext_required: u64,
    /// IOMMU_MT_PAGE_COUNT.
    pub(crate) iommu_mt_pages: u64,
    /// SPDM_MT_PAGE_COUNT.
    pub(crate) spdm_mt_pages: u64,
    /// IDE_MT_PAGE_COUNT.
    pub(crate) ide_mt_pages: u64,
    /// SPDM_MAX_DEV_INFO_PAGES.
    pub(crate) spdm_max_dev_info_pages: u64,
    /// The late profile instead of v2: control pages of sessions and streams are named by
    /// HPA_LIST_INFO, and what ends an object takes its id only and writes no list back.
    pub(crate) profile_late: bool,
}

impl Config {
    /// Whether there can be such a TDX Module; else what is wrong and what to do about it.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let pool = if self.pool_u32 {
            Field::POOL_REQUIRED_PAGES_U32
        } else {
            Field::POOL_REQUIRED_PAGES_U16
        };
        if self.pool_pages > pool.max() {
            return Err("pool_pages is above 65535, which the field cannot hold: use pool_u32=1");
        }
        if self.ext_required > Field::EXT_REQUIRED_U8.max() {
            return Err("ext_required is above 255: use 0 or 1");
        }
        if self.iommu_mt_pages > Field::IOMMU_MT_PAGE_COUNT.max() {
            return Err("iommu_mt_pages is above 65535, which the field cannot hold");
        }
        if self.spdm_mt_pages > Field::SPDM_MT_PAGE_COUNT.max() {
            return Err("spdm_mt_pages is above 65535, which the field cannot hold");
        }
        if self.ide_mt_pages > Field::IDE_MT_PAGE_COUNT.max() {
            return Err("ide_mt_pages is above 65535, which the field cannot hold");
        }
        if self.spdm_max_dev_info_pages > Field::SPDM_MAX_DEV_INFO_PAGES.max() {
            return Err("spdm_max_dev_info_pages is above 65535, which the field cannot hold");
        }
        if self.phys_bits < 13 || self.phys_bits > 51 {
            return Err(
                "physical addresses leave no room for KeyIDs below bit 52: give the \
                        virtual machine fewer address bits",
            );
        }
        if self.global_keyid == 0 || self.global_keyid >> (52 - self.phys_bits) != 0 {
            return Err("global_keyid is 0 or does not fit between the address bits and bit 52");
        }
        Ok(())
    }
}
