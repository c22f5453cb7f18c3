// SPDX-License-Identifier: GPL-2.0

//! For the KUnit suites: what they expect.

/// Returns an error unless both sides are equal: a failed `assert!` would run no destructor, and
/// these tests own pages.
macro_rules! expect_eq {
    ($left:expr, $right:expr) => {{
        let (left, right) = ($left, $right);
        if left != right {
            let what = stringify!($left);
            pr_err!(
                "line {}: {} is {:x?}, not {:x?}\n",
                line!(),
                what,
                left,
                right
            );
            return Err(EINVAL);
        }
    }};
}
