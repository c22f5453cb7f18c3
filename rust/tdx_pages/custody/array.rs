// SPDX-License-Identifier: GPL-2.0

//! Memory told to the TDX Module as HPA_ARRAY_T: lent for one call, or listed as it is released.

// For messages, device info, SPDM and IDE metadata: the users of these are not there yet.
#![cfg_attr(not(any(TDX_PAGES_KUNIT, test)), expect(dead_code))]

use super::memory::{
    Memory,
    Platform,
    PublishedRoot,
    RootPage, //
};
use crate::abi::list::{
    Entries,
    HpaArray, //
};

/// Pages listed in a root page, for one call.
pub(crate) struct Listed<R: PublishedRoot> {
    root: R,
    entries: Entries,
    array: HpaArray,
}

/// What is wrong with a list of released pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongList {
    /// The word is not the one for these pages: another count, another page, or the form for one
    /// page in the place of the other.
    Word,
    /// The entry with this index names another page, or carries other bits.
    Entry(usize),
}

impl<R: PublishedRoot> Listed<R> {
    /// Lists `memory`, in order, in a root page of `platform`. [`None`] for more than 512 pages.
    ///
    /// The pages stay whose they are: this is a list and no hand-over. To lend memory of the host
    /// for the length of a call, borrow it for as long.
    pub(crate) fn new<'a, P>(platform: &'a P, memory: &P::Memory) -> Option<Self>
    where
        P: Platform + 'a,
        P::Root<'a>: RootPage<Published = R>,
    {
        let first = memory.blocks().first()?.hpa();
        let mut root = platform.root();
        let entries = root.fill(memory.hpas().map(|hpa| hpa.get()))?;
        let root = root.publish();
        let array = HpaArray::new(entries, first, root.hpa());
        Some(Self {
            root,
            entries,
            array,
        })
    }

    /// The operand for the pages themselves.
    pub(crate) fn operand(&self) -> HpaArray {
        self.array
    }

    /// The operand for where a list of them may be written to.
    pub(crate) fn aux(&self) -> u64 {
        HpaArray::aux(self.entries, self.root.hpa())
    }

    /// Checks what a DELETE of the v2 profile gave back after success: the word, and the list of
    /// `memory` in the root page, in the order in which it was given. `[1]` V2 03/31
    pub(crate) fn check<M: Memory>(&self, memory: &M, word: u64) -> Result<(), WrongList> {
        if word != self.array.raw() {
            return Err(WrongList::Word);
        }
        if self.entries.get() == 1 {
            // The word has said it all, and no list was asked for.
            return Ok(());
        }
        for (index, hpa) in memory.hpas().enumerate() {
            if self.root.word(index) != Some(hpa.get()) {
                return Err(WrongList::Entry(index));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Hpa;
    use crate::model::machine::Machine;
    use crate::world::{
        Blocks,
        Published,
        World, //
    };

    fn listed(world: &World, sizes: &[usize]) -> (Blocks, Listed<Published>) {
        let memory = world.blocks(sizes, 0);
        let listed = Listed::new(world, &memory).expect("few pages");
        (memory, listed)
    }

    #[test]
    fn one_page_is_told_by_itself() {
        let world = World::new();
        let (memory, listed) = listed(&world, &[1]);
        let page = memory.hpas().next().unwrap();
        assert_eq!(listed.operand().raw(), page.get());
        assert_eq!(listed.aux(), 0);
        assert_eq!(listed.check(&memory, page.get()), Ok(()));
        let list = HpaArray::new(Entries::new(2).unwrap(), page, page).raw();
        assert_eq!(listed.check(&memory, list), Err(WrongList::Word));
        assert_eq!(listed.check(&memory, 0), Err(WrongList::Word));
    }

    #[test]
    fn every_word_counts() {
        let world = World::new();
        let (memory, listed) = listed(&world, &[2, 1, 4]);
        let root = Hpa::from_bits(listed.aux());
        let word = listed.operand().raw();
        assert_eq!(listed.check(&memory, word), Ok(()));
        for bit in 0..64 {
            assert_eq!(listed.check(&memory, word ^ 1 << bit), Err(WrongList::Word));
        }
        for index in 0..7 {
            for bit in [0, 1, 11, 12, 51, 52, 63] {
                let good = world.model(|m| m.machine_mut().read(root, index)).unwrap();
                world.model(|m| m.machine_mut().write(root, index, good ^ 1 << bit));
                let wrong = Err(WrongList::Entry(index));
                assert_eq!(
                    listed.check(&memory, word),
                    wrong,
                    "entry {index}, bit {bit}"
                );
                world.model(|m| m.machine_mut().write(root, index, good));
            }
        }
        // Past the end nothing is read.
        world.model(|m| m.machine_mut().write(root, 7, 1));
        assert_eq!(listed.check(&memory, word), Ok(()));
    }

    #[test]
    fn repeated_and_permuted() {
        let world = World::new();
        let (memory, listed) = listed(&world, &[1, 1, 1]);
        let root = Hpa::from_bits(listed.aux());
        let word = listed.operand().raw();
        let hpas: Vec<u64> = memory.hpas().map(Hpa::get).collect();
        for list in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [0, 1, 1]] {
            let words: Vec<u64> = list.iter().map(|index| hpas[*index]).collect();
            world.model(|m| m.put(root.get(), &words));
            assert!(listed.check(&memory, word).is_err(), "{list:?}");
        }
    }
}
