// SPDX-License-Identifier: GPL-2.0

//! For the KUnit suites: the software TDX Module, driven by its control calls.
//!
//! A suite asks for it first and skips when nobody answers, so a test build never drives real
//! hardware.

// The suites do not use all of it.
#![allow(dead_code)]

use crate::abi::{
    emu::{
        Control,
        MAGIC, //
    },
    field::Field,
    Leaf,
    Status, //
};
use crate::bindings::{
    self,
    tdx_pages_test_regs as Regs, //
};
use crate::seam::profile::Profile;
use kernel::prelude::*;

/// Returns an error unless the condition holds. A failed `assert!` would run no destructor, and
/// these tests own pages.
macro_rules! expect {
    ($condition:expr) => {
        if !$condition {
            pr_err!(
                "{}:{}: does not hold: {}\n",
                file!(),
                line!(),
                stringify!($condition)
            );
            return Err(EINVAL);
        }
    };
}

/// Returns an error unless both sides are equal; see [`expect`].
macro_rules! expect_eq {
    ($left:expr, $right:expr) => {{
        let (left, right) = ($left, $right);
        if left != right {
            pr_err!(
                "{}:{}: {} is {:?}, not {:?}\n",
                file!(),
                line!(),
                stringify!($left),
                left,
                right
            );
            return Err(EINVAL);
        }
    }};
}

/// The KeyID that tdx_emu takes for the global one unless told otherwise.
pub(crate) const KEYID: u16 = 32;

/// When a faulty call fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Before it has any effect.
    Before,
    /// After its whole effect.
    After,
}

/// What is said of released pages; see [`Control::Released`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Released {
    /// The truth.
    Truth,
    /// Another count in the word.
    Count(u64),
    /// Another page, at an index.
    Foreign(u64, u64),
    /// The first page again, at an index.
    Repeated(u64),
    /// Every page so many places further on.
    Shifted(u64),
    /// Backwards.
    Reversed,
    /// Another word.
    Word(u64),
    /// The truth, but the list is not written.
    Unwritten,
}

/// When a leaf is interrupted; see [`Control::Interrupt`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interrupt {
    /// TDH.EXT.MEM.ADD after every so many entries, another leaf so many times.
    Every(u64),
    /// Once: before this entry, or at this call.
    At(u64),
    /// TDH.EXT.MEM.ADD before the last entry of each list.
    Last,
}

/// What is said of the progress of TDH.EXT.MEM.ADD; see [`Control::Progress`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress {
    /// The truth.
    Truth,
    /// There is none.
    Stalled,
    /// So many entries back from where the call began.
    Back(u64),
    /// So many entries more than the truth.
    Ahead(u64),
    /// Another word.
    Word(u64),
}

/// What output registers hold; see [`Control::Outputs`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outputs {
    /// The truth.
    Truth,
    /// After failures and interruptions, what the call before left.
    Stale,
    /// The same after success, too.
    AlwaysStale,
    /// This word after failures and interruptions.
    Word(u64),
    /// The same after success, too.
    AlwaysWord(u64),
}

/// What the software TDX Module knows of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Pages ever taken.
    pub(crate) taken: u64,
    /// Pages let go and proved.
    pub(crate) released: u64,
    /// Pages of the pool.
    pub(crate) pool: u64,
    /// Pages owned now, without the pool.
    pub(crate) owned: u64,
    /// Pages let go and still dirty.
    pub(crate) dirty: u64,
    /// Mistakes of the host that hardware would not report.
    pub(crate) host_bugs: u64,
}

/// The software TDX Module, fresh.
#[derive(Clone)]
pub(crate) struct Emu(());

fn call(control: Control, regs: Regs) -> Result<Regs> {
    let mut regs = regs;
    // SAFETY: `regs` outlives the call. A real TDX Module refuses every control call.
    let status = unsafe { bindings::tdx_pages_test_seamcall(control.leaf().raw(), &mut regs) };
    let status = Status::from_raw(status);
    if status.is_success() {
        return Ok(regs);
    }
    pr_err!("control call {:?} answered {}\n", control, status);
    Err(EINVAL)
}

fn regs(rcx: u64, rdx: u64, r8: u64, r9: u64, r10: u64) -> Regs {
    Regs {
        rcx,
        rdx,
        r8,
        r9,
        r10,
        r11: 0,
    }
}

