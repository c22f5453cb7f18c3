// SPDX-License-Identifier: GPL-2.0

//! The global metadata fields.

use super::Config;
use crate::abi::field::{
    Features0,
    Field, //
};

const COUNT: usize = Field::ALL.len();

/// What is told of a field instead of its value.
#[derive(Clone, Copy, Debug)]
struct Told {
    value: u64,
    /// At which read, 1 being the next.
    nth: u64,
    /// At each that many-th one, and the truth in between; else from that one on.
    alternates: bool,
    /// Reads since it was set.
    reads: u64,
}

/// The fields in the order of [`Field::ALL`].
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    /// Their values; a missing one is [`None`].
    values: [Option<u64>; COUNT],
    told: [Option<Told>; COUNT],
}

impl Fields {
    /// The fields of a freshly loaded TDX Module.
    pub(crate) fn new(config: &Config) -> Self {
        let mut fields = Self {
            values: [None; COUNT],
            told: [None; COUNT],
        };
        let (pool, required) = if config.pool_u32 {
            (Field::POOL_REQUIRED_PAGES_U32, Field::EXT_REQUIRED_U8)
        } else {
            (Field::POOL_REQUIRED_PAGES_U16, Field::EXT_REQUIRED_U16)
        };
        for (field, value) in [
            (Field::FEATURES0, config.features0),
            (pool, config.pool_pages),
            (required, config.ext_required),
            (Field::IOMMU_MT_PAGE_COUNT, config.iommu_mt_pages),
            (Field::SPDM_MT_PAGE_COUNT, config.spdm_mt_pages),
            (Field::IDE_MT_PAGE_COUNT, config.ide_mt_pages),
            (
                Field::SPDM_MAX_DEV_INFO_PAGES,
                config.spdm_max_dev_info_pages,
            ),
        ] {
            // A value that its field cannot hold is refused before, by `Config::check()`.
            let _ = fields.set(field, Some(value));
        }
        fields
    }

    fn index(field: Field) -> Option<usize> {
        Field::ALL.iter().position(|known| *known == field)
    }

    fn slot(&mut self, field: Field) -> Option<&mut Option<u64>> {
        self.values.get_mut(Self::index(field)?)
    }

    /// The value of a field; [`None`] if it is missing.
    pub(crate) fn get(&self, field: Field) -> Option<u64> {
        self.values.get(Self::index(field)?).copied().flatten()
    }

    /// Sets a field, or takes it away; [`None`] for a field that is not known. The value may be
    /// one that the field's type cannot hold: the host must not believe it. What was told instead
    /// is forgotten.
    pub(crate) fn set(&mut self, field: Field, value: Option<u64>) -> Option<()> {
        let index = Self::index(field)?;
        *self.values.get_mut(index)? = value;
        *self.told.get_mut(index)? = None;
        Some(())
    }

    /// Lets reads of a field tell another value than its own: from the `nth` on, 1 being the next,
    /// or, where it alternates, each `nth`. [`None`] for a field that is not known.
    pub(crate) fn lie(
        &mut self,
        field: Field,
        value: u64,
        nth: u64,
        alternates: bool,
    ) -> Option<()> {
        *self.told.get_mut(Self::index(field)?)? = Some(Told {
            value,
            nth,
            alternates,
            reads: 0,
        });
        Some(())
    }

    /// What a read of a field tells, which is counted by this; [`None`] if it is missing.
    pub(crate) fn read(&mut self, field: Field) -> Option<u64> {
        let truth = self.get(field)?;
        let Some(told) = self.told.get_mut(Self::index(field)?)? else {
            return Some(truth);
        };
        told.reads = told.reads.saturating_add(1);
        let lies = if told.alternates {
            told.reads.checked_rem(told.nth) == Some(0)
        } else {
            told.reads >= told.nth
        };
        Some(if lies { told.value } else { truth })
    }

    /// The optional features; none where the field is missing.
    pub(crate) fn features(&self) -> Features0 {
        Features0::from_raw(self.get(Field::FEATURES0).unwrap_or(0))
    }

    /// Whether the feature of a field is there: a field of TDX Connect or of the extensions means
    /// something with its feature bit only. `[1]` V2 08/31
    pub(crate) fn is_readable(&self, field: Field) -> bool {
        self.features().has(Self::feature(field))
    }

    /// The feature that a field belongs to; 0 for one that is always there.
    pub(crate) fn feature(field: Field) -> u64 {
        match field {
            Field::POOL_REQUIRED_PAGES_U16
            | Field::POOL_REQUIRED_PAGES_U32
            | Field::EXT_REQUIRED_U16
            | Field::EXT_REQUIRED_U8 => Features0::EXT,
            Field::IDE_MT_PAGE_COUNT
            | Field::SPDM_MT_PAGE_COUNT
            | Field::IOMMU_MT_PAGE_COUNT
            | Field::SPDM_MAX_DEV_INFO_PAGES => Features0::TDX_CONNECT,
            _ => 0,
        }
    }

    /// The lowest field id above `id`, or the lowest of all; [`None`] past the last one.
    pub(crate) fn next(&self, id: Option<u64>) -> Option<Field> {
        Field::ALL
            .iter()
            .copied()
            .filter(|field| self.get(*field).is_some())
            .filter(|field| id.is_none_or(|id| field.raw() > id))
            .min_by_key(|field| field.raw())
    }

