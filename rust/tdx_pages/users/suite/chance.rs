// SPDX-License-Identifier: GPL-2.0

//! What a run of the suites is given: how much of everything is tried, and where chance begins.

use crate::bindings;

/// Whether everything is tried, or a share of it.
pub(super) fn long() -> bool {
    // SAFETY: No preconditions.
    unsafe { bindings::tdx_pages_test_long() }
}

/// The seed of this run.
pub(super) fn seed() -> u32 {
    // SAFETY: No preconditions.
    unsafe { bindings::tdx_pages_test_seed() }
}

/// A sequence of numbers that look random (a linear congruential generator).
pub(super) struct Random(u32);

impl Random {
    /// A sequence of its own for each seed and number.
    pub(super) fn new(seed: u32, number: u32) -> Self {
        let mut random = Self(seed ^ number.wrapping_mul(0x9e37_79b9));
        // Neighbours part.
        random.below(1);
        random.below(1);
        random
    }

    /// A number below `n`; 0 for none.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // CAST: 32 bits fit.
        (self.0 >> 8) as usize % n.max(1)
    }

    /// One of these.
    pub(super) fn one_of<T: Copy>(&mut self, these: &[T]) -> Option<T> {
        these.get(self.below(these.len())).copied()
    }
}