impl Emu {
    /// Resets it. [`None`] if there is none; the running test is marked as skipped then.
    pub(crate) fn begin() -> Option<Self> {
        let mut answer = regs(0, 0, 0, 0, 0);
        // SAFETY: `answer` outlives the call; where no TDX Module answers the kernel's entry
        // returns an error.
        let status =
            unsafe { bindings::tdx_pages_test_seamcall(Control::Ping.leaf().raw(), &mut answer) };
        if status != 0 || answer.r8 != MAGIC {
            // SAFETY: Called from a test.
            unsafe { bindings::tdx_pages_test_skip() };
            return None;
        }
        let emu = Self(());
        emu.reset().ok()?;
        Some(emu)
    }

    /// It forgets all pages, objects, faults and counters.
    pub(crate) fn reset(&self) -> Result {
        call(Control::Reset, regs(0, 0, 0, 0, 0)).map(drop)
    }

    /// Sets a metadata field.
    pub(crate) fn set(&self, field: Field, value: u64) -> Result {
        call(Control::SetField, regs(field.raw(), value, 0, 0, 0)).map(drop)
    }

    /// A metadata field tells this from the `nth` read on, or where it alternates at each `nth`,
    /// and keeps its own value.
    pub(crate) fn tell(&self, field: Field, value: u64, nth: u64, alternates: bool) -> Result {
        let how = 2 + u64::from(alternates);
        call(Control::SetField, regs(field.raw(), value, how, nth, 0)).map(drop)
    }

    /// Makes a metadata field missing.
    pub(crate) fn unset(&self, field: Field) -> Result {
        call(Control::SetField, regs(field.raw(), 0, 1, 0, 0)).map(drop)
    }

    /// Lets calls of a leaf fail from the `nth` on, 1 being the next, `times` times. What was set
    /// before for this leaf is forgotten.
    pub(crate) fn fail(
        &self,
        leaf: Leaf,
        nth: u64,
        times: u64,
        status: Status,
        when: Fault,
    ) -> Result {
        call(Control::Fail, regs(leaf.number(), 1, 0, 0, 0))?;
        self.then_fail(leaf, nth, times, status, when)
    }

    /// The same, behind what was set before for this leaf; `nth` is counted from the end of that.
    pub(crate) fn then_fail(
        &self,
        leaf: Leaf,
        nth: u64,
        times: u64,
        status: Status,
        when: Fault,
    ) -> Result {
        let after = u64::from(matches!(when, Fault::After));
        let regs = regs(leaf.number(), nth, status.raw(), after, times);
        call(Control::Fail, regs).map(drop)
    }

    /// Takes back whatever was set to fail for a leaf.
    pub(crate) fn heal(&self, leaf: Leaf) -> Result {
        call(Control::Fail, regs(leaf.number(), 1, 0, 0, 0)).map(drop)
    }

    /// Interrupts a leaf; see [`Control::Interrupt`].
    pub(crate) fn interrupt(&self, leaf: Leaf, k: u64) -> Result {
        call(Control::Interrupt, regs(leaf.number(), k, 0, 0, 0)).map(drop)
    }

    /// The same, at other moments.
    pub(crate) fn interrupt_when(&self, leaf: Leaf, when: Interrupt) -> Result {
        let (rdx, r8) = match when {
            Interrupt::Every(k) => (k, 0),
            Interrupt::At(k) => (k, 1),
            Interrupt::Last => (0, 2),
        };
        call(Control::Interrupt, regs(leaf.number(), rdx, r8, 0, 0)).map(drop)
    }

    /// Lies about the progress of TDH.EXT.MEM.ADD.
    pub(crate) fn progress(&self, lie: Progress) -> Result {
        let (rcx, rdx) = match lie {
            Progress::Truth => (0, 0),
            Progress::Stalled => (1, 0),
            Progress::Back(by) => (2, by),
            Progress::Ahead(by) => (3, by),
            Progress::Word(word) => (4, word),
        };
        call(Control::Progress, regs(rcx, rdx, 0, 0, 0)).map(drop)
    }

    /// What the output registers of a leaf hold.
    pub(crate) fn outputs(&self, leaf: Leaf, outputs: Outputs) -> Result {
        let (rdx, r8, r9) = match outputs {
            Outputs::Truth => (0, 0, 0),
            Outputs::Stale => (1, 0, 0),
            Outputs::AlwaysStale => (1, 0, 1),
            Outputs::Word(word) => (2, word, 0),
            Outputs::AlwaysWord(word) => (2, word, 1),
        };
        call(Control::Outputs, regs(leaf.number(), rdx, r8, r9, 0)).map(drop)
    }

    /// Lets chance make something go wrong in so many of 1000 calls, 0 to end it.
    pub(crate) fn mix(&self, seed: u64, per_mille: u64) -> Result {
        call(Control::Mix, regs(per_mille, seed, 0, 0, 0)).map(drop)
    }

