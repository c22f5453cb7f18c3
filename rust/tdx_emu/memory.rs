// SPDX-License-Identifier: GPL-2.0

//! The memory of the real machine, as the model sees it.

use super::{
    abi::{
        Hpa,
        PAGE_SIZE,
        ROOT_ENTRIES, //
    },
    bindings,
    model::{
        ide::{
            Stream,
            STREAMS, //
        },
        iommus::IOMMUS,
        machine::{
            Check,
            Kind,
            List, //
        },
        page::PageState,
        spdm::{
            Session,
            SESSIONS, //
        },
        Machine, //
    }, //
};
use kernel::prelude::*;

const PAGES_PER_MB: u64 = 1024 * 1024 / PAGE_SIZE;

/// Address bits below the KeyID.
pub(crate) fn phys_bits() -> u32 {
    // SAFETY: It has no preconditions.
    unsafe { bindings::tdx_emu_phys_bits() }
}

/// The machine's RAM from address 0 up to a limit, and the room for the model's records.
pub(crate) struct Memory {
    states: VVec<PageState>,
    lists: VVec<List>,
    sessions: VVec<Option<Session>>,
    streams: VVec<Option<Stream>>,
    object_lists: VVec<List>,
}

/// Room for so many lists.
// The one that is copied fills a page of the stack: one at a time.
#[inline(never)]
fn lists(count: usize) -> Result<VVec<List>> {
    Ok(VVec::from_elem([0; ROOT_ENTRIES], count, GFP_KERNEL)?)
}

impl Memory {
    /// Covers all RAM below `limit_mb` MiB.
    pub(crate) fn new(limit_mb: u64) -> Result<Self> {
        // SAFETY: It has no preconditions.
        let end = unsafe { bindings::tdx_emu_end_of_ram() };
        let pages = limit_mb.saturating_mul(PAGES_PER_MB).min(end);
        if pages == 0 {
            pr_err!("memory_mb=0 leaves no page to hand over\n");
            return Err(EINVAL);
        }
        Ok(Self {
            // CAST: 64-bit only.
            states: VVec::from_elem(PageState::FREE, pages as usize, GFP_KERNEL)?,
            lists: lists(IOMMUS)?,
            sessions: VVec::from_elem(None, SESSIONS, GFP_KERNEL)?,
            streams: VVec::from_elem(None, STREAMS, GFP_KERNEL)?,
            object_lists: lists(SESSIONS + STREAMS)?,
        })
    }

    /// How much is covered, in MiB.
    pub(crate) fn covered_mb(&self) -> u64 {
        // CAST: 64-bit only.
        self.states.len() as u64 / PAGES_PER_MB
    }
}

impl Machine for Memory {
    fn states(&self) -> &[PageState] {
        &self.states
    }

    fn states_mut(&mut self) -> &mut [PageState] {
        &mut self.states
    }

    fn lists(&self) -> &[List] {
        &self.lists
    }

    fn lists_mut(&mut self) -> &mut [List] {
        &mut self.lists
    }

    fn sessions(&self) -> &[Option<Session>] {
        &self.sessions
    }

    fn sessions_mut(&mut self) -> &mut [Option<Session>] {
        &mut self.sessions
    }

    fn streams(&self) -> &[Option<Stream>] {
        &self.streams
    }

    fn streams_mut(&mut self) -> &mut [Option<Stream>] {
        &mut self.streams
    }

    fn object_lists(&self) -> &[List] {
        &self.object_lists
    }

    fn object_lists_mut(&mut self) -> &mut [List] {
        &mut self.object_lists
    }

    fn kind(&self, page: Hpa) -> Kind {
        // SAFETY: It bears any HPA.
        match unsafe { bindings::tdx_emu_kind(page.get()) } {
            bindings::tdx_emu_kind_TDX_EMU_RAM => Kind::Ram,
            bindings::tdx_emu_kind_TDX_EMU_RESERVED => Kind::Reserved,
            _ => Kind::Absent,
        }
    }

    fn read(&self, page: Hpa, index: usize) -> Option<u64> {
        let mut word = 0;
        let index = u32::try_from(index).ok()?;
        // SAFETY: It bears any HPA and index; `word` is valid for a write.
        unsafe { bindings::tdx_emu_read(page.get(), index, &mut word) }.then_some(word)
    }

    fn write(&mut self, page: Hpa, index: usize, word: u64) -> bool {
        let Ok(index) = u32::try_from(index) else {
            return false;
        };
        // SAFETY: It bears any HPA and index. Whose page it is, is the model's affair: it writes
        // where the host asked it to, as the TDX Module does.
        unsafe { bindings::tdx_emu_write(page.get(), index, word) }
    }

    fn fill(&mut self, page: Hpa, seed: u64) -> bool {
        // SAFETY: It bears any HPA. The model fills pages that it owns.
        unsafe { bindings::tdx_emu_fill(page.get(), seed) }
    }

    fn check(&self, page: Hpa, seed: u64) -> Check {
        // SAFETY: It bears any HPA.
        match unsafe { bindings::tdx_emu_check(page.get(), seed) } {
            bindings::TDX_EMU_INTACT => Check::Intact,
            bindings::TDX_EMU_UNREADABLE => Check::Unreadable,
            offset => Check::Changed(u64::from(offset)),
        }
    }
}
