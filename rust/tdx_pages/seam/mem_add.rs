// SPDX-License-Identifier: GPL-2.0

//! TDH.EXT.MEM.ADD, which carries its progress in the list word.

use super::{
    Seam,
    PAUSE, //
};
use crate::abi::{
    list::HpaListInfo,
    Leaf,
    Status, //
};
use crate::bindings;
use crate::custody::feed::{
    Added,
    Window, //
};
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
    Delta, //
};

/// The calls of one hand-over. A TDX Module that is busy is borne for so long in all.
pub(crate) struct MemAdd<'a> {
    seam: &'a Seam,
    waited: Delta,
}

impl Seam {
    /// Begins a hand-over by TDH.EXT.MEM.ADD.
    pub(crate) fn ext_mem_add(&self) -> MemAdd<'_> {
        MemAdd {
            seam: self,
            waited: Delta::ZERO,
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
        self.once(Leaf::EXT_MEM_ADD, || unsafe {
            bindings::tdh_ext_mem_add(word, &mut back)
        })
    }
}

impl MemAdd<'_> {
    /// TDH.EXT.MEM.ADD. Called again while it is busy; one that is interrupted is the caller's to go
    /// on with, with the new word. Sleeps.
    pub(crate) fn call<'id>(&mut self, window: &Window<'id>) -> Added<'id> {
        let word = window.word();
        // What "busy" has done is not known, so after it "not executed" is not the whole truth.
        let mut busy = None;
        loop {
            let mut back = word.raw();
            // SAFETY: `back` outlives the call, and the pages in the list are on record.
            let call = || unsafe { bindings::tdh_ext_mem_add(word.raw(), &mut back) };
            let status = self.seam.once(Leaf::EXT_MEM_ADD, call);
            let back = HpaListInfo::from_raw(back);
            if status.is_not_executed() {
                // SAFETY: It was called, and this is its end; "busy" is told if it was said before.
                return unsafe { Added::new(busy.unwrap_or(status), back) };
            }
            let interrupted = status.masked() == Status::INTERRUPTED_RESUMABLE;
            let again = status.is_recoverable() && !interrupted && back == word;
            if !again || self.waited > self.seam.patience_now() {
                self.seam.note(interrupted || !status.is_recoverable());
                // SAFETY: As above.
                return unsafe { Added::new(status, back) };
            }
            busy = Some(status);
            self.waited += PAUSE;
            fsleep(PAUSE);
        }
    }
}
