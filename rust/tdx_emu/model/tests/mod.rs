// SPDX-License-Identifier: GPL-2.0

//! The dispatcher, and whatever may be in the registers.

mod control;
mod exchange;
mod ext;
mod host;
mod ide;
mod iommu;
mod km;
mod lies;
mod life;
mod random;
mod released;
pub(super) mod rules;
mod slot;
mod spdm;
mod spdm_end;
mod update;
mod watched;

use super::*;
use crate::abi::field::Field;

const BAD_RAX: Status = Status::OPERAND_INVALID;

#[test]
fn rax_is_checked_before_anything_else() {
    let mut model = Model::small();
    // The fault tells whether a call came as far as to the leaf.
    let fault = [Leaf::SYS_RD.raw(), 1, Status::SYS_BUSY.raw(), 0, 99];
    assert!(model.ask(Control::Fail, fault).0.is_success());
    let leaf = Leaf::SYS_RD.raw();
    for bad in [1 << 16, 0xff << 16, 1 << 24, 1 << 31, 1 << 32, 1 << 63] {
        let (status, regs) = model.call(Leaf::from_raw(leaf | bad), 1, 2);
        assert_eq!(status, BAD_RAX, "{bad:#x}");
        assert_eq!((regs.rcx, regs.rdx), (1, 2));
    }
    for unknown in [0, 33, 136, 0xffff] {
        assert_eq!(model.call(Leaf::from_raw(unknown), 1, 2).0, BAD_RAX);
    }
    assert_eq!(model.counters().unknown().calls, 10);
    assert_eq!(model.counters().get(Leaf::SYS_RD).calls, 0);
    assert_eq!(model.call(Leaf::SYS_RD, 0, 0).0, Status::SYS_BUSY);
    assert_eq!(model.counters().get(Leaf::SYS_RD).calls, 1);
}

#[test]
fn every_known_leaf_is_answered_by_name() {
    for leaf in Leaf::ALL {
        let (status, _) = Model::small().call(*leaf, u64::MAX, u64::MAX);
        assert_ne!(
            status, BAD_RAX,
            "{leaf} is in the list of leaves but not in the model"
        );
    }
}

#[test]
fn a_config_that_cannot_be_says_why() {
    let good = Config::SMALL;
    assert_eq!(good.check(), Ok(()));
    for (bad, word) in [
        (
            Config {
                pool_pages: 0x1_0000,
                ..good
            },
            "pool_u32",
        ),
        (
            Config {
                pool_pages: 1 << 32,
                pool_u32: true,
                ..good
            },
            "pool_pages",
        ),
        (
            Config {
                ext_required: 256,
                ..good
            },
            "ext_required",
        ),
        (
            Config {
                iommu_mt_pages: 0x1_0000,
                ..good
            },
            "iommu_mt_pages",
        ),
        (
            Config {
                spdm_mt_pages: 0x1_0000,
                ..good
            },
            "spdm_mt_pages",
        ),
        (
            Config {
                ide_mt_pages: 0x1_0000,
                ..good
            },
            "ide_mt_pages",
        ),
        (
            Config {
                spdm_max_dev_info_pages: 0x1_0000,
                ..good
            },
            "spdm_max_dev_info_pages",
        ),
        (
            Config {
                phys_bits: 52,
                ..good
            },
            "address bits",
        ),
        (
            Config {
                global_keyid: 0,
                ..good
            },
            "global_keyid",
        ),
        (
            Config {
                global_keyid: 64,
                ..good
            },
            "global_keyid",
        ),
    ] {
        let why = bad.check().unwrap_err();
        assert!(why.contains(word), "{why}");
    }
    let wide = Config {
        pool_pages: 0x1_0000,
        pool_u32: true,
        ..good
    };
    assert_eq!(wide.check(), Ok(()));
    assert_eq!(
        Config {
            global_keyid: 63,
            ..good
        }
        .check(),
        Ok(())
    );
}

/// Leaves that need no session: the first ones in [`Leaf::ALL`].
const PLAIN: usize = 8;

/// Whatever is in the registers, nothing panics and the balance holds.
#[test]
fn any_call_at_all() {
    let mut seed = 1u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut model = Model::small();
    let mut successes = [0; faults::LEAVES];
    for round in 0..400_000u64 {
        let mut operand = || match random() % 9 {
            0 => random(),
            1 => random() % 40 * 4096 | (random() % 8) << 55,
            2 => random() % 40 * 4096 | (random() % 8) << 55 | (random() % 8) << 3,
            3 => 0x100 + random() % 2,
            4 => 0xfed9_0000 + random() % 2 * 4096,
            5 => 5 << 46 | random() % 32 * 4096,
            6 => random() % 12,
            7 if random() % 2 == 0 => 0x240 + random() % 2 + random() % 2 * 0x2c0,
            7 => Field::ALL[random() as usize % Field::ALL.len()].raw(),
            _ => random() % 32 * 4096,
        };
        let operands: [u64; 9] = core::array::from_fn(|_| operand());
        let [rcx, rdx, r8, r9, r10, ..] = operands;
        // A list in each page that may be one; the queues come in blocks of one or two pages.
        let list: [u64; 4] = core::array::from_fn(|i| match (random() % 8, i) {
            (0, _) => random(),
            (1..4, 0..2) => random() % 16 * 8192 | 2,
            _ => random() % 32 * 4096,
        });
        model.put(rcx % (1 << 55) / 4096 % 32 * 4096, &list);
        model.put(rdx / 4096 % 32 * 4096, &list);
        if round % 200 == 0 {
            let _ = model.ask(
                Control::KeepPages,
                [u64::from(random() % 4 != 0), 0, 0, 0, 0],
            );
        }
        // Those on sessions and streams hardly get anywhere without a plan: `random` has one.
        let leaves = if random() % 4 != 0 {
            PLAIN
        } else {
            Leaf::ALL.len()
        };
        let at = random() as usize % leaves;
        if random() % 64 != 0 {
            let (status, _) = host::call(&mut model, Leaf::ALL[at], &operands);
            successes[at] += u32::from(status.is_success());
        } else if let Some(control) = Control::from_raw(crate::abi::emu::MARK | random() % 12) {
            let _ = model.ask(control, [rcx, rdx, r8, r9 % 3, r10 % 5]);
        }
        let balance = model.balance();
        assert_eq!(
            balance.taken,
            balance.released + balance.pool + balance.held + balance.unproved
        );
        let states = model.machine_mut().states().to_vec();
        let owned = states.iter().filter(|state| state.is_owned()).count() as u64;
        assert_eq!(balance.owned(), owned);
        let dirty = |state: &&page::PageState| state.is_dirty() && !state.is_owned();
        assert_eq!(balance.unproved, states.iter().filter(dirty).count() as u64);
        assert!(states.iter().all(|state| !state.is_claimed()));
    }
    let rare: Vec<_> = Leaf::ALL
        .iter()
        .zip(successes)
        .take(PLAIN)
        .filter(|(_, n)| *n < 5)
        .collect();
    assert!(rare.is_empty(), "hardly ever succeeded: {rare:?}");
}
