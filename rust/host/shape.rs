// SPDX-License-Identifier: GPL-2.0

//! The memory whose lives are lived.

use crate::abi::list::IommuMt;

/// One to four pages in every mixture of blocks.
pub(crate) const BLOCKS: [Shape; 12] = [
    Shape::blocks(&[1]),
    Shape::blocks(&[2]),
    Shape::blocks(&[1, 1]),
    Shape::blocks(&[2, 1]),
    Shape::blocks(&[1, 2]),
    Shape::blocks(&[1, 1, 1]),
    Shape::blocks(&[4]),
    Shape::blocks(&[2, 2]),
    Shape::blocks(&[2, 1, 1]),
    Shape::blocks(&[1, 2, 1]),
    Shape::blocks(&[1, 1, 2]),
    Shape::blocks(&[1, 1, 1, 1]),
];

/// A folio of 8 KiB; one and a page; one and a block; an IOMMU_MT.
pub(crate) const FOLIOS: [Shape; 4] = [
    Shape {
        sizes: &[2],
        folios: 1,
    },
    Shape {
        sizes: &[2, 1],
        folios: 1,
    },
    Shape {
        sizes: &[2, 2],
        folios: 1,
    },
    Shape {
        sizes: &[2, 2, 1],
        folios: 2,
    },
];

/// Memory, by the sizes of its blocks, of which the first are folios.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) sizes: &'static [usize],
    pub(crate) folios: usize,
}

impl Shape {
    pub(crate) const fn blocks(sizes: &'static [usize]) -> Self {
        Self { sizes, folios: 0 }
    }

    pub(crate) fn pages(self) -> usize {
        self.sizes.iter().sum()
    }

    /// Words of its list.
    pub(crate) fn words(self) -> usize {
        self.folios + self.sizes[self.folios..].iter().sum::<usize>()
    }

    /// Whether it has the form of an IOMMU_MT: two queues alike, and pages.
    pub(crate) fn is_iommu_mt(self) -> bool {
        self.words() >= IommuMt::QUEUES && matches!(self.folios, 0 | 2)
    }

    /// How many pages stay away if those that are `bad` do: a folio is whole or is not at all.
    pub(crate) fn stays(self, bad: impl Fn(usize) -> bool) -> usize {
        let mut start = 0;
        let mut stays = 0;
        for (index, size) in self.sizes.iter().enumerate() {
            let away = (start..start + size).filter(|page| bad(*page)).count();
            stays += if index < self.folios && away > 0 {
                *size
            } else {
                away
            };
            start += size;
        }
        stays
    }
}
