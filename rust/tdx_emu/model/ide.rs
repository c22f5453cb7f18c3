// SPDX-License-Identifier: GPL-2.0

//! IDE streams.

use super::{
    exchange::Exchange,
    spdm::SESSIONS, //
};
use crate::abi::ide_range::{
    AddressRange,
    RidRange, //
};

/// Streams that there can be at a time.
pub(crate) const STREAMS: usize = 256;

/// Ids begin here: another range than that of the ids of IOMMUs and of sessions. `[I]`
pub(crate) const FIRST_ID: u16 = 0x500;

/// The place of the list of the stream in a slot: behind those of all sessions.
pub(crate) const fn list_of(slot: usize) -> usize {
    slot.saturating_add(SESSIONS)
}

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The slot of its session.
    pub(crate) session: usize,
    /// Requester ids that it carries.
    pub(crate) rids: RidRange,
    /// Addresses that it carries.
    pub(crate) addresses: AddressRange,
    /// How many pages it has.
    pub(crate) pages: usize,
    /// Whether it is blocked.
    pub(crate) blocked: bool,
    /// Whether its keys are set up.
    pub(crate) keys: bool,
    /// What is going on with the device about its keys.
    pub(crate) exchange: Option<Exchange>,
}
