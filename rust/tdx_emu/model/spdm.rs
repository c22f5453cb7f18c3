// SPDX-License-Identifier: GPL-2.0

//! Sessions with devices.

use crate::abi::FunctionId;

/// Sessions that there can be at a time.
pub(crate) const SESSIONS: usize = 64;

/// Ids begin here: another range than that of the ids of IOMMUs and of streams. `[I]`
pub(crate) const FIRST_ID: u16 = 0x240;

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The function that it is with.
    pub(crate) function: FunctionId,
    /// The slot of the IOMMU that counts it.
    pub(crate) iommu: usize,
    /// How many pages it has.
    pub(crate) pages: usize,
    /// Whether it is connected.
    pub(crate) connected: bool,
    /// Requests under the key that it has now.
    pub(crate) sent: u64,
    /// Whether no more can be sent before the key is updated.
    pub(crate) worn: bool,
}

impl Session {
    /// One that was just made.
    pub(crate) const fn new(function: FunctionId, iommu: usize, pages: usize) -> Self {
        Self {
            function,
            iommu,
            pages,
            connected: false,
            sent: 0,
            worn: false,
        }
    }

    /// The same with a new key, connected or not.
    pub(crate) const fn rekeyed(self, connected: bool) -> Self {
        Self {
            connected,
            sent: 0,
            worn: false,
            ..self
        }
    }

    /// One more request, if the key bears it: after `limit` of them, 0 for no limit, it must be
    /// updated.
    #[must_use]
    pub(crate) fn may_send(&mut self, limit: u64) -> bool {
        if self.worn || (limit > 0 && self.sent >= limit) {
            self.worn = true;
            return false;
        }
        self.sent = self.sent.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_wears_out_until_it_is_updated() {
        let mut session = Session::new(FunctionId::new(0, 8), 0, 1);
        assert!((0..99).all(|_| session.may_send(0)));
        assert!(!session.may_send(99));
        assert!(!session.may_send(0), "it is worn whatever is set then");
        let mut session = session.rekeyed(true);
        let sent: Vec<bool> = (0..4).map(|_| session.may_send(2)).collect();
        assert_eq!(sent, [true, true, false, false]);
    }
}
