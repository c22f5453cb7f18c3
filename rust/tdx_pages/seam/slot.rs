// SPDX-License-Identifier: GPL-2.0

//! The one slot for extension SEAMCALLs. Pure: compiled on the host too.
//!
//! TDH.SPDM.CONNECT, DISCONNECT and MNG are entries of a queue that is one deep. `[1]` V2 27/31.
//! Whoever has begun an exchange owns the queue until its end, and in the middle of it another leaf
//! of the same kind may be wanted: a session whose keys are to be refreshed answers so. So the
//! slot is a value. It is taken once, at the door, and passed down.

use core::marker::PhantomData;

/// What lets one in at a time.
pub(crate) trait Gate {
    /// Lets the next one in when it is dropped.
    type Guard<'a>
    where
        Self: 'a;

    /// Waits until nobody is inside. Sleeps.
    fn pass(&self) -> Self::Guard<'_>;
}

/// The way to the slot that one object has.
///
/// It cannot be copied, and taking the slot borrows it: who has the slot by this door cannot wait
/// for it here once more.
pub(crate) struct Door<G>(G);

/// The slot, until it is dropped.
///
/// A leaf that needs it borrows it for the length of its call, exclusively.
#[must_use]
pub(crate) struct Slot<'a, G: Gate> {
    _guard: G::Guard<'a>,
    // Nothing else can come through the door meanwhile.
    _door: PhantomData<&'a mut Door<G>>,
}

impl<G: Gate> Door<G> {
    /// A door to the slot behind `gate`.
    pub(crate) fn new(gate: G) -> Self {
        Self(gate)
    }

    /// Takes the slot. Sleeps.
    pub(crate) fn enter(&mut self) -> Slot<'_, G> {
        Slot {
            _guard: self.0.pass(),
            _door: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Mutex,
        MutexGuard, //
    };

    impl<'m> Gate for &'m Mutex<u32> {
        type Guard<'a>
            = MutexGuard<'m, u32>
        where
            Self: 'a;

        fn pass(&self) -> MutexGuard<'m, u32> {
            self.lock().unwrap()
        }
    }

    #[test]
    fn one_at_a_time_through_any_door() {
        let gate = Mutex::new(0);
        let (mut one, mut other) = (Door::new(&gate), Door::new(&gate));
        let slot = one.enter();
        assert!(gate.try_lock().is_err());
        drop(slot);
        drop(one.enter());
        drop(other.enter());
        assert!(gate.try_lock().is_ok());
    }
}
