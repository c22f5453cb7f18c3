// SPDX-License-Identifier: GPL-2.0

//! Leaves that take and release an object, by a TDX Module that answers as a tape says.
//!
//! Where the memory has the form of an IOMMU_MT the leaves are those of the model; one page alone, or a
//! folio and a page, have none there, so their list is read and honoured here.

use crate::abi::{
    list::IommuMt,
    status::Operand,
    Block,
    Hpa,
    Leaf,
    Status, //
};
use crate::answers::{
    Answers,
    List,
    Said, //
};
use crate::blocks::Blocks;
use crate::custody::{
    listed::Recorded,
    memory::{
        Platform,
        PublishedRoot,
        RootPage, //
    },
    transitions::Answer, //
};
use crate::model::{
    iommus::FIRST_ID,
    machine::Machine,
    page::{
        PageState,
        PageType, //
    }, //
};
use crate::platform::Published;
use crate::shape::Shape;
use crate::world::World;
use std::cell::Cell;

/// A register base of an IOMMU.
const BASE: u64 = 0xfed9_0000;

/// A leaf that was left interrupted.
pub(crate) struct Pending {
    takes: bool,
    root: Published,
    pages: Vec<Hpa>,
    shape: Shape,
}

impl Pending {
    /// Whether the leaf takes pages; else it releases them.
    pub(crate) fn takes(&self) -> bool {
        self.takes
    }

    /// Whether it may still do something to a page.
    pub(crate) fn names(&self, page: Hpa) -> bool {
        self.pages.contains(&page)
    }
}

/// The leaves for memory of one shape.
pub(crate) struct Leaves {
    pub(crate) world: World,
    pub(crate) shape: Shape,
    take: [Answers; 2],
    release: [Answers; 2],
    /// What became of the last leaf, which custody is to find out.
    end: Cell<Option<End>>,
}

/// What became of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) how: How,
    pub(crate) status: Status,
    /// Whether the list that came with a success is as it must be.
    pub(crate) list_ok: bool,
}

/// How a leaf ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was not called, or not executed at the first call.
    Untouched,
    /// A failure of its own.
    Failed,
    /// Success, perhaps with a note beside it.
    Succeeded,
    /// It has not.
    GivenUp,
}

impl Leaves {
    pub(crate) fn new(world: &World, shape: Shape) -> Self {
        let pages = shape.pages();
        let lists = List::all(shape.words());
        Self {
            world: world.clone(),
            shape,
            take: [false, true].map(|interrupted| Answers::new(pages, &[], interrupted)),
            release: [false, true].map(|interrupted| Answers::new(pages, &lists, interrupted)),
            end: Cell::new(None),
        }
    }

