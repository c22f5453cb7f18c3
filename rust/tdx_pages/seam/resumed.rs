// SPDX-License-Identifier: GPL-2.0

//! Leaves that the TDX Module resumes internally, with their original operands.
//!
//! What a call in between would do is not known, so from the first call of such a leaf to its
//! final status no other is made. One that is given up before that is remembered with its root
//! page, and is brought to its end before the next.

use super::{
    call::{
        Call,
        Outputs, //
    },
    until::{
        until_end,
        Attempts, //
    },
    Seam,
    PAUSE, //
};
use crate::abi::Status;
use crate::custody::{
    lending::{
        Shared,
        Told, //
    },
    listed::{
        Form,
        Listed,
        Pages, //
    },
    transitions::Answer, //
};
use crate::mm::{
    root::{
        Kept,
        Lasting,
        Published, //
    },
    Blocks, //
};
use crate::print::may_tell;
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// Memory of the kernel, listed in one of its root pages.
pub(crate) type InRoot<'id, 'r, F> = Listed<'id, Blocks, Published<'r>, F>;

/// Control pages, listed.
pub(crate) type Control<'id, 'r> = InRoot<'id, 'r, Pages>;

/// A leaf that was given up while it could still be resumed.
pub(super) struct Pending {
    call: Call,
    // The root page that it names.
    root: Option<Kept>,
    // It has been waited for, to no avail.
    tired: bool,
}

/// A leaf that is being called.
struct Calls<'a> {
    seam: &'a Seam,
    call: Call,
    begin: Instant<Monotonic>,
    patience: Patience,
}

/// How long a leaf is called again.
#[derive(Clone, Copy)]
struct Patience {
    /// While it is busy.
    busy: Delta,
    /// While it is interrupted, which promises progress.
    interrupted: Delta,
}

impl Patience {
    const fn of(both: Delta) -> Self {
        Self {
            busy: both,
            interrupted: both,
        }
    }
}

// SAFETY: `Seam::once` makes the call, or tells that the system goes down.
unsafe impl Attempts for Calls<'_> {
    type Output = Outputs;

    fn call(&mut self) -> (Status, Outputs) {
        let mut outputs = [0; 2];
        // SAFETY: Operands are made of lists and pages that custody named, by the leaves of this
        // seam alone; their root page stays borrowed, or is kept away, until the end.
        let call = || unsafe { self.call.make(&mut outputs) };
        let status = self.seam.once(self.call.leaf(), call);
        (status, outputs)
    }

    fn pause(&mut self) {
        fsleep(PAUSE);
    }

    fn is_out_of_patience(&self, interrupted: bool) -> bool {
        let patience = if interrupted {
            self.patience.interrupted
        } else {
            self.patience.busy
        };
        self.begin.elapsed() > patience
    }
}

