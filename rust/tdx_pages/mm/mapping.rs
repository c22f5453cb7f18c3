// SPDX-License-Identifier: GPL-2.0

//! Memory of the host in one piece of address space, for reading and writing.

use super::Blocks;
use crate::abi::PAGE_SIZE;
use crate::bindings;
use crate::custody::memory::Memory;
use core::{
    borrow::Borrow,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// All pages of a [`Blocks`], mapped in order.
///
/// `M` is the memory, or borrows it, so that this cannot be handed over, or dropped, while it is
/// mapped. The TDX Module may write to memory that is lent for a call, so accesses are volatile
/// copies, and no reference into it is given out.
pub(crate) struct Mapping<M: Borrow<Blocks>> {
    // Dropped first.
    space: Space,
    memory: M,
}

/// A piece of address space.
///
/// # Invariants
///
/// `va` is a mapping of `len` bytes of memory of the host, until `drop`.
struct Space {
    va: NonNull<u8>,
    #[cfg_attr(not(TDX_PAGES_KUNIT), expect(dead_code))]
    len: usize,
}

// SAFETY: A mapping is the kernel's, and good on every CPU and for every task.
unsafe impl Send for Space {}

impl Blocks {
    /// Maps all pages in one piece. `ENOMEM`. Sleeps.
    #[cfg(TDX_PAGES_KUNIT)]
    pub(crate) fn map(&self) -> Result<Mapping<&Self>> {
        Ok(Mapping {
            space: self.space()?,
            memory: self,
        })
    }

    /// The same for good: the mapping has the memory. It comes back beside the error.
    pub(crate) fn into_mapping(self) -> Result<Mapping<Self>, (Error, Self)> {
        match self.space() {
            Ok(space) => Ok(Mapping {
                space,
                memory: self,
            }),
            Err(error) => Err((error, self)),
        }
    }

    /// To be dropped before the memory is.
    fn space(&self) -> Result<Space> {
        // Page pointers are wanted here alone, for a moment: no record of them is kept.
        let mut pages = KVVec::with_capacity(self.pages(), GFP_KERNEL)?;
        for hpa in self.hpas() {
            // SAFETY: The page is one of the page allocator's.
            pages.push(unsafe { bindings::tdx_pages_page(hpa.get()) }, GFP_KERNEL)?;
        }
        let count = u32::try_from(pages.len())?;
        // SAFETY: There are `count` pointers to pages that this value owns.
        let va = unsafe { bindings::tdx_pages_vmap(pages.as_mut_ptr(), count) };
        let len = pages
            .len()
            .checked_mul(usize::try_from(PAGE_SIZE)?)
            .ok_or(EOVERFLOW)?;
        // INVARIANT: Mapped this moment; the memory stays the host's beside it.
        Ok(Space {
            va: NonNull::new(va.cast()).ok_or(ENOMEM)?,
            len,
        })
    }
}

impl Mapping<Blocks> {
    /// Ends it, and gives the memory back.
    pub(crate) fn into_memory(self) -> Blocks {
        let Self { space, memory } = self;
        drop(space);
        memory
    }
}

impl<M: Borrow<Blocks>> Mapping<M> {
    /// The first byte.
    pub(crate) fn va(&self) -> *mut u8 {
        self.space.va.as_ptr()
    }

    /// The memory.
    pub(crate) fn memory(&self) -> &Blocks {
        self.memory.borrow()
    }
}

#[cfg(TDX_PAGES_KUNIT)]
impl<M: Borrow<Blocks>> Mapping<M> {
    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.space.len
    }

    /// Where `len` bytes from `offset` on are. `ERANGE` if they are not all in the mapping.
    fn at(&self, offset: usize, len: usize) -> Result<NonNull<u8>> {
        match offset.checked_add(len) {
            // SAFETY: The offset is at most the length of the mapping.
            Some(end) if end <= self.space.len => Ok(unsafe { self.space.va.add(offset) }),
            _ => Err(ERANGE),
        }
    }

    /// Copies bytes from `offset` on out. `ERANGE` if they are not all in the mapping.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        let from = self.at(offset, to.len())?;
        for (index, byte) in to.iter_mut().enumerate() {
            // SAFETY: `at` has checked the range. Volatile, for the TDX Module may be writing.
            *byte = unsafe { from.add(index).read_volatile() };
        }
        Ok(())
    }

    /// Copies bytes in, from `offset` on. `ERANGE` if they do not all fit in the mapping.
    pub(crate) fn write(&mut self, offset: usize, from: &[u8]) -> Result {
        let to = self.at(offset, from.len())?;
        for (index, byte) in from.iter().enumerate() {
            // SAFETY: `at` has checked the range. Volatile, for the TDX Module may be reading.
            unsafe { to.add(index).write_volatile(*byte) };
        }
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: By the invariant it is a mapping of `Blocks::space`, unmapped once.
        unsafe { bindings::tdx_pages_vunmap(self.va.as_ptr().cast()) };
    }
}