    /// Pages that the extension pool still wants.
    pub(crate) fn pool_wanted(&self) -> u64 {
        self.get(Field::POOL_REQUIRED_PAGES_U16)
            .or(self.get(Field::POOL_REQUIRED_PAGES_U32))
            .unwrap_or(0)
    }

    /// One more page is in the pool, so one less is wanted. `[I]`: read again after a hand-over,
    /// the field must not ask for what is there already, or a host that loads again would give it
    /// twice.
    pub(crate) fn pool_got_one(&mut self) {
        for field in [
            Field::POOL_REQUIRED_PAGES_U16,
            Field::POOL_REQUIRED_PAGES_U32,
        ] {
            if let Some(Some(pages)) = self.slot(field) {
                *pages = pages.saturating_sub(1);
            }
        }
    }

    /// EXT_REQUIRED; [`None`] where it is missing.
    pub(crate) fn ext_required(&self) -> Option<u64> {
        self.get(Field::EXT_REQUIRED_U16)
            .or(self.get(Field::EXT_REQUIRED_U8))
    }

    /// A TDX Module that took the place of another one wants its extensions initialised and a pool
    /// of so many pages.
    pub(crate) fn require_ext(&mut self, pool_pages: u64) {
        for (fields, value) in [
            ([Field::EXT_REQUIRED_U16, Field::EXT_REQUIRED_U8], 1),
            (
                [
                    Field::POOL_REQUIRED_PAGES_U16,
                    Field::POOL_REQUIRED_PAGES_U32,
                ],
                pool_pages,
            ),
        ] {
            for field in fields {
                if let Some(slot @ Some(_)) = self.slot(field) {
                    *slot = Some(value);
                }
            }
        }
    }

    /// The extensions work now; 0 says just that. `[1]` V2 11/31
    pub(crate) fn ext_not_required(&mut self) {
        for field in [Field::EXT_REQUIRED_U16, Field::EXT_REQUIRED_U8] {
            if let Some(Some(required)) = self.slot(field) {
                *required = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_width_of_each_field_is_there() {
        let mut config = Config::SMALL;
        let fields = Fields::new(&config);
        assert_eq!(
            fields.get(Field::POOL_REQUIRED_PAGES_U16),
            Some(config.pool_pages)
        );
        assert_eq!(fields.get(Field::POOL_REQUIRED_PAGES_U32), None);
        assert_eq!(fields.get(Field::EXT_REQUIRED_U8), None);
        config.pool_u32 = true;
        let fields = Fields::new(&config);
        assert_eq!(fields.get(Field::POOL_REQUIRED_PAGES_U16), None);
        assert_eq!(
            fields.get(Field::POOL_REQUIRED_PAGES_U32),
            Some(config.pool_pages)
        );
        assert_eq!(fields.get(Field::EXT_REQUIRED_U8), Some(1));
        assert_eq!(fields.pool_wanted(), config.pool_pages);
    }

    #[test]
    fn set() {
        let mut fields = Fields::new(&Config::SMALL);
        let pool = Field::POOL_REQUIRED_PAGES_U16;
        assert_eq!(fields.set(pool, Some(0x1_0000)), Some(()));
        assert_eq!(fields.get(pool), Some(0x1_0000));
        assert_eq!(fields.set(pool, Some(0xffff)), Some(()));
        assert_eq!(fields.set(Field::from_raw(5), Some(0)), None);
        assert_eq!(fields.pool_wanted(), 0xffff);
        assert_eq!(fields.set(pool, None), Some(()));
        assert_eq!(fields.pool_wanted(), 0);
    }

    #[test]
    fn told_from_a_read_on_or_at_each_such_read() {
        let field = Field::IOMMU_MT_PAGE_COUNT;
        let mut fields = Fields::new(&Config::SMALL);
        let mut reads = |alternates| -> Vec<u64> {
            assert_eq!(fields.lie(field, 9, 3, alternates), Some(()));
            assert_eq!(fields.get(field), Some(2), "its own value stays");
            (0..7).map(|_| fields.read(field).unwrap()).collect()
        };
        assert_eq!(reads(false), [2, 2, 9, 9, 9, 9, 9]);
        assert_eq!(reads(true), [2, 2, 9, 2, 2, 9, 2]);
        assert_eq!(fields.set(field, Some(4)), Some(()));
        assert_eq!(fields.read(field), Some(4), "a value that is set is told");
        assert_eq!(fields.lie(field, 9, 1, false), Some(()));
        assert_eq!(fields.set(field, None), Some(()));
        assert_eq!(fields.read(field), None);
        assert_eq!(fields.lie(Field::from_raw(5), 9, 1, false), None);
    }

    #[test]
    fn the_chain_names_each_field_once_in_order() {
        let fields = Fields::new(&Config::SMALL);
        let mut seen = Vec::new();
        let mut id = None;
        while let Some(field) = fields.next(id) {
            seen.push(field.raw());
            id = Some(field.raw());
        }
        assert_eq!(seen.len(), 7);
        assert!(seen.is_sorted());
    }
}
