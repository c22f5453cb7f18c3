// SPDX-License-Identifier: GPL-2.0

//! The ids that the TDX Module has given to objects that live.
//!
//! An id that is given twice would make a release hit the wrong object, so each is looked up when
//! it is given. What the numbers are does not matter: 0 is an id like any other.

use crate::platform::Kernel;
use crate::users::registry::Owner;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    }, //
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

/// All ids of one attachment.
#[pin_data]
pub(crate) struct Ids {
    #[pin]
    taken: Mutex<RBTree<Key, Owner>>,
}

impl Ids {
    /// None yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            taken <- new_mutex!(RBTree::new()),
        })
    }

    /// Whether an object that lives has this id.
    pub(super) fn is_taken(&self, space: Space, id: u64) -> bool {
        self.taken.lock().get(&(space, id)).is_some()
    }

    /// What the TDX Module calls an owner's object, to be shown.
    pub(crate) fn of(&self, owner: &Owner) -> Option<u64> {
        let taken = self.taken.lock();
        let mut ids = taken.iter().filter(|(_, other)| *other == owner);
        ids.next().map(|((_, id), _)| *id)
    }
}

/// Room for an id that is about to be given.
pub(crate) struct Room(RBTreeNodeReservation<Key, Owner>);

impl Room {
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL)?))
    }

    /// Takes an id that was given to an owner's object. [`None`] if another object has it.
    pub(crate) fn take(self, kernel: &Kernel, owner: &Owner, space: Space, id: u64) -> Option<Id> {
        let key = (space, id);
        let mut taken = kernel.seam().ids().taken.lock();
        if taken.get(&key).is_some() {
            return None;
        }
        taken.insert(self.0.into_node(key, owner.clone()));
        drop(taken);
        Some(Id {
            kernel: kernel.clone(),
            space,
            id,
            given_up: Atomic::new(false),
        })
    }
}

/// An id that one object has, until it is dropped.
pub(crate) struct Id {
    kernel: Kernel,
    space: Space,
    id: u64,
    given_up: Atomic<bool>,
}

impl Id {
    /// The number.
    pub(crate) fn get(&self) -> u64 {
        self.id
    }

    /// Gives it up, for the leaf that ends its object: from that leaf on the TDX Module may give it to
    /// another one. The number, for that leaf.
    pub(crate) fn give_up(&self) -> u64 {
        self.forget();
        self.id
    }

    fn forget(&self) {
        if self.given_up.xchg(true, Relaxed) {
            return;
        }
        let key = (self.space, self.id);
        let node = self.kernel.seam().ids().taken.lock().remove_node(&key);
        // Freed without the lock.
        drop(node);
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        self.forget();
    }
}
