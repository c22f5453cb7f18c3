// SPDX-License-Identifier: GPL-2.0

//! The ids that the TDX Module has given to objects that live.
//!
//! An id that is given twice would make a release hit the wrong object, so each is looked up when
//! it is given. What the numbers are does not matter: 0 is an id like any other.
//!
//! For the leaf that ends its object an id is given up, since the next object may be given it before
//! that leaf has returned to us. It stays here until the object is gone: a TDX Module may fail that leaf
//! and give the id away all the same.

use crate::platform::Kernel;
use crate::users::registry::Owner;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::Mutex, //
};

/// Among which objects an id is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Space {
    /// IOMMUs.
    Iommu,
    /// SPDM sessions.
    Session,
    /// The IDE streams of one session. `[I]`: that of another session may have the same.
    Stream {
        /// The session's id.
        session: u64,
    },
}

type Key = (Space, u64);

/// What is known of an id that was given.
struct Given {
    owner: Owner,
    // Tells apart who was given the same one after another.
    serial: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is its object's.
    Taken,
    /// The leaf that ends the object may have ended it: the next one may be called so.
    GivenUp,
    /// The next one is, and has yet to take it.
    GivenAgain,
}

struct Taken {
    given: RBTree<Key, Given>,
    serials: u64,
}

/// All ids of one attachment.
#[pin_data]
pub(crate) struct Ids {
    #[pin]
    taken: Mutex<Taken>,
}

impl Ids {
    /// None yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        let taken = Taken {
            given: RBTree::new(),
            serials: 0,
        };
        pin_init!(Self {
            taken <- new_mutex!(taken),
        })
    }

    /// Whether an object that lives has this id, or is about to take it.
    pub(super) fn is_taken(&self, space: Space, id: u64) -> bool {
        let taken = self.taken.lock();
        let given = taken.given.get(&(space, id));
        given.is_some_and(|given| given.state != State::GivenUp)
    }

    /// A leaf has given this id: whoever gave it up has it no more. To be told before the next leaf.
    pub(crate) fn give(&self, space: Space, id: u64) {
        let mut taken = self.taken.lock();
        if let Some(given) = taken.given.get_mut(&(space, id)) {
            if given.state == State::GivenUp {
                given.state = State::GivenAgain;
            }
        }
    }

    /// What the TDX Module calls an owner's object, to be shown.
    pub(crate) fn of(&self, owner: &Owner) -> Option<u64> {
        let taken = self.taken.lock();
        let mut given = taken.given.iter();
        let found = given.find(|(_, given)| given.state == State::Taken && given.owner == *owner);
        found.map(|((_, id), _)| *id)
    }
}

/// Room for an id that is about to be given.
pub(crate) struct Room(RBTreeNodeReservation<Key, Given>);

impl Room {
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL)?))
    }

    /// Takes an id that was given to an owner's object. [`None`] if another object has it.
    pub(crate) fn take(self, kernel: &Kernel, owner: &Owner, space: Space, id: u64) -> Option<Id> {
        let key = (space, id);
        let mut taken = kernel.seam().ids().taken.lock();
        let given = taken.given.get(&key);
        if given.is_some_and(|given| given.state == State::Taken) {
            return None;
        }
        let serial = taken.serials;
        taken.serials = serial.wrapping_add(1);
        let given = Given {
            owner: owner.clone(),
            serial,
            state: State::Taken,
        };
        let before = taken.given.insert(self.0.into_node(key, given));
        drop(taken);
        // Freed without the lock.
        drop(before);
        Some(Id {
            kernel: kernel.clone(),
            space,
            id,
            serial,
        })
    }
}

/// An id that one object has, until it is dropped.
pub(crate) struct Id {
    kernel: Kernel,
    space: Space,
    id: u64,
    serial: u64,
}

impl Id {
    /// The number.
    pub(crate) fn get(&self) -> u64 {
        self.id
    }

    /// Gives it up, for the leaf that ends its object: from that leaf on the TDX Module may give it to
    /// another one. The number, for that leaf.
    pub(crate) fn give_up(&self) -> u64 {
        self.is_ours_and(|given| given.state = State::GivenUp);
        self.id
    }

    /// Whether no other object has been given it. If one has, though the leaf failed that was to end
    /// this one, whatever was called with it would be for that one.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours_and(|_| {})
    }

    /// Takes it back after that leaf failed, if it [is ours](Self::is_ours), for other leaves.
    #[must_use]
    pub(crate) fn take_back(&self) -> bool {
        self.is_ours_and(|given| given.state = State::Taken)
    }

    fn is_ours_and(&self, then: impl FnOnce(&mut Given)) -> bool {
        let mut taken = self.kernel.seam().ids().taken.lock();
        let given = taken.given.get_mut(&(self.space, self.id));
        given
            .filter(|given| given.serial == self.serial && given.state != State::GivenAgain)
            .map(then)
            .is_some()
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        let key = (self.space, self.id);
        let mut taken = self.kernel.seam().ids().taken.lock();
        let given = taken.given.get(&key);
        let node = if given.is_some_and(|given| given.serial == self.serial) {
            taken.given.remove_node(&key)
        } else {
            None
        };
        drop(taken);
        // Freed without the lock.
        drop(node);
    }
}
