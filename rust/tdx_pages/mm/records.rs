// SPDX-License-Identifier: GPL-2.0

//! Records of blocks: a few of them in place, more of them in memory of their own.

use crate::abi::{
    Block,
    Hpa, //
};
use core::mem::MaybeUninit;
use kernel::prelude::*;

/// How many take no memory of their own.
const FEW: usize = 1;

/// What stands in a place that is not used: the allocator has no page at 0.
const UNUSED: Block = Block::single(Hpa::from_bits(0));

/// A list of blocks that only grows. It owns nothing that they name.
pub(super) enum Records {
    /// Those in front are used. No more of them, so that it takes the room of what is below.
    Few([Block; FEW]),
    /// More.
    Many(KVVec<Block>),
}

/// How many places are used.
#[inline]
fn used(blocks: &[Block; FEW]) -> usize {
    blocks.iter().take_while(|block| **block != UNUSED).count()
}

impl Records {
    /// None.
    pub(super) const NONE: Self = Self::Few([UNUSED; FEW]);

    /// One.
    #[inline]
    pub(super) const fn one(block: Block) -> Self {
        Self::Few([block])
    }

    /// All of them, in order.
    #[inline]
    pub(super) fn as_slice(&self) -> &[Block] {
        match self {
            Self::Few(blocks) => blocks.get(..used(blocks)).unwrap_or_default(),
            Self::Many(blocks) => blocks,
        }
    }

    /// Makes room for `more`. `ENOMEM`. Sleeps.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) -> Result {
        match self {
            Self::Few(blocks) if more <= FEW - used(blocks) => Ok(()),
            _ => self.reserve_many(more),
        }
    }

    #[cold]
    fn reserve_many(&mut self, more: usize) -> Result {
        if let Self::Many(blocks) = self {
            return Ok(blocks.reserve(more, GFP_KERNEL)?);
        }
        let mut blocks = KVVec::with_capacity(self.as_slice().len() + more, GFP_KERNEL)?;
        blocks.extend_from_slice(self.as_slice(), GFP_KERNEL)?;
        *self = Self::Many(blocks);
        Ok(())
    }

    /// Adds one, for which room should have been made. `ENOMEM` if there is none and none is to be
    /// had.
    #[inline]
    pub(super) fn push(&mut self, block: Block) -> Result {
        if block == UNUSED {
            return Err(EFAULT);
        }
        if let Self::Few(blocks) = self {
            let used = used(blocks);
            if let Some(place) = blocks.get_mut(used) {
                *place = block;
                return Ok(());
            }
        }
        self.reserve(1)?;
        match self {
            Self::Many(blocks) => Ok(blocks.push(block, GFP_KERNEL)?),
            Self::Few(_) => Err(ENOMEM),
        }
    }

    /// Lets `fill` write HPAs of single pages into `most` places at the most, for which room is made,
    /// and tell how many it wrote. Returns that. `ENOMEM`. Sleeps.
    ///
    /// # Safety
    ///
    /// `fill` has written as many HPAs as it tells, from the first place on, each of a page below
    /// 2^52 with bits 11:0 zero.
    pub(super) unsafe fn append(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [MaybeUninit<Block>]) -> usize,
    ) -> Result<usize> {
        self.reserve_many(most)?;
        let Self::Many(blocks) = self else {
            return Err(ENOMEM);
        };
        let room = blocks.spare_capacity_mut();
        let most = most.min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        let got = fill(room).min(most);
        // SAFETY: There is room for `most`, and the caller promises that `got` are written: the word
        // of a block of one page is its HPA.
        unsafe { blocks.inc_len(got) };
        Ok(got)
    }

    /// Gives back what has grown too large. It is no matter if that fails. Sleeps.
    #[inline]
    pub(super) fn trim(&mut self) {
        if let Self::Many(blocks) = self {
            if blocks.capacity() > blocks.len() {
                let _ = blocks.shrink_to(blocks.len(), GFP_KERNEL);
            }
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::NONE;
    }

    /// Bytes of memory of their own.
    #[cfg(TDX_PAGES_KUNIT)]
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Few(_) => 0,
            Self::Many(blocks) => blocks.capacity() * size_of::<Block>(),
        }
    }
}
