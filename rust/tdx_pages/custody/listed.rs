// SPDX-License-Identifier: GPL-2.0

//! Memory on record, and the lists by which it is told to the TDX Module.

use super::{
    answer::{
        Answer,
        Brand, //
    },
    memory::{
        pass,
        Memory,
        PublishedRoot,
        RootPage, //
    }, //
};
use crate::abi::{
    list::{
        Entries,
        HpaArray,
        HpaListInfo,
        IommuMt, //
    },
    Block,
    Hpa, //
};
use core::marker::PhantomData;

/// Memory that is on record in the ledger, for the length of one leaf.
///
/// Custody makes one for whoever makes the call. It tells HPAs and nothing else: memory that the
/// TDX Module may be using is neither read nor mapped. Whatever is listed by it is on record, so
/// that its fate will be known. Listing it consumes it: one record, one leaf, one [`Answer`], which
/// has the same lifetime `'id`.
pub(crate) struct Recorded<'id, M: Memory>(&'id M, Brand<'id>);

impl<'id, M: Memory> Recorded<'id, M> {
    pub(super) fn new(memory: &'id M) -> Self {
        Self(memory, PhantomData)
    }

    /// The memory, for `make bench` to feed it in windows.
    #[cfg(TDX_PAGES_BENCH)]
    pub(super) fn memory(&self) -> &'id M {
        self.0
    }

    /// All pages, in order.
    #[cfg(test)]
    pub(crate) fn hpas(&self) -> impl Iterator<Item = Hpa> + 'id {
        self.0.hpas()
    }

    /// Lists each page by itself. More than 512 pages are an answer at once: that of a leaf that
    /// was not called.
    pub(crate) fn list<R: RootPage>(
        self,
        root: R,
    ) -> Result<Listed<'id, M, R::Published, Pages>, Answer<'id>> {
        Listed::new(self.0, root).ok_or(Answer::CANNOT_LIST)
    }

    /// Lists each folio as a block, and each other page by itself: the form of an IOMMU_MT. The
    /// answer is as above.
    pub(crate) fn list_tables<R: RootPage>(
        self,
        root: R,
    ) -> Result<Listed<'id, M, R::Published, Tables>, Answer<'id>> {
        Listed::new(self.0, root).ok_or(Answer::CANNOT_LIST)
    }
}

/// How memory is put into words of a root page.
pub(crate) trait Form {
    /// Whether the operand tells how many words there are.
    const COUNTED: bool;

    /// The words, in order.
    fn words<M: Memory>(memory: &M) -> impl Iterator<Item = u64> + '_;
}

/// Each page by itself: HPA_ARRAY_T and HPA_LIST_INFO.
pub(crate) enum Pages {}

/// Folios as blocks, with their number of pages, then each other page by itself: IOMMU_MT.
pub(crate) enum Tables {}

impl Form for Pages {
    const COUNTED: bool = true;

    fn words<M: Memory>(memory: &M) -> impl Iterator<Item = u64> + '_ {
        pass();
        memory.hpas().map(Hpa::get)
    }
}

impl Form for Tables {
    const COUNTED: bool = false;

    fn words<M: Memory>(memory: &M) -> impl Iterator<Item = u64> + '_ {
        pass();
        let blocks = memory.blocks();
        let (folios, rest) = blocks
            .split_at_checked(memory.folios())
            .unwrap_or((blocks, &[]));
        let folios = folios.iter().map(|block| block.raw());
        let rest = rest.iter().copied().flat_map(Block::hpas).map(Hpa::get);
        // The kernel's prelude has a `chain` of pin-init as well.
        Iterator::chain(folios, rest)
    }
}

/// Memory on record, listed in a published root page: the operand of one leaf.
pub(crate) struct Listed<'id, M: Memory, R: PublishedRoot, F: Form> {
    memory: &'id M,
    root: R,
    entries: Entries,
    _form: PhantomData<F>,
    _brand: Brand<'id>,
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

impl<'id, M: Memory, R: PublishedRoot, F: Form> Listed<'id, M, R, F> {
    fn new(memory: &'id M, mut root: impl RootPage<Published = R>) -> Option<Self> {
        let words = F::words(memory);
        let entries = match F::COUNTED {
            true => root.fill(words),
            false => root.fill_whole(words),
        }?;
        Some(Self {
            memory,
            root: root.publish(),
            entries,
            _form: PhantomData,
            _brand: PhantomData,
        })
    }

    /// The HPA of the root page, where the TDX Module may write the same list back.
    pub(crate) fn root(&self) -> Hpa {
        self.root.hpa()
    }

    /// The root page alone, for a leaf that was left interrupted and still uses it.
    pub(crate) fn into_root(self) -> R {
        self.root
    }

    /// Checks what the TDX Module left in the root page after success: the same list, in the order
    /// in which it was given. `[1]` V2 03/31. One that does not write there passes too.
    pub(crate) fn check_list(&self) -> Result<(), WrongList> {
        for (index, word) in F::words(self.memory).enumerate() {
            if self.root.word(index) != Some(word) {
                return Err(WrongList::Entry(index));
            }
        }
        Ok(())
    }
}

impl<M: Memory, R: PublishedRoot> Listed<'_, M, R, Tables> {
    /// The operand of TDH.IOMMU.SETUP.
    pub(crate) fn iommu_mt(&self) -> IommuMt {
        IommuMt::new(self.root.hpa())
    }
}

