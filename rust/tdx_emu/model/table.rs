// SPDX-License-Identifier: GPL-2.0

//! Tables of objects: a slot each, and an id that is made of the slot.

/// The first empty slot.
pub(crate) fn free<T>(slots: &[Option<T>]) -> Option<usize> {
    slots.iter().position(Option::is_none)
}

/// The slot and the object of an id, where ids begin at `first`.
pub(crate) fn find<T: Copy>(slots: &[Option<T>], first: u16, id: u64) -> Option<(usize, T)> {
    let slot = usize::try_from(id.checked_sub(u64::from(first))?).ok()?;
    Some((slot, slots.get(slot).copied().flatten()?))
}

/// The id of a slot, where ids begin at `first`.
pub(crate) fn id(first: u16, slot: usize) -> u16 {
    // CAST: Tables are much smaller than that.
    first.wrapping_add(slot as u16)
}

/// How many objects there are.
pub(crate) fn count<T>(slots: &[Option<T>]) -> usize {
    let there = slots.iter().flatten();
    // `Iterator::count()` may panic, as far as the compiler sees.
    there.fold(0, |n: usize, _| n.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_ids() {
        let slots = [Some('a'), None, Some('c')];
        assert_eq!((free(&slots), count(&slots)), (Some(1), 2));
        assert_eq!(
            (id(0x240, 2), find(&slots, 0x240, 0x242)),
            (0x242, Some((2, 'c')))
        );
        for bad in [0, 2, 0x23f, 0x241, 0x243, 0x1_0000_0240, u64::MAX] {
            assert_eq!(find(&slots, 0x240, bad), None, "{bad:#x}");
        }
    }
}
