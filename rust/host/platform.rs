// SPDX-License-Identifier: GPL-2.0

//! What custody needs from below, by the [`World`]: proofs, root pages, records.

use crate::abi::{
    status::Operand,
    Block,
    Hpa,
    Leaf,
    Status,
    ROOT_ENTRIES, //
};
use crate::blocks::Blocks;
use crate::custody::{
    lent::Lent,
    memory::{
        Entered,
        Memory,
        Platform,
        PublishedRoot,
        Refusal,
        RootPage, //
    },
    transitions::State, //
};
use crate::ledger::Record;
use crate::model::machine::Machine;
use crate::world::{
    hpa,
    Page,
    World,
    CONFIG, //
};
use std::rc::Rc;

/// A root page before its address is known.
pub(crate) struct Root {
    words: Option<Box<[u64; ROOT_ENTRIES]>>,
    world: World,
}

impl Drop for Root {
    fn drop(&mut self) {
        // The next one saves an allocation. In a panic the world may be borrowed.
        if let Ok(mut world) = self.world.0.try_borrow_mut() {
            world.spare = self.words.take();
        }
    }
}

/// A root page in the machine's memory.
pub(crate) struct Published {
    hpa: Hpa,
    world: World,
}

// SAFETY: The words are copied to the page that is published.
unsafe impl RootPage for Root {
    type Published = Published;

    fn words(&mut self) -> &mut [u64; ROOT_ENTRIES] {
        self.words.as_mut().expect("it is not dropped")
    }

    fn publish(mut self) -> Published {
        let words = self.words().to_owned();
        let mut world = self.world.0.borrow_mut();
        let index = world
            .pages
            .iter()
            .rposition(|known| known.page == Page::Root)
            .expect("no more than a few are borrowed at a time");
        world.pages[index].page = Page::Taken;
        let hpa = hpa(index);
        if let Some(list) = world.model.machine_mut().list(hpa) {
            *list = words;
        }
        drop(world);
        Published {
            hpa,
            world: self.world.clone(),
        }
    }
}

// SAFETY: The world knows that the page is taken.
unsafe impl PublishedRoot for Published {
    fn hpa(&self) -> Hpa {
        self.hpa
    }

    fn word(&self, index: usize) -> Option<u64> {
        let hpa = self.hpa;
        self.world
            .model(|model| model.machine_mut().read(hpa, index))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // In a panic the world may be borrowed.
        if let Ok(mut world) = self.world.0.try_borrow_mut() {
            world.pages[self.hpa.pfn() as usize].page = Page::Root;
        }
    }
}

// SAFETY: Nothing is really freed here; the allocator checks.
unsafe impl Platform for World {
    type Memory = Blocks;
    type Bits = Vec<u64>;
    type User = ();
    type Entry = Rc<Record>;
    type Root<'a> = Root;

    /// Never a lie: the one answer that has to be trusted. But it may fail for no reason.
    unsafe fn prove(&self, page: Hpa) -> Status {
        let world = self.0.borrow();
        let known = world.pages[page.pfn() as usize];
        assert!(
            matches!(known.page, Page::Allocated(_)),
            "page {page} is put to the proof and is not away"
        );
        assert!(!known.proved, "page {page} is proved twice");
        let fails = if known.fails {
            2
        } else if world.is_owned(page) || !world.doubts(page) {
            0
        } else {
            world.tape.answer("proof", 4)
        };
        drop(world);
        let status = match fails {
            1 => Status::UD,
            2 => Status::OPERAND_BUSY.on(Operand::Rcx),
            3 => Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx),
            _ => {
                let keyed = page.get() | CONFIG.global_keyid << CONFIG.phys_bits;
                self.call(Leaf::PHYMEM_PAGE_WBINVD, keyed, 0).0
            }
        };
        let mut world = self.0.borrow_mut();
        world.proofs.push((page, status));
        world.pages[page.pfn() as usize].proved = status.is_success();
        status
    }

    /// May fail for no reason, and may lie.
    unsafe fn reclaim(&self, page: Hpa) -> Status {
        let mut world = self.0.borrow_mut();
        world.reclaims.push(page);
        let said = match (world.doubts(page), world.is_owned(page)) {
            (true, true) => world.tape.answer("reclaim", 4),
            (true, false) => world.tape.answer("reclaim of what is not owned", 2),
            _ => 0,
        };
        drop(world);
        match said {
            1 => Status::UD,
            2 => Status::OPERAND_BUSY.on(Operand::Rcx),
            3 => Status::SUCCESS,
            _ => self.call(Leaf::PHYMEM_PAGE_RECLAIM, page.get(), 0).0,
        }
    }

    unsafe fn flush(&self, blocks: &[Block]) {
        let mut world = self.0.borrow_mut();
        for page in blocks.iter().copied().flat_map(Block::hpas) {
            let known = &mut world.pages[page.pfn() as usize];
            assert!(!known.flushed, "page {page} is flushed twice");
            known.flushed = true;
        }
    }

    fn root(&self) -> Root {
        let mut words = match self.0.borrow_mut().spare.take() {
            Some(words) => words,
            None => Box::new([0; ROOT_ENTRIES]),
        };
        // Stale words of a former borrower.
        words.fill(u64::MAX);
        Root {
            words: Some(words),
            world: self.clone(),
        }
    }

    fn enter(&self, _user: &(), memory: Blocks) -> Entered<Self> {
        let mut world = self.0.borrow_mut();
        if world.closed {
            return Err((Refusal::Closed, memory));
        }
        for page in memory.hpas() {
            let known = &mut world.pages[page.pfn() as usize];
            known.flushed = false;
            known.proved = false;
        }
        // What is left of an earlier use does not matter.
        let bits = vec![u64::MAX; Lent::<Self>::words(memory.pages())];
        let lent = Lent::new(memory, bits);
        let record = Record::new(&lent);
        world.records.push(record.clone());
        Ok((record, lent))
    }

    fn take(&self, entry: &Rc<Record>) -> Option<Lent<Self>> {
        self.promise();
        entry.take()
    }

    fn put(&self, entry: &Rc<Record>, lent: Lent<Self>, state: State) {
        self.promise();
        entry.put(lent, state);
    }

    fn strike(&self, entry: Rc<Record>) {
        self.promise();
        self.struck(&entry);
    }

    fn dropped(&self, entry: &Rc<Record>) {
        self.0.borrow_mut().dropped += 1;
        entry.drop_handle();
    }
}