    /// Hands the pages over in one list.
    pub(crate) fn take<'id>(&self, recorded: Recorded<'id, Blocks>) -> Answer<'id> {
        let world = &self.world;
        let pages: Vec<Hpa> = recorded.hpas().collect();
        world.assert_flushed(&pages);
        if !world.settle_interrupted() {
            return self.not_called();
        }
        let listed = recorded.list_tables(world.root()).expect("few pages");
        let root = listed.root();
        let effect = |set: u32| {
            if set == 0 {
                return;
            }
            world.set_up(root, &pages, self.shape);
            for (index, page) in pages.iter().enumerate() {
                if set >> index & 1 == 0 {
                    world.set_state(*page, PageState::FREE);
                }
            }
        };
        let all = (1 << pages.len()) - 1;
        let mut interrupted = 0;
        loop {
            let answers = &self.take[interrupted].0;
            return match answers[world.tape().answer("take", answers.len())] {
                Said::Plain => {
                    effect(all);
                    self.ended(How::Succeeded, Status::SUCCESS)
                }
                Said::NotExecuted(status) => self.ended(How::Untouched, status),
                Said::Failed(status, set) => {
                    effect(set);
                    self.ended(How::Failed, status)
                }
                Said::BusyAndThen(status, set) => {
                    effect(set);
                    self.failed(status)
                }
                Said::Success(status, set, _) => {
                    effect(set);
                    self.ended(How::Succeeded, status)
                }
                Said::Interrupted => {
                    interrupted = 1;
                    continue;
                }
                Said::GivenUp => self.given_up(true, listed.into_root(), pages),
            };
        }
    }

    /// Releases them, and checks the list.
    pub(crate) fn release<'id>(&self, recorded: Recorded<'id, Blocks>) -> Answer<'id> {
        let world = &self.world;
        if !world.settle_interrupted() {
            return self.not_called();
        }
        let pages: Vec<Hpa> = recorded.hpas().collect();
        let listed = recorded.list_tables(world.root()).expect("few pages");
        let root = listed.root();
        let words = world.words(root, self.shape);
        let succeeded = |status| {
            // Told anew here; custody's own look must come to the same.
            let list_ok = world.words(root, self.shape) == words;
            assert_eq!(listed.check_list().is_ok(), list_ok);
            let answer = self.ended(How::Succeeded, status);
            self.end
                .set(self.end.get().map(|end| End { list_ok, ..end }));
            answer.with_list(list_ok)
        };
        let all = (1 << pages.len()) - 1;
        let effect = |set: u32| {
            if set == all {
                let _ = world.tear_down(root, &pages, self.shape);
            }
            for (index, page) in pages.iter().enumerate() {
                if set >> index & 1 != 0 && world.state(*page).is_owned() {
                    world.let_go(*page);
                }
            }
        };
        let mut interrupted = 0;
        loop {
            let answers = &self.release[interrupted].0;
            return match answers[world.tape().answer("release", answers.len())] {
                Said::Plain => match world.tear_down(root, &pages, self.shape) {
                    Status::SUCCESS => succeeded(Status::SUCCESS),
                    // It is gone already.
                    status => self.ended(How::Failed, status),
                },
                Said::NotExecuted(status) => self.ended(How::Untouched, status),
                Said::Failed(status, set) => {
                    effect(set);
                    self.ended(How::Failed, status)
                }
                Said::BusyAndThen(status, set) => {
                    effect(set);
                    self.failed(status)
                }
                Said::Success(status, set, list) => {
                    let states: Vec<_> = pages.iter().map(|page| world.state(*page)).collect();
                    let _ = world.tear_down(root, &pages, self.shape);
                    for (index, state) in states.into_iter().enumerate() {
                        if set >> index & 1 == 0 && state.is_owned() {
                            world.set_state(pages[index], state.kept());
                        }
                    }
                    match list {
                        List::AsItIs => {}
                        List::Other(index, bits) => world.write(root, index, words[index] ^ bits),
                        List::Doubled(index) => world.write(root, index, words[index - 1]),
                    }
                    succeeded(status)
                }
                Said::Interrupted => {
                    interrupted = 1;
                    continue;
                }
                Said::GivenUp => self.given_up(false, listed.into_root(), pages),
            };
        }
    }

    /// What became of the leaf, if one was called since this was asked last.
    pub(crate) fn take_end(&self) -> Option<End> {
        self.end.take()
    }

    fn end(&self, how: How, status: Status) {
        let list_ok = true;
        self.end.set(Some(End {
            how,
            status,
            list_ok,
        }));
    }

    fn ended<'id>(&self, how: How, status: Status) -> Answer<'id> {
        self.end(how, status);
        ended(status)
    }

    /// The TDX Module was entered, whatever the last status says.
    fn failed<'id>(&self, status: Status) -> Answer<'id> {
        self.end(How::Failed, status);
        Answer::failed(status)
    }

    fn not_called<'id>(&self) -> Answer<'id> {
        self.end(How::Untouched, Status::SYS_BUSY);
        // SAFETY: Nothing was called.
        unsafe { Answer::not_called(Status::SYS_BUSY) }
    }

    /// Leaves the leaf interrupted.
    fn given_up<'id>(&self, takes: bool, root: Published, pages: Vec<Hpa>) -> Answer<'id> {
        self.end(How::GivenUp, Status::INTERRUPTED_RESUMABLE);
        self.world.0.borrow_mut().pending = Some(Pending {
            takes,
            root,
            pages,
            shape: self.shape,
        });
        Answer::given_up(Status::INTERRUPTED_RESUMABLE)
    }
}