    /// Refuses the IOMMU with this register base as not capable.
    pub(crate) fn refuse(&self, reg_base: u64) -> Result {
        call(Control::Refuse, regs(reg_base, 0, 0, 0, 0)).map(drop)
    }

    /// Keeps all pages at the next CLEAR or DELETE, which says success all the same.
    pub(crate) fn keep_all(&self) -> Result {
        call(Control::KeepPages, regs(1, 0, 0, 0, 0)).map(drop)
    }

    /// The same, and RECLAIM keeps them too.
    pub(crate) fn keep_all_for_good(&self) -> Result {
        call(Control::KeepPages, regs(1, 0, 1, 0, 0)).map(drop)
    }

    /// Ends that, and lets the kept pages go.
    pub(crate) fn keep_none(&self) -> Result {
        call(Control::KeepPages, regs(0, 0, 0, 0, 0)).map(drop)
    }

    /// Exchanges have so many rounds of a request and a response.
    pub(crate) fn rounds(&self, rounds: u64) -> Result {
        call(Control::Exchange, regs(0, rounds, 0, 0, 0)).map(drop)
    }

    /// Device info has so many bytes, and is said to have `told` where that is given.
    pub(crate) fn device_info(&self, bytes: u64, told: Option<u64>) -> Result {
        call(Control::Exchange, regs(1, bytes, 0, 0, 0))?;
        call(Control::Exchange, regs(2, told.unwrap_or(0), 0, 0, 0)).map(drop)
    }

    /// The key of a session lasts for so many requests, 0 for any number.
    pub(crate) fn key_lasts(&self, requests: u64) -> Result {
        call(Control::Exchange, regs(3, requests, 0, 0, 0)).map(drop)
    }

    /// Lies about released pages.
    pub(crate) fn released(&self, lie: Released) -> Result {
        let (rcx, rdx, r8) = match lie {
            Released::Truth => (0, 0, 0),
            Released::Count(count) => (1, count, 0),
            Released::Foreign(hpa, index) => (2, hpa, index),
            Released::Repeated(index) => (3, index, 0),
            Released::Shifted(by) => (4, by, 0),
            Released::Reversed => (5, 0, 0),
            Released::Word(word) => (6, word, 0),
            Released::Unwritten => (7, 0, 0),
        };
        call(Control::Released, regs(rcx, rdx, r8, 0, 0)).map(drop)
    }

    /// An update of the TDX Module begins: from now on it is not ready.
    pub(crate) fn update_begins(&self) -> Result {
        call(Control::Update, regs(1, 0, 0, 0, 0)).map(drop)
    }

    /// It is done; the extensions have to be initialised anew where a pool of so many pages is
    /// given.
    pub(crate) fn update_done(&self, pool_pages: Option<u64>) -> Result {
        let (rcx, rdx) = pool_pages.map_or((0, 0), |pages| (2, pages));
        call(Control::Update, regs(rcx, rdx, 0, 0, 0)).map(drop)
    }

    /// Changes to another generation of the interface, until the next reset.
    pub(crate) fn profile(&self, profile: Profile) -> Result {
        let late = u64::from(profile == Profile::Late);
        call(Control::Profile, regs(late, 0, 0, 0, 0)).map(drop)
    }

    /// The next success of a leaf says this id instead of the true one.
    pub(crate) fn id(&self, leaf: Leaf, id: u64) -> Result {
        call(Control::Id, regs(leaf.number(), id, 0, 0, 0)).map(drop)
    }

    /// IOMMUs, sessions and streams that there are.
    pub(crate) fn objects(&self) -> Result<(u64, u64, u64)> {
        let regs = call(Control::Objects, regs(0, 0, 0, 0, 0))?;
        Ok((regs.rcx, regs.rdx, regs.r8))
    }

    /// Calls of a leaf since the last reset, and how many of them were plain success.
    pub(crate) fn calls(&self, leaf: Leaf) -> Result<(u64, u64)> {
        let regs = call(Control::Calls, regs(leaf.number(), 0, 0, 0, 0))?;
        Ok((regs.r8, regs.r9))
    }

    /// The page balance.
    pub(crate) fn balance(&self) -> Result<Balance> {
        let regs = call(Control::Balance, regs(0, 0, 0, 0, 0))?;
        Ok(Balance {
            taken: regs.rcx,
            released: regs.rdx,
            pool: regs.r8,
            owned: regs.r9,
            dirty: regs.r10,
            host_bugs: regs.r11,
        })
    }
}
