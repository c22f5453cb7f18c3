// SPDX-License-Identifier: GPL-2.0

//! What the software TDX Module says to a device, and what it wants to hear.
//!
//! A real one speaks SPDM. This one says who it is, of which object it speaks and how far it has
//! come, so that a device made up by a test can check that it got the right message, and answers
//! with the same payload, every byte complemented. Nothing here is a fact of the interface but the
//! DOE header.

use super::{
    doe::{
        DoeHeader,
        TYPE_SPDM,
        VENDOR_PCI_SIG, //
    },
    Leaf,
};

/// The first word of the payload.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"SPDM-EMU");

/// Bytes of the payload of every message, before the bytes that make it longer.
const PAYLOAD_BYTES: u64 = 32;

/// Words of the longest message: the header, four words of payload and up to 28 bytes more.
pub(crate) const MAX_WORDS: usize = 9;

/// One message.
///
/// The payload in 8-byte words: [`MAGIC`], the id of the session, or of the stream for
/// TDH.IDE.STREAM.KM; the leaf number in 15:0 with the operation above; and the step, from 0.
/// Behind them come four bytes for each step, up to seven times, so that lengths change and are no
/// whole words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The session or the stream.
    pub(crate) id: u64,
    /// Who speaks.
    pub(crate) leaf: Leaf,
    /// What it was asked to do, 0 where a leaf does one thing only.
    pub(crate) operation: u64,
    /// How many messages of this exchange came before.
    pub(crate) step: u64,
}

impl Message {
    /// Bytes behind the header.
    const fn payload(self) -> u64 {
        PAYLOAD_BYTES + 4 * (self.step % 8)
    }

    /// The header; the same in request and response.
    pub(crate) const fn header(self) -> DoeHeader {
        match DoeHeader::new(VENDOR_PCI_SIG, TYPE_SPDM, self.payload()) {
            Some(header) => header,
            // Not reached: a payload is a few dwords.
            None => DoeHeader::from_raw(0),
        }
    }

    /// Bytes of the whole object.
    pub(crate) const fn bytes(self) -> u64 {
        self.payload() + super::doe::HEADER_BYTES
    }

    /// Words that hold the object; the last one may be half used.
    pub(crate) const fn words(self) -> usize {
        // CAST: A few words.
        self.bytes().div_ceil(8) as usize
    }

    /// The bits of word `index` that belong to the object.
    pub(crate) const fn mask(self, index: usize) -> u64 {
        // CAST: A few words.
        let before = (index as u64).saturating_mul(8);
        if self.bytes().saturating_sub(before) < 8 {
            0xffff_ffff
        } else {
            u64::MAX
        }
    }

    /// Word `index` of the request; bytes past the end are zero.
    pub(crate) const fn request(self, index: usize) -> u64 {
        let word = match index {
            0 => self.header().raw(),
            1 => MAGIC,
            2 => self.id,
            3 => self.leaf.number() | self.operation << 16,
            4 => self.step,
            // CAST: A few words.
            _ => 0x5a5a_5a5a_5a5a_5a5a ^ index as u64,
        };
        word & self.mask(index)
    }

    /// Word `index` of the response that is wanted; bytes past the end are zero.
    pub(crate) const fn response(self, index: usize) -> u64 {
        respond(index, self.request(index)) & self.mask(index)
    }
}

/// What a device answers to word `index` of a request: the header as it is, any other word
/// complemented.
pub(crate) const fn respond(index: usize, word: u64) -> u64 {
    if index == 0 {
        word
    } else {
        !word
    }
}

/// Word `index` of the device info of a session.
pub(crate) const fn device_info(session: u64, index: usize) -> u64 {
    // CAST: An index into pages.
    session
        .wrapping_add(index as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Message = Message {
        id: 0x240,
        leaf: Leaf::SPDM_MNG,
        operation: 2,
        step: 1,
    };

    #[test]
    fn a_message() {
        assert_eq!((MESSAGE.bytes(), MESSAGE.words()), (44, 6));
        let words: Vec<u64> = (0..6).map(|n| MESSAGE.request(n)).collect();
        let want = [0xb_0001_0001, MAGIC, 0x240, 0x2_0090, 1, 0x5a5a_5a5f];
        assert_eq!(words, want);
        let words: Vec<u64> = (0..6).map(|n| MESSAGE.response(n)).collect();
        let want = [0xb_0001_0001, !MAGIC, !0x240, !0x2_0090, !1, 0xa5a5_a5a0];
        assert_eq!(words, want);
    }

    #[test]
    fn no_message_is_longer_than_it_may_be() {
        for step in 0..20 {
            let message = Message { step, ..MESSAGE };
            assert!(message.words() <= MAX_WORDS);
            assert_eq!(message.header().bytes(), Some(message.bytes()));
            let last = message.words() - 1;
            assert_eq!(message.bytes() % 8 == 4, message.mask(last) != u64::MAX);
        }
    }
}
