// SPDX-License-Identifier: GPL-2.0

//! Memory of the host in one piece of address space.

use super::Blocks;
use crate::bindings;
use crate::custody::memory::Memory;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A [`Blocks`] whose pages are all mapped, in order.
///
/// It has the memory, so that this cannot be handed over, or dropped, while it is mapped.
pub(crate) struct Mapping {
    // Dropped first.
    space: Space,
    memory: Blocks,
}

/// A piece of address space.
///
/// # Invariants
///
/// `va` is a mapping of memory of the host, until `drop`.
struct Space {
    va: NonNull<u8>,
}

// SAFETY: A mapping is the kernel's, and good on every CPU and for every task.
unsafe impl Send for Space {}

impl Blocks {
    /// Maps all pages in one piece. `ENOMEM`, and then the memory comes back beside it. Sleeps.
    pub(crate) fn into_mapping(self) -> Result<Mapping, (Error, Self)> {
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
        // INVARIANT: Mapped this moment; the memory stays the host's beside it.
        Ok(Space {
            va: NonNull::new(va.cast()).ok_or(ENOMEM)?,
        })
    }
}

impl Mapping {
    /// The first byte.
    pub(crate) fn va(&self) -> *mut u8 {
        self.space.va.as_ptr()
    }

    /// The memory.
    pub(crate) fn memory(&self) -> &Blocks {
        &self.memory
    }

    /// Ends it, and gives the memory back.
    pub(crate) fn into_memory(self) -> Blocks {
        let Self { space, memory } = self;
        drop(space);
        memory
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
        let mapping = Blocks::new(7, Node::Any)?
            .into_mapping()
            .map_err(|(error, _)| error)?;
        for page in 0..7u8 {
            // SAFETY: Seven pages are mapped.
            unsafe {
                mapping
                    .va()
                    .add(usize::from(page) * 4096)
                    .write_volatile(page)
            };
            // SAFETY: As above.
            unsafe {
                mapping
                    .va()
                    .add(usize::from(page) * 4096 + 4095)
                    .write_volatile(!page)
            };
        }
        for page in 0..7u8 {
            let (mut first, mut last) = ([0], [0]);
            mapping
                .memory()
                .read(usize::from(page) * 4096, &mut first)?;
            mapping
                .memory()
                .read(usize::from(page) * 4096 + 4095, &mut last)?;
            expect_eq!((first, last), ([page], [!page]));
        }
        let blocks = mapping.into_memory();
        for (page, hpa) in (0..7u8).zip(blocks.hpas()) {
            // SAFETY: The page is ours and mapped.
            let va: *const u8 = unsafe { bindings::tdx_pages_va(hpa.get()) }.cast();
            // SAFETY: As above.
            expect_eq!(unsafe { va.read_volatile() }, page);
        }
        Ok(())
    }

    #[test]
    fn across_pages_and_to_the_last_byte() -> Result {
        let blocks = Blocks::new(3, Node::Any)?;
        let text = *b"over the edge";
        let mut back = [0; 13];
        for offset in [4096 - 5, 3 * 4096 - text.len()] {
            blocks.write(offset, &text)?;
            blocks.read(offset, &mut back)?;
            expect_eq!(back, text);
        }
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
        let mut byte = [0];
        expect_eq!(blocks.read(4096, &mut byte), Err(ERANGE));
        expect_eq!(blocks.write(4095, &[1, 2]), Err(ERANGE));
        expect_eq!(blocks.write(usize::MAX, &[1, 2]), Err(ERANGE));
        expect_eq!(blocks.read(4096, &mut []), Ok(()));
        Ok(())
    }
}
