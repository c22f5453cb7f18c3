// SPDX-License-Identifier: GPL-2.0

//! Operands of the leaves on IDE streams.

/// What TDH.IDE.STREAM.KM is asked to do; the value of R8. `[1]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum KeyManagement {
    /// Program keys at both ends and enable the root port.
    SetUp = 0,
    /// Change the keys.
    Refresh = 1,
    /// Stop.
    Stop = 2,
}

impl KeyManagement {
    /// The operation with this number.
    pub(crate) const fn from_raw(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::SetUp),
            1 => Some(Self::Refresh),
            2 => Some(Self::Stop),
            _ => None,
        }
    }

    /// The value for R8.
    pub(crate) const fn raw(self) -> u64 {
        // CAST: An enum with `u64` values.
        self as u64
    }
}

/// Which stream TDH.IDE.STREAM.CREATE is to make: root port's device and function in 7:0, selective
/// in 8. `[1]` V2 30/31
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct StreamInfo(u64);

impl StreamInfo {
    const SELECTIVE: u64 = 1 << 8;

    /// A selective stream through the root port with this device (7:3) and function (2:0).
    #[inline]
    pub(crate) const fn selective(root_port: u8) -> Self {
        Self(root_port as u64 | Self::SELECTIVE)
    }

    /// A word as it stands in RCX. Nothing is checked.
    #[inline]
    pub(crate) const fn from_raw(word: u64) -> Self {
        Self(word)
    }

    /// The value for RCX.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// Device and function of the root port.
    #[inline]
    pub(crate) const fn root_port(self) -> u8 {
        // CAST: The low bits are meant.
        self.0 as u8
    }

    /// Whether it is a selective stream; else it is link IDE.
    #[inline]
    pub(crate) const fn is_selective(self) -> bool {
        self.0 & Self::SELECTIVE != 0
    }

    /// Whether a bit above 8 is set. That they are reserved is `[I]`.
    #[inline]
    pub(crate) const fn has_reserved_bits(self) -> bool {
        self.0 >> 9 != 0
    }
}

/// The image of a Selective IDE Stream Control register, in R9: PCRC enable in 8, traffic class in
/// 21:19. Places `[1]` K73 `pci_regs.h`.
///
/// Aggregation, configuration requests, algorithm, default stream and stream id must be zero, `[1]`
/// V2 29/31: there is no way to set them here.
///
/// # Invariants
///
/// No other bit than those of the two fields is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct StreamControl(u64);

impl StreamControl {
    const PCRC: u64 = 1 << 8;
    const CLASS_SHIFT: u32 = 19;
    const CLASS: u64 = 0x7 << Self::CLASS_SHIFT;

    /// What V2 passes: all zero.
    // INVARIANT: No bit is set.
    pub(crate) const PLAIN: Self = Self(0);

    /// The same with plaintext CRC.
    #[inline]
    pub(crate) const fn with_pcrc(self) -> Self {
        // INVARIANT: The bit is one of those allowed.
        Self(self.0 | Self::PCRC)
    }

    /// The same for a traffic class, 0 to 7; [`None`] for any other.
    #[inline]
    pub(crate) const fn with_traffic_class(self, class: u8) -> Option<Self> {
        if class > 7 {
            return None;
        }
        // INVARIANT: At most 7, so it stays in its field.
        Some(Self(
            self.0 & !Self::CLASS | (class as u64) << Self::CLASS_SHIFT,
        ))
    }

    /// Reads a word as it stands in R9; [`None`] if a bit is set that must be zero. That the enable
    /// bit is one of those is `[I]`: the key set-up enables the root port.
    #[inline]
    pub(crate) const fn from_raw(word: u64) -> Option<Self> {
        if word & !(Self::PCRC | Self::CLASS) != 0 {
            return None;
        }
        // INVARIANT: Checked above.
        Some(Self(word))
    }

    /// The value for R9.
    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations() {
        for number in 0..3 {
            assert_eq!(KeyManagement::from_raw(number).unwrap().raw(), number);
        }
        for number in [3, 1 << 32, u64::MAX] {
            assert_eq!(KeyManagement::from_raw(number), None);
        }
    }

    #[test]
    fn stream_info() {
        let info = StreamInfo::selective(0x1b);
        assert_eq!((info.raw(), info.root_port()), (0x11b, 0x1b));
        assert!(info.is_selective() && !info.has_reserved_bits());
        assert!(!StreamInfo::from_raw(0x1b).is_selective());
        for bit in [9, 31, 32, 63] {
            assert!(StreamInfo::from_raw(0x100 | 1 << bit).has_reserved_bits());
        }
    }

    #[test]
    fn control_sets_what_may_be_set_and_no_more() {
        let control = StreamControl::PLAIN;
        assert_eq!(control.raw(), 0);
        assert_eq!(control.with_pcrc().raw(), 0x100);
        assert_eq!(control.with_traffic_class(7).unwrap().raw(), 7 << 19);
        assert_eq!(control.with_traffic_class(8), None);
        let twice = control.with_traffic_class(5).unwrap();
        assert_eq!(twice.with_traffic_class(2).unwrap().raw(), 2 << 19);
        let allowed = 0x100u64 | 7 << 19;
        for bit in 0..64 {
            let may = allowed >> bit & 1 == 1;
            assert_eq!(
                StreamControl::from_raw(1 << bit).is_some(),
                may,
                "bit {bit}"
            );
        }
    }
}
