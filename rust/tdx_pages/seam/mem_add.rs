// SPDX-License-Identifier: GPL-2.0

//! TDH.EXT.MEM.ADD, which carries its progress in the list word.

use super::{
    Seam,
    PAUSE, //
};
use crate::abi::{
    list::HpaListInfo,
    Status, //
};
use crate::bindings;
use crate::custody::feed::Window;
#[cfg(TDX_PAGES_KUNIT)]
use crate::{
    custody::listed::{
        Listed,
        Pages, //
    },
    mm::{
        root::Published,
        Blocks, //
    }, //
};
use kernel::time::{
    delay::fsleep,
    Instant,
    Monotonic, //
};

/// The calls of one hand-over. A TDX Module that is busy is borne for so long in all.
pub(crate) struct MemAdd<'a> {
    seam: &'a Seam,
    begin: Instant<Monotonic>,
}

impl Seam {
    /// Begins a hand-over by TDH.EXT.MEM.ADD.
    pub(crate) fn ext_mem_add(&self) -> MemAdd<'_> {
        MemAdd {
            seam: self,
            begin: Instant::now(),
        }
    }
}

#[cfg(TDX_PAGES_KUNIT)]
impl Seam {
    /// TDH.EXT.MEM.ADD, called once on a whole list, for suites in which it stands for any leaf that
    /// takes pages.
    pub(crate) fn ext_mem_add_once(
        &self,
        listed: &Listed<'_, Blocks, Published<'_>, Pages>,
    ) -> Status {
        let mut back = 0;
        let word = listed.list_info().raw();
        // SAFETY: `back` outlives the call, and the pages in the list are on record.
        self.once(|| unsafe { bindings::tdh_ext_mem_add(word, &mut back) })
    }
}

impl MemAdd<'_> {
    /// TDH.EXT.MEM.ADD: the status, and the list word that came back, unchecked. Called again while
    /// it is busy; one that is interrupted is the caller's to go on with, with the new word. Sleeps.
    pub(crate) fn call(&self, window: &Window<'_>) -> (Status, HpaListInfo) {
        let word = window.word();
        // What "busy" has done is not known, so after it "not executed" is not the whole truth.
        let mut busy = None;
        loop {
            let mut back = word.raw();
            // SAFETY: `back` outlives the call, and the pages in the list are on record.
            let call = || unsafe { bindings::tdh_ext_mem_add(word.raw(), &mut back) };
            let status = self.seam.once(call);
            let back = HpaListInfo::from_raw(back);
            if status.is_not_executed() {
                return (busy.unwrap_or(status), back);
            }
            if status == Status::INTERRUPTED_RESUMABLE
                || !status.is_recoverable()
                || back != word
                || self.begin.elapsed() > self.seam.patience_now()
            {
                self.seam
                    .note(status == Status::INTERRUPTED_RESUMABLE || !status.is_recoverable());
                return (status, back);
            }
            busy = Some(status);
            fsleep(PAUSE);
        }
    }
}
