// SPDX-License-Identifier: GPL-2.0

//! The end of an object: the leaf that releases its pages is called now or never.

use super::registry::Owner;
use crate::abi::{
    Leaf,
    Status, //
};
use crate::custody::{
    listed::Recorded,
    memory::{
        Lend,
        Memory, //
    },
    transitions::{
        Answer,
        Held,
        ReleaseError,
        Why, //
    }, //
};
use crate::mm::Blocks;
use crate::platform::Kernel;
use crate::print::may_tell;
use crate::seam::ids::Id;
use kernel::{
    prelude::*,
    time::Instant, //
};

/// Whether another call may not meet what this one met: a TDX Module that is busy, or is not ready
/// because it is being updated, or a CPU that has left VMX.
pub(super) fn may_pass(status: Status) -> bool {
    status.is_recoverable() || status.is_not_executed() && status != Status::HOST_DOWN
}

/// An object that ends.
pub(super) struct Ending<'a> {
    /// The kernel's side of everything.
    pub(super) kernel: &'a Kernel,
    /// Whose it is.
    pub(super) owner: &'a Owner,
    /// What the TDX Module calls it.
    pub(super) id: &'a Id,
    /// The leaf that ends it.
    pub(super) leaf: Leaf,
}

impl Ending<'_> {
    /// Releases its pages by its leaf, which is told its id and has no later chance: what may pass is
    /// waited for. Sleeps.
    pub(super) fn release<T: Lend<Memory = Blocks>>(
        &self,
        mut held: Held<T, Kernel>,
        call: impl for<'id> Fn(u64, Recorded<'id, Blocks>) -> Answer<'id>,
    ) -> Result<T, ReleaseError<T, Kernel>> {
        let begin = Instant::now();
        let id = self.id.give_up();
        loop {
            match held.release(self.leaf, |recorded| call(id, recorded)) {
                Err(ReleaseError::StillHeld(same, status))
                    if may_pass(status) && self.kernel.seam().wait(begin) && self.id.is_ours() =>
                {
                    held = same;
                }
                released => return released,
            }
        }
    }

    /// Tells how it went. The number of pages that are the host's again; [`None`] if that was not all,
    /// or not in order.
    pub(super) fn told<T: Lend<Memory = Blocks>>(
        &self,
        released: Result<T, ReleaseError<T, Kernel>>,
    ) -> Option<usize> {
        match released {
            Ok(object) => return Some(object.into_memory().pages()),
            // There is no later chance for the leaf, but one for the proof.
            Err(ReleaseError::StillHeld(held, status)) => {
                if !self.id.is_ours() && may_tell() {
                    pr_err!(
                        "{}: {} failed, but the TDX Module calls another one {:#x} now: this one calls nothing with it any more\n",
                        self.owner,
                        self.leaf,
                        self.id.get()
                    );
                }
                held.quarantine(Why::ReleaseFailed, self.leaf, status);
            }
            // The ledger has said it, unless every page is proved.
            Err(ReleaseError::Settled(settled)) if settled.quarantined > 0 => {}
            Err(ReleaseError::Settled(settled)) => {
                if may_tell() {
                    pr_err!(
                        "{}: {} gave back a wrong list, but all {} pages are proved and freed\n",
                        self.owner,
                        self.leaf,
                        settled.freed
                    );
                }
            }
        }
        None
    }
}