impl<M: Memory, R: PublishedRoot> Listed<'_, M, R, Pages> {
    /// The operand as HPA_ARRAY_T; [`None`] never, for memory without pages is not listed.
    pub(crate) fn array(&self) -> Option<HpaArray> {
        let first = self.memory.hpas().next()?;
        Some(HpaArray::new(self.entries, first, self.root.hpa()))
    }

    /// The operand as HPA_LIST_INFO, no entry processed.
    pub(crate) fn list_info(&self) -> HpaListInfo {
        HpaListInfo::new(self.entries, self.root.hpa())
    }

    /// The operand of a DELETE of the v2 profile: where a list of the pages may be written to.
    pub(crate) fn aux(&self) -> u64 {
        HpaArray::aux(self.entries, self.root.hpa())
    }

    /// Checks what a DELETE of the v2 profile gave back after success: the word, and the list.
    pub(crate) fn check(&self, word: u64) -> Result<(), WrongList> {
        if self.array().map(HpaArray::raw) != Some(word) {
            return Err(WrongList::Word);
        }
        if self.entries.get() == 1 {
            // The word has said it all, and no list was asked for.
            return Ok(());
        }
        self.check_list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Blocks;
    use crate::custody::memory::Platform;
    use crate::model::machine::Machine;
    use crate::platform::Published;
    use crate::world::World;

    fn listed<'a, F: Form>(world: &World, memory: &'a Blocks) -> Listed<'a, Blocks, Published, F> {
        Listed::new(memory, world.root()).expect("few pages")
    }

    #[test]
    fn one_page_is_told_by_itself() {
        let world = World::new();
        let memory = world.blocks(&[1], 0);
        let listed = listed::<Pages>(&world, &memory);
        let page = memory.hpas().next().unwrap();
        assert_eq!(listed.array().unwrap().raw(), page.get());
        assert_eq!(listed.aux(), 0);
        assert_eq!(listed.check(page.get()), Ok(()));
        let list = HpaArray::new(Entries::new(2).unwrap(), page, page).raw();
        assert_eq!(listed.check(list), Err(WrongList::Word));
        assert_eq!(listed.check(0), Err(WrongList::Word));
    }

    #[test]
    fn every_word_counts() {
        let world = World::new();
        let memory = world.blocks(&[2, 1, 4], 0);
        let listed = listed::<Pages>(&world, &memory);
        let root = listed.root();
        let word = listed.array().unwrap().raw();
        assert_eq!(listed.aux(), root.get());
        assert_eq!(listed.check(word), Ok(()));
        for bit in 0..64 {
            assert_eq!(listed.check(word ^ 1 << bit), Err(WrongList::Word));
        }
        for index in 0..7 {
            for bit in [0, 1, 11, 12, 51, 52, 63] {
                let good = world.model(|m| m.machine_mut().read(root, index)).unwrap();
                let write = |word| world.model(|m| m.machine_mut().write(root, index, word));
                assert!(write(good ^ 1 << bit));
                let wrong = Err(WrongList::Entry(index));
                assert_eq!(listed.check(word), wrong, "entry {index}, bit {bit}");
                assert!(write(good));
            }
        }
        // Past the end nothing is read.
        assert!(world.model(|m| m.machine_mut().write(root, 7, 1)));
        assert_eq!(listed.check(word), Ok(()));
    }

    #[test]
    fn repeated_and_permuted() {
        let world = World::new();
        let memory = world.blocks(&[1, 1, 1], 0);
        let listed = listed::<Pages>(&world, &memory);
        let word = listed.array().unwrap().raw();
        let hpas: Vec<u64> = memory.hpas().map(Hpa::get).collect();
        for list in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [0, 1, 1]] {
            for (index, from) in list.iter().enumerate() {
                let root = listed.root();
                assert!(world.model(|m| m.machine_mut().write(root, index, hpas[*from])));
            }
            assert!(listed.check(word).is_err(), "{list:?}");
        }
    }

    #[test]
    fn queues_are_told_as_blocks() {
        let world = World::new();
        let memory = world.blocks(&[2, 4, 1, 2], 2);
        let listed = listed::<Tables>(&world, &memory);
        let root = listed.root();
        assert_eq!(listed.iommu_mt().raw(), root.get());
        let word = |index| world.model(|m| m.machine_mut().read(root, index)).unwrap();
        let hpas: Vec<u64> = memory.hpas().map(Hpa::get).collect();
        let want = [hpas[0] | 2, hpas[2] | 4, hpas[6], hpas[7], hpas[8]];
        assert_eq!([0, 1, 2, 3, 4].map(word), want);
        assert_eq!(listed.check_list(), Ok(()));
        // NUM_PAGES of a queue counts as much as its HPA.
        assert!(world.model(|m| m.machine_mut().write(root, 1, hpas[2] | 2)));
        assert_eq!(listed.check_list(), Err(WrongList::Entry(1)));
    }

    #[test]
    fn too_many_are_not_called() {
        let world = World::with(1024, crate::world::CONFIG, Default::default());
        for (pages, fits) in [(512, true), (513, false)] {
            let memory = world.blocks(&vec![1; pages], 0);
            let answer = Recorded::new(&memory).list(world.root()).map(drop);
            assert_eq!(answer.is_ok(), fits);
            if let Err(answer) = answer {
                assert!(answer.is_untouched());
            }
        }
    }
}