impl Seam {
    fn until_end<'id>(
        &self,
        call: Call,
        patience: Patience,
        interrupted: bool,
    ) -> (Answer<'id>, Outputs) {
        let mut calls = Calls {
            seam: self,
            call,
            begin: Instant::now(),
            patience,
        };
        // SAFETY: The callers name what is listed by the value with the same lifetime, or nothing.
        let (answer, outputs) = unsafe { until_end(&mut calls, interrupted) };
        self.note(!answer.is_given_up() && !answer.status().is_recoverable());
        if answer.is_success() && !answer.status().is_success() {
            if may_tell() {
                pr_notice!(
                    "{} answered {}, taken for success\n",
                    call.leaf(),
                    answer.status()
                );
            }
        }
        (answer, outputs)
    }

    /// Calls a leaf alone that names no pages; tells whether it ended in success, and its status.
    pub(super) fn call(&self, call: Call) -> (bool, Status) {
        let (answer, _) = self.call_keeping(call, || None);
        (answer.is_success(), answer.status())
    }

    /// Calls a leaf alone that names pages that are lent, and perhaps the root page of `told`, which
    /// stays there unless the leaf is left interrupted.
    pub(super) fn call_shared<'id>(
        &self,
        call: Call,
        _pages: Shared<'id, Blocks>,
        told: &mut Option<Told<Lasting>>,
    ) -> (Answer<'id>, Outputs) {
        self.call_keeping(call, || told.take().map(|told| told.into_root().keep()))
    }

    /// Calls a leaf alone that names memory on record. It comes back unless the leaf is left
    /// interrupted.
    pub(super) fn call_listed<'id, 'r, F: Form>(
        &self,
        call: Call,
        listed: InRoot<'id, 'r, F>,
    ) -> (Answer<'id>, Outputs, Option<InRoot<'id, 'r, F>>) {
        let mut listed = Some(listed);
        let keep = || listed.take().map(|listed| listed.into_root().keep());
        let (answer, outputs) = self.call_keeping(call, keep);
        (answer, outputs, listed)
    }

    /// Calls a leaf alone. `keep` gives the root page that its operands name, if it is left
    /// interrupted.
    fn call_keeping<'id>(
        &self,
        call: Call,
        keep: impl FnOnce() -> Option<Kept>,
    ) -> (Answer<'id>, Outputs) {
        let mut pending = self.resumed.lock();
        if !self.finish(&mut pending, self.patience) {
            // SAFETY: Nothing was called.
            return (unsafe { Answer::not_called(Status::SYS_BUSY) }, [0; 2]);
        }
        // Who ends an object has given its id up: one that is taken is that of another by now.
        if call
            .ends()
            .is_some_and(|(space, id)| self.ids.is_taken(space, id))
        {
            // SAFETY: Nothing was called.
            return (unsafe { Answer::not_called(Status::SYS_BUSY) }, [0; 2]);
        }
        // That others were busy says nothing of one that makes progress.
        let patience = Patience {
            busy: self.patience_now(),
            interrupted: self.patience,
        };
        let (answer, outputs) = self.until_end(call, patience, false);
        if let (true, Some((space, id))) = (answer.is_success(), call.gives(outputs)) {
            self.ids.give(space, id);
        }
        if answer.is_given_up() {
            if may_tell() {
                pr_err!(
                    "{} is left interrupted: {}; nothing like it is called before it has ended\n",
                    call.leaf(),
                    answer.status()
                );
            }
            *pending = Some(Pending {
                call,
                root: keep(),
                tired: false,
            });
        }
        (answer, outputs)
    }

    /// Resumes the leaf that was given up, if there is one. Returns whether there is none any more.
    ///
    /// A SETUP or CREATE that succeeds so late is undone: nobody waits for its object any more.
    fn finish(&self, pending: &mut Option<Pending>, patience: Delta) -> bool {
        while let Some(left) = pending {
            // It is waited for once; after that one try each time has to do.
            let patience = if left.tired { Delta::ZERO } else { patience };
            let (answer, outputs) = self.until_end(left.call, Patience::of(patience), true);
            if answer.is_given_up() {
                left.tired |= patience > Delta::ZERO;
                return false;
            }
            if may_tell() {
                pr_notice!(
                    "{} has ended at last: {}\n",
                    left.call.leaf(),
                    answer.status()
                );
            }
            let named = left.call.gives(outputs);
            if let (true, Some((space, id))) = (answer.is_success(), named) {
                if self.ids.is_taken(space, id) {
                    if may_tell() {
                        pr_err!(
                            "{} calls what it made {:#x}, as it calls another one: not undone\n",
                            left.call.leaf(),
                            id
                        );
                    }
                    if let Some(root) = pending.take().and_then(|left| left.root) {
                        self.roots.give_back(root);
                    }
                    continue;
                }
            }
            match left.call.undo(outputs) {
                Some(undo) if answer.is_success() => {
                    left.call = undo;
                    left.tired = false;
                }
                _ => {
                    if let Some(root) = pending.take().and_then(|left| left.root) {
                        self.roots.give_back(root);
                    }
                }
            }
        }
        true
    }

    /// Tries to bring a leaf that was given up to its end, for `patience`. Returns whether there is
    /// none any more, so that the pages it named may be put to the proof.
    pub(crate) fn settle(&self, patience: Delta) -> bool {
        self.finish(&mut self.resumed.lock(), patience)
    }
}