/// The leaf was called, and ended so.
pub(crate) fn ended<'id>(status: Status) -> Answer<'id> {
    // SAFETY: Nothing is really freed; the allocator of the world checks.
    unsafe { Answer::ended(status) }
}

impl World {
    /// The whole effect of the leaf that takes.
    fn set_up(&self, root: Hpa, pages: &[Hpa], shape: Shape) {
        // Its pages may have come back one by one, and it itself was never cleared.
        if self.0.borrow().object.is_some() {
            let _ = self.tear_down(root, pages, shape);
        }
        let id = if shape.is_iommu_mt() {
            let root = IommuMt::new(root).raw();
            let (status, regs) = self.call(Leaf::IOMMU_SETUP, BASE, root);
            assert_eq!(status, Status::SUCCESS, "the list is not well-formed");
            regs.rcx
        } else {
            for word in self.words(root, shape) {
                let count = (word & 0xfff).max(1) as usize;
                let block = Block::new(Hpa::from_bits(word), count).expect("a block");
                for page in block.hpas() {
                    self.set_state(page, PageState::taken(PageType::IommuMt, FIRST_ID));
                }
            }
            u64::from(FIRST_ID)
        };
        self.0.borrow_mut().object = Some(id);
        assert!(pages.iter().all(|page| self.state(*page).is_owned()));
    }

    /// What is in a root page.
    fn words(&self, root: Hpa, shape: Shape) -> Vec<u64> {
        let word = |index| self.model(|model| model.machine_mut().read(root, index));
        (0..shape.words()).filter_map(word).collect()
    }

    /// The whole effect of the leaf that releases, or what it says to an object that is gone.
    fn tear_down(&self, root: Hpa, pages: &[Hpa], shape: Shape) -> Status {
        let Some(id) = self.0.borrow_mut().object.take() else {
            return Status::OPERAND_INVALID.on(Operand::Rcx);
        };
        let states: Vec<_> = pages.iter().map(|page| self.state(*page)).collect();
        if shape.is_iommu_mt() {
            let (status, _) = self.call(Leaf::IOMMU_CLEAR, id, root.get());
            assert_eq!(status, Status::SUCCESS);
        }
        // What it has let go of before is none of its business any more.
        for (page, state) in pages.iter().zip(states) {
            if state.is_owned() {
                self.let_go(*page);
            } else {
                self.set_state(*page, state);
            }
        }
        Status::SUCCESS
    }

    /// A leaf of another kind tears down what the pages belong to. They stay owned, and can be
    /// reclaimed.
    pub(crate) fn tear_down_elsewhere(&self, pages: &[Hpa], shape: Shape) {
        let states: Vec<_> = pages.iter().map(|page| self.state(*page)).collect();
        let _ = self.tear_down(self.root().publish().hpa(), pages, shape);
        for (page, state) in pages.iter().zip(states) {
            if state.is_owned() {
                self.set_state(*page, state.kept());
            }
        }
    }

    /// Resumes the leaf that was given up, if there is one. Returns whether there is none any more.
    /// What is set up so late is torn down at once.
    pub(crate) fn settle_interrupted(&self) -> bool {
        let Some(mut leaf) = self.0.borrow_mut().pending.take() else {
            return true;
        };
        loop {
            match self.tape().answer("resume", 3) {
                0 if leaf.takes => {
                    self.set_up(leaf.root.hpa(), &leaf.pages, leaf.shape);
                    leaf.takes = false;
                }
                0 => {
                    let _ = self.tear_down(leaf.root.hpa(), &leaf.pages, leaf.shape);
                    return true;
                }
                // A failure of its own.
                1 => return true,
                _ => {
                    self.0.borrow_mut().pending = Some(leaf);
                    return false;
                }
            }
        }
    }
}