#[cfg(TDX_PAGES_KUNIT)]
#[kunit_tests(tdx_pages_mapping)]
mod tests {
    use super::*;
    use crate::mm::blocks::Node;

    #[test]
    fn pages_are_in_order() -> Result {
        // 1 + 2 + 4 pages, and so three blocks that need not lie side by side.
        let blocks = Blocks::new(7, Node::Any)?;
        let mut mapping = blocks.map()?;
        expect_eq!(mapping.len(), 7 * 4096);
        for page in 0..7u8 {
            mapping.write(usize::from(page) * 4096, &[page, page ^ 0xff])?;
        }
        drop(mapping);
        for (page, hpa) in (0..7u8).zip(blocks.hpas()) {
            // SAFETY: The page is ours and mapped.
            let va: *const [u8; 2] = unsafe { bindings::tdx_pages_va(hpa.get()) }.cast();
            // SAFETY: As above.
            expect_eq!(unsafe { va.read_volatile() }, [page, page ^ 0xff]);
        }
        Ok(())
    }

    #[test]
    fn across_pages_and_to_the_last_byte() -> Result {
        let blocks = Blocks::new(3, Node::Any)?;
        let mut mapping = blocks.map()?;
        let text = *b"over the edge";
        mapping.write(4096 - 5, &text)?;
        mapping.write(3 * 4096 - text.len(), &text)?;
        let mut back = [0; 13];
        mapping.read(4096 - 5, &mut back)?;
        expect_eq!(back, text);
        mapping.read(3 * 4096 - text.len(), &mut back)?;
        expect_eq!(back, text);
        Ok(())
    }

    #[test]
    fn with_the_memory_inside() -> Result {
        let mut mapping = Blocks::new(3, Node::Any)?
            .into_mapping()
            .map_err(|(error, _)| error)?;
        mapping.write(4090, &[7; 12])?;
        let mut back = [0; 12];
        // SAFETY: There is room, and the memory is ours.
        unsafe { mapping.memory().copy_out(4090, back.as_mut_ptr(), 12)? };
        expect_eq!(back, [7; 12]);
        // SAFETY: As above.
        unsafe { mapping.memory().copy_in(8190, [1, 2].as_ptr(), 2)? };
        mapping.read(8190, &mut back[..2])?;
        expect!(back[..2] == [1, 2]);
        let blocks = mapping.into_memory();
        expect_eq!(blocks.pages(), 3);
        Ok(())
    }

    #[test]
    fn copies_reach_every_byte_and_no_more() -> Result {
        let blocks = Blocks::new(7, Node::Any)?;
        let len = 7 * 4096;
        let mut text = KVVec::with_capacity(len, GFP_KERNEL)?;
        for n in 0..len {
            text.push((n % 251) as u8, GFP_KERNEL)?;
        }
        // SAFETY: There are so many bytes.
        unsafe { blocks.copy_in(0, text.as_ptr(), len)? };
        let mut back = KVVec::from_elem(0u8, len, GFP_KERNEL)?;
        // SAFETY: There is so much room.
        unsafe { blocks.copy_out(0, back.as_mut_ptr(), len)? };
        expect!(back[..] == text[..]);
        let mut byte = 0;
        for (offset, len) in [(len, 1), (len - 1, 2), (usize::MAX, 2), (0, usize::MAX)] {
            // SAFETY: Nothing is copied.
            let result = unsafe { blocks.copy_out(offset, &mut byte, len) };
            expect_eq!(result, Err(ERANGE));
        }
        // SAFETY: No byte is copied.
        expect_eq!(unsafe { blocks.copy_out(len, &mut byte, 0) }, Ok(()));
        Ok(())
    }

    #[test]
    fn nothing_past_the_end() -> Result {
        let blocks = Blocks::new(1, Node::Any)?;
        let mut mapping = blocks.map()?;
        let mut byte = [0];
        expect_eq!(mapping.read(4096, &mut byte), Err(ERANGE));
        expect_eq!(mapping.write(4095, &[1, 2]), Err(ERANGE));
        expect_eq!(mapping.write(usize::MAX, &[1, 2]), Err(ERANGE));
        expect_eq!(mapping.read(4096, &mut []), Ok(()));
        Ok(())
    }
}
