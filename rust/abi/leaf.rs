// SPDX-License-Identifier: GPL-2.0

//! SEAMCALL leaves, as in RAX.

use core::fmt;

/// A leaf: number in bits 15:0 and version in 23:16 of RAX. `[2]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Leaf(u64);

macro_rules! leaves {
    ($($(#[$doc:meta])* $ident:ident = $number:literal, $name:literal;)+) => {
        impl Leaf {
            $($(#[$doc])* pub(crate) const $ident: Self = Self($number);)+

            /// Every leaf that this project knows.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$ident),+];

            /// The name in the TDX documents; [`None`] for a leaf that is not known here.
            pub(crate) const fn name(self) -> Option<&'static str> {
                match self.number() {
                    $($number => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}

leaves! {
    /// Read the metadata the TDX Module keeps on a page. `[2]`
    PHYMEM_PAGE_RDMD = 24, "TDH.PHYMEM.PAGE.RDMD";
    /// Take a page back that belongs to something in teardown. `[2]`
    PHYMEM_PAGE_RECLAIM = 28, "TDH.PHYMEM.PAGE.RECLAIM";
    /// Read a metadata field. `[2]`
    SYS_RD = 34, "TDH.SYS.RD";
    /// Write back and invalidate the cache lines of a page: the proof. `[2]`
    PHYMEM_PAGE_WBINVD = 41, "TDH.PHYMEM.PAGE.WBINVD";
    /// Initialise the extensions. `[1]`
    EXT_INIT = 60, "TDH.EXT.INIT";
    /// Add pages to the extension pool. `[1]`
    EXT_MEM_ADD = 61, "TDH.EXT.MEM.ADD";
    /// Give an IOMMU its IOMMU_MT. `[1]`
    IOMMU_SETUP = 128, "TDH.IOMMU.SETUP";
    /// Take an IOMMU out of TDX mode. `[1]`
    IOMMU_CLEAR = 129, "TDH.IOMMU.CLEAR";
    /// Make a session with a device. `[2]`
    SPDM_CREATE = 130, "TDH.SPDM.CREATE";
    /// End a session. `[2]`
    SPDM_DELETE = 131, "TDH.SPDM.DELETE";
    /// Make an IDE stream of a session. `[2]`
    IDE_STREAM_CREATE = 132, "TDH.IDE.STREAM.CREATE";
    /// Stop an IDE stream, so that it may be deleted. `[2]`
    IDE_STREAM_BLOCK = 133, "TDH.IDE.STREAM.BLOCK";
    /// End an IDE stream. `[2]`
    IDE_STREAM_DELETE = 134, "TDH.IDE.STREAM.DELETE";
    /// Set up, refresh or stop the keys of an IDE stream. `[2]`
    IDE_STREAM_KM = 135, "TDH.IDE.STREAM.KM";
    /// Connect a session to its device. `[1]`
    SPDM_CONNECT = 142, "TDH.SPDM.CONNECT";
    /// Disconnect it. `[1]`
    SPDM_DISCONNECT = 143, "TDH.SPDM.DISCONNECT";
    /// Look after a connected session. `[1]`
    SPDM_MNG = 144, "TDH.SPDM.MNG";
}

impl Leaf {
    /// A leaf as it stands in RAX.
    #[inline]
    pub(crate) const fn from_raw(rax: u64) -> Self {
        Self(rax)
    }

    /// The value for RAX.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// The number without the version.
    #[inline]
    pub(crate) const fn number(self) -> u64 {
        self.0 & 0xffff
    }

    /// The version.
    #[inline]
    pub(crate) const fn version(self) -> u64 {
        self.0 >> 16 & 0xff
    }

    /// Its place in [`Leaf::ALL`]; [`None`] for a leaf that is not known here. One load.
    #[inline]
    pub(crate) const fn index(self) -> Option<usize> {
        // CAST: At most 65,535; a leaf that is not in the table is further on than its end.
        let number = self.number() as usize;
        if number >= PLACES.len() || PLACES[number] == UNKNOWN {
            return None;
        }
        // CAST: A byte.
        Some(PLACES[number] as usize)
    }

    /// Whether bits 31:24 or 63:32 are set, which the TDX Module refuses. `[1]` M15
    #[inline]
    pub(crate) const fn has_reserved_bits(self) -> bool {
        self.0 >> 24 != 0
    }
}

const UNKNOWN: u8 = u8::MAX;

/// The place in [`Leaf::ALL`] of each number.
const PLACES: [u8; 256] = {
    let mut places = [UNKNOWN; 256];
    let mut index = 0;
    while index < Leaf::ALL.len() {
        // CAST: All numbers are below 256, and there are fewer leaves than that: else this constant
        // does not compile, or a test fails.
        places[Leaf::ALL[index].number() as usize] = index as u8;
        index += 1;
    }
    places
};

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "SEAMCALL leaf {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_rax() {
        let leaf = Leaf::from_raw(0x1_003d);
        assert_eq!((leaf.number(), leaf.version()), (61, 1));
        assert!(!leaf.has_reserved_bits());
        for bit in [24, 31, 32, 63] {
            assert!(
                Leaf::from_raw(61 | 1 << bit).has_reserved_bits(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn places() {
        for (index, leaf) in Leaf::ALL.iter().enumerate() {
            assert_eq!(leaf.index(), Some(index), "{leaf}");
        }
        for number in (0..0x1_0000).filter(|n| !Leaf::ALL.contains(&Leaf(*n))) {
            assert_eq!(Leaf::from_raw(number).index(), None, "{number}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(Leaf::EXT_MEM_ADD.to_string(), "TDH.EXT.MEM.ADD");
        assert_eq!(Leaf::from_raw(200).to_string(), "SEAMCALL leaf 0xc8");
        assert!(Leaf::ALL.iter().all(|leaf| leaf.name().is_some()));
    }
}
