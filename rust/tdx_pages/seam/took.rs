// SPDX-License-Identifier: GPL-2.0

//! How long SEAMCALLs took, as a histogram with buckets of powers of two. Pure: compiled on the host
//! too.

/// The number of buckets.
pub(crate) const BUCKETS: usize = 24;

/// The first bucket is for what took less than 2 to the power of this, in nanoseconds.
const FIRST: u32 = 8;

/// The bucket for so many nanoseconds.
#[inline]
pub(crate) const fn bucket(ns: u64) -> usize {
    let below_first = (1 << FIRST) - 1;
    // CAST: At most 63.
    let bucket = ((ns | below_first).ilog2() + 1 - FIRST) as usize;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

/// What a bucket holds took less than so many nanoseconds; [`None`] for the last, which has no bound.
pub(crate) const fn below(bucket: usize) -> Option<u64> {
    if bucket + 1 < BUCKETS {
        Some(1 << (FIRST as usize + bucket))
    } else {
        None
    }
}

/// Nanoseconds as a rate of the time stamp counter: with [`Scale::ns`] a product and a shift.
#[derive(Clone, Copy)]
pub(crate) struct Scale(u64);

impl Scale {
    /// For a counter with so many kHz. With 0, which means that the kernel knows no rate, nothing takes
    /// any time.
    pub(crate) const fn new(khz: u32) -> Self {
        Self(match khz {
            0 => 0,
            // CAST: A larger type.
            khz => (1_000_000 << 32) / khz as u64,
        })
    }

    /// Whether there is a rate.
    pub(crate) const fn is_known(self) -> bool {
        self.0 != 0
    }

    /// So many ticks in nanoseconds.
    #[inline]
    pub(crate) const fn ns(self, ticks: u64) -> u64 {
        let ns = (ticks as u128 * self.0 as u128) >> 32;
        if ns > u64::MAX as u128 {
            u64::MAX
        } else {
            // CAST: Just compared.
            ns as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_is_between_its_bounds() {
        let mut from = 0;
        for index in 0..BUCKETS {
            let last = below(index).map_or(u64::MAX, |below| below - 1);
            assert_eq!(
                (bucket(from), bucket(last)),
                (index, index),
                "{from} to {last}"
            );
            from = last.wrapping_add(1);
        }
        assert_eq!(from, 0);
        assert_eq!((below(0), below(22)), (Some(256), Some(1 << 30)));
    }

    #[test]
    fn ticks_are_nanoseconds_at_their_rate() {
        for (khz, ticks, ns) in [
            (1_000_000, 0, 0),
            (1_000_000, 12_345, 12_345),
            (2_000_000, 4_000, 2_000),
            (100_000, 1_000, 10_000),
            (0, 1_000, 0),
        ] {
            assert_eq!(Scale::new(khz).ns(ticks), ns, "{khz} kHz, {ticks} ticks");
        }
        let day = 86_400 * 3_000_000_000;
        let off = Scale::new(3_000_000).ns(day).abs_diff(86_400_000_000_000);
        assert!(off < 1_000_000, "off by {off} ns in a day");
        assert_eq!(Scale::new(1).ns(u64::MAX), u64::MAX);
        assert!(Scale::new(1).is_known() && !Scale::new(0).is_known());
    }
}
