// SPDX-License-Identifier: GPL-2.0

//! The memory of a machine in which only root pages have contents: all that a test needs which
//! lives a million lives.

use crate::abi::{
    Hpa,
    ROOT_ENTRIES, //
};
use crate::model::{
    machine::{
        Check,
        Kind,
        List,
        Machine, //
    },
    page::PageState, //
};

/// Pages from HPA 0 on, of which the last ones are root pages. One IOMMU can be set up.
pub(crate) struct Ram {
    states: Vec<PageState>,
    lists: Vec<List>,
    roots: Vec<List>,
}

impl Ram {
    /// `pages` pages, of which the last `roots` are root pages.
    pub(crate) fn new(pages: usize, roots: usize) -> Self {
        Self {
            states: vec![PageState::FREE; pages],
            lists: vec![[0; ROOT_ENTRIES]],
            roots: vec![[0; ROOT_ENTRIES]; roots],
        }
    }

    /// All words of a root page.
    pub(crate) fn list(&mut self, page: Hpa) -> Option<&mut List> {
        let first = self.states.len() - self.roots.len();
        let index = (page.pfn() as usize).checked_sub(first)?;
        self.roots.get_mut(index)
    }
}

impl Machine for Ram {
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

    fn kind(&self, page: Hpa) -> Kind {
        if (page.pfn() as usize) < self.states.len() {
            Kind::Ram
        } else {
            Kind::Absent
        }
    }

    fn read(&self, page: Hpa, index: usize) -> Option<u64> {
        let first = self.states.len() - self.roots.len();
        match (page.pfn() as usize).checked_sub(first) {
            Some(root) => self.roots.get(root)?.get(index).copied(),
            None => Some(0),
        }
    }

    fn write(&mut self, page: Hpa, index: usize, word: u64) -> bool {
        let slot = self.list(page).and_then(|list| list.get_mut(index));
        slot.map(|slot| *slot = word).is_some()
    }

    fn fill(&mut self, _page: Hpa, _seed: u64) -> bool {
        // Nobody on the host can write to a page, so there is nothing to find out.
        true
    }

    fn check(&self, _page: Hpa, _seed: u64) -> Check {
        Check::Intact
    }
}
