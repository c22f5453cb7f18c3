// SPDX-License-Identifier: GPL-2.0

//! Operands of the leaves on a connected session.

/// An operand in place of a page, or of a list of pages, that is not given. `[1]` V2 27/31
pub(crate) const NO_PAGE: u64 = u64::MAX;

/// What TDH.SPDM.MNG is asked to do; the value of RDX. `[1]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Management {
    /// Show the device that the session is alive.
    Heartbeat = 0,
    /// Change the session's key.
    KeyUpdate = 1,
    /// Ask for the device info once more.
    DeviceInfo = 2,
}

impl Management {
    /// The operation with this number.
    pub(crate) const fn from_raw(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Heartbeat),
            1 => Some(Self::KeyUpdate),
            2 => Some(Self::DeviceInfo),
            _ => None,
        }
    }

    /// The value for RDX.
    pub(crate) const fn raw(self) -> u64 {
        // CAST: An enum with `u64` values.
        self as u64
    }
}

/// The configuration page of TDH.SPDM.CONNECT: its first eight bytes, of which the last is not
/// used. `[1]` V2 27/31
///
/// The page is packed: capabilities as u32, then session policy, certificate slots and raw
/// bitstream as u8 each. The rest of the page is zero, `[I]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpdmConfig {
    /// What this requester can do: bits of [`Self::HEARTBEAT`] and [`Self::KEY_UPDATE`].
    pub(crate) capabilities: u32,
    /// The session policy of SPDM.
    pub(crate) session_policy: u8,
    /// A bit for each certificate slot that may be used.
    pub(crate) certificate_slots: u8,
    /// Ask for raw bitstreams of measurements.
    pub(crate) raw_bitstream: u8,
}

impl SpdmConfig {
    /// Heartbeat: bit 13 of the capabilities. `[1]`
    pub(crate) const HEARTBEAT: u32 = 1 << 13;
    /// Key update: bit 14 of the capabilities. `[1]`
    pub(crate) const KEY_UPDATE: u32 = 1 << 14;

    /// What V2 asks for: key update, any certificate slot, nothing else. `[1]`
    pub(crate) const DEFAULT: Self = Self {
        capabilities: Self::KEY_UPDATE,
        session_policy: 0,
        certificate_slots: 0xff,
        raw_bitstream: 0,
    };

    /// The first word of the page, in memory order.
    #[inline]
    pub(crate) const fn word(self) -> u64 {
        self.capabilities as u64
            | (self.session_policy as u64) << 32
            | (self.certificate_slots as u64) << 40
            | (self.raw_bitstream as u64) << 48
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations() {
        for number in 0..3 {
            assert_eq!(Management::from_raw(number).unwrap().raw(), number);
        }
        for number in [3, 1 << 32, u64::MAX] {
            assert_eq!(Management::from_raw(number), None);
        }
    }

    #[test]
    fn config_vectors() {
        assert_eq!(SpdmConfig::DEFAULT.word(), 0x0000_ff00_0000_4000);
        let config = SpdmConfig {
            capabilities: SpdmConfig::HEARTBEAT,
            session_policy: 0x12,
            certificate_slots: 0x34,
            raw_bitstream: 0x56,
        };
        let bytes = [0x00, 0x20, 0, 0, 0x12, 0x34, 0x56, 0];
        assert_eq!(config.word().to_le_bytes(), bytes);
    }
}
