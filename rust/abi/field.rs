// SPDX-License-Identifier: GPL-2.0

//! Ids of the global metadata fields that TDH.SYS.RD reads.

use core::fmt;

/// A field id: code in 23:0, element size in 33:32, class in 61:56. `[1]` M15
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Field(u64);

macro_rules! fields {
    ($($(#[$doc:meta])* $ident:ident = $id:literal, $name:literal;)+) => {
        impl Field {
            $($(#[$doc])* pub(crate) const $ident: Self = Self($id);)+

            /// Every field that this project knows.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$ident),+];

            /// The name in the TDX documents.
            pub(crate) const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($id => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}

fields! {
    /// Optional features; see [`Features0`]. `[2]`
    FEATURES0 = 0x0a00_0003_0000_0008, "TDX_FEATURES0";
    /// Pages wanted for the extension pool, as u16. `[1]` RFC, V1, V2, Q1
    POOL_REQUIRED_PAGES_U16 = 0x3100_0001_0000_0000, "MEMORY_POOL_REQUIRED_PAGES";
    /// The same as u32, which took the u16 field's place. `[1]` Q2, DEV-B
    POOL_REQUIRED_PAGES_U32 = 0x3100_0002_0000_0000, "MEMORY_POOL_REQUIRED_PAGES";
    /// Whether TDH.EXT.INIT is wanted, with a u16 id. `[1]` V1, V2
    EXT_REQUIRED_U16 = 0x3100_0001_0000_0001, "EXT_REQUIRED";
    /// The same with a u8 id. `[1]` Q1, Q2
    EXT_REQUIRED_U8 = 0x3100_0000_0000_0001, "EXT_REQUIRED";
    /// Metadata pages of an IDE stream. `[1]` V2 06/31
    IDE_MT_PAGE_COUNT = 0x3000_0001_0000_0001, "IDE_MT_PAGE_COUNT";
    /// Metadata pages of an SPDM session. `[1]` V2 06/31
    SPDM_MT_PAGE_COUNT = 0x3000_0001_0000_0002, "SPDM_MT_PAGE_COUNT";
    /// Single pages of an IOMMU_MT, without the two queues. `[1]` V2 06/31
    IOMMU_MT_PAGE_COUNT = 0x3000_0001_0000_0003, "IOMMU_MT_PAGE_COUNT";
    /// Pages that the device info of a session may fill. `[1]` V2 06/31
    SPDM_MAX_DEV_INFO_PAGES = 0x3000_0001_0000_0007, "SPDM_MAX_DEV_INFO_PAGES";
}

impl Field {
    /// A field id as it stands in RDX.
    #[inline]
    pub(crate) const fn from_raw(id: u64) -> Self {
        Self(id)
    }

    /// The value for RDX.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The largest value that an element of this field can have.
    #[inline]
    pub(crate) const fn max(self) -> u64 {
        match self.0 >> 32 & 3 {
            0 => 0xff,
            1 => 0xffff,
            2 => 0xffff_ffff,
            _ => u64::MAX,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#018x})", self.name().unwrap_or("field"), self.0)
    }
}

/// The value of [`Field::FEATURES0`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Features0(u64);

impl Features0 {
    /// TDX Connect: bit 6. `[1]` V2
    pub(crate) const TDX_CONNECT: u64 = 1 << 6;
    /// Pages want a CLFLUSH before they are handed over: bit 23. `[1]`
    pub(crate) const CLFLUSH_BEFORE_ALLOC: u64 = 1 << 23;
    /// Dynamic PAMT is supported: bit 36. `[1]` That says nothing of whether it is on, and the
    /// kernels that this is built for cannot turn it on, so loading does not ask.
    pub(crate) const DYNAMIC_PAMT: u64 = 1 << 36;
    /// TDX Module extensions: bit 39. `[1]` V2
    pub(crate) const EXT: u64 = 1 << 39;

    /// The names of these bits.
    pub(crate) const NAMES: &'static [(u64, &'static str)] = &[
        (Self::TDX_CONNECT, "TDX_CONNECT"),
        (Self::CLFLUSH_BEFORE_ALLOC, "CLFLUSH_BEFORE_ALLOC"),
        (Self::DYNAMIC_PAMT, "DYNAMIC_PAMT"),
        (Self::EXT, "EXT"),
    ];

    /// The field's value.
    #[inline]
    pub(crate) const fn from_raw(value: u64) -> Self {
        Self(value)
    }

    /// The 64 bits.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// Whether all bits of `mask` are set.
    #[inline]
    pub(crate) const fn has(self, mask: u64) -> bool {
        self.0 & mask == mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_size_is_in_the_id() {
        assert_eq!(Field::FEATURES0.max(), u64::MAX);
        assert_eq!(Field::POOL_REQUIRED_PAGES_U16.max(), 0xffff);
        assert_eq!(Field::POOL_REQUIRED_PAGES_U32.max(), 0xffff_ffff);
        assert_eq!(Field::EXT_REQUIRED_U8.max(), 0xff);
    }

    #[test]
    fn every_field_has_a_name() {
        assert!(Field::ALL.iter().all(|field| field.name().is_some()));
        assert_eq!(
            Field::IOMMU_MT_PAGE_COUNT.to_string(),
            "IOMMU_MT_PAGE_COUNT (0x3000000100000003)"
        );
    }
}
