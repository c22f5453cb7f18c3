// SPDX-License-Identifier: GPL-2.0

//! Leaves that the TDX Module resumes internally, with their original operands.
//!
//! What a call in between would do is not known, so from the first call of such a leaf to its
//! final status no other is made. One that is given up before that is remembered with its root
//! page, and is brought to its end before the next.

use super::{
    until::{
        until_end,
        Attempts, //
    },
    Seam,
    PAUSE, //
};
use crate::abi::{
    list::IommuMt,
    Hpa,
    Leaf,
    Status, //
};
use crate::bindings;
use crate::custody::{
    listed::{
        Listed,
        Tables, //
    },
    transitions::Answer, //
};
use crate::mm::{
    root::Published,
    Blocks, //
};
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// The memory of an IOMMU_MT, listed for a call.
pub(crate) type IommuTables<'a> = Listed<'a, Blocks, Published<'a>, Tables>;

/// A leaf that was given up while it could still be resumed.
pub(super) struct Pending {
    call: Call,
    // The root page that it names.
    root: Option<Hpa>,
    // It has been waited for, to no avail.
    tired: bool,
}

/// A leaf with its operands.
#[derive(Clone, Copy)]
enum Call {
    ExtInit,
    IommuSetup { reg_base: u64, iommu_mt: IommuMt },
    IommuClear { id: u64, root: Hpa },
}

impl Call {
    const fn leaf(self) -> Leaf {
        match self {
            Self::ExtInit => Leaf::EXT_INIT,
            Self::IommuSetup { .. } => Leaf::IOMMU_SETUP,
            Self::IommuClear { .. } => Leaf::IOMMU_CLEAR,
        }
    }
}

/// A leaf that is being called.
struct Calls<'a> {
    seam: &'a Seam,
    call: Call,
    begin: Instant<Monotonic>,
    patience: Delta,
}

// SAFETY: `Seam::once` makes the call, or tells that the system goes down.
unsafe impl Attempts for Calls<'_> {
    type Output = u64;

    fn call(&mut self) -> (Status, u64) {
        let mut output = 0;
        // SAFETY: `output` outlives the call. What is listed is on record: `Call` is made of lists
        // that custody made, whose root page stays borrowed, or is kept away, until the end.
        let call = || unsafe {
            match self.call {
                Call::ExtInit => bindings::tdh_ext_init(),
                Call::IommuSetup { reg_base, iommu_mt } => {
                    bindings::tdh_iommu_setup(reg_base, iommu_mt.raw(), &mut output)
                }
                Call::IommuClear { id, root } => bindings::tdh_iommu_clear(id, root.get()),
            }
        };
        let status = self.seam.once(call);
        (status, output)
    }

    fn pause(&mut self) {
        fsleep(PAUSE);
    }

    fn is_out_of_patience(&self) -> bool {
        self.begin.elapsed() > self.patience
    }
}

impl Seam {
    fn until_end(&self, call: Call, patience: Delta, interrupted: bool) -> (Answer, u64) {
        let mut calls = Calls {
            seam: self,
            call,
            begin: Instant::now(),
            patience,
        };
        let (answer, output) = until_end(&mut calls, interrupted);
        self.note(!answer.is_given_up() && !answer.status().is_recoverable());
        if answer.is_success() && !answer.status().is_success() {
            pr_notice!(
                "{} answered {}, taken for success\n",
                call.leaf(),
                answer.status()
            );
        }
        (answer, output)
    }

    /// Calls a leaf alone. `root` is the root page that its operands name; it comes back unless the
    /// leaf is left interrupted.
    fn call<'a>(
        &self,
        call: Call,
        root: Option<IommuTables<'a>>,
    ) -> (Answer, u64, Option<IommuTables<'a>>) {
        let mut pending = self.resumed.lock();
        if !self.finish(&mut pending, self.patience_now()) {
            // SAFETY: Nothing was called.
            return (unsafe { Answer::not_called(Status::SYS_BUSY) }, 0, root);
        }
        let (answer, output) = self.until_end(call, self.patience_now(), false);
        if !answer.is_given_up() {
            return (answer, output, root);
        }
        pr_err!(
            "{} is left interrupted: {}; nothing like it is called before it has ended\n",
            call.leaf(),
            answer.status()
        );
        *pending = Some(Pending {
            call,
            root: root.map(|root| root.into_root().keep()),
            tired: false,
        });
        (answer, output, None)
    }

    /// Resumes the leaf that was given up, if there is one. Returns whether there is none any more.
    ///
    /// A SETUP that succeeds so late is undone: nobody waits for the IOMMU any more.
    fn finish(&self, pending: &mut Option<Pending>, patience: Delta) -> bool {
        while let Some(left) = pending {
            // It is waited for once; after that one try each time has to do.
            let patience = if left.tired { Delta::ZERO } else { patience };
            let (answer, output) = self.until_end(left.call, patience, true);
            if answer.is_given_up() {
                left.tired = true;
                return false;
            }
            pr_notice!(
                "{} has ended at last: {}\n",
                left.call.leaf(),
                answer.status()
            );
            match (left.call, left.root) {
                (Call::IommuSetup { .. }, Some(root)) if answer.is_success() => {
                    left.call = Call::IommuClear { id: output, root };
                    left.tired = false;
                }
                (_, root) => {
                    if let Some(root) = root {
                        self.roots.give_back(root);
                    }
                    *pending = None;
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

    /// TDH.EXT.INIT.
    pub(crate) fn ext_init(&self) -> Answer {
        self.call(Call::ExtInit, None).0
    }

    /// TDH.IOMMU.SETUP on the remapping unit with this register base. The IOMMU id means something
    /// after success only.
    pub(crate) fn iommu_setup(&self, reg_base: u64, tables: IommuTables<'_>) -> (Answer, u64) {
        let iommu_mt = tables.iommu_mt();
        let call = Call::IommuSetup { reg_base, iommu_mt };
        let (answer, id, _tables) = self.call(call, Some(tables));
        (answer, id)
    }

    /// TDH.IOMMU.CLEAR. The list may be written back to the root page of `tables`, and is checked
    /// after success.
    pub(crate) fn iommu_clear(&self, id: u64, tables: IommuTables<'_>) -> Answer {
        let root = tables.root();
        let call = Call::IommuClear { id, root };
        match self.call(call, Some(tables)) {
            (answer, _, Some(tables)) if answer.is_success() => {
                answer.with_list(tables.check_list().is_ok())
            }
            (answer, ..) => answer,
        }
    }
}
