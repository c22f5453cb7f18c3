// SPDX-License-Identifier: GPL-2.0

//! Every command, and every line that is none.

use super::*;
use crate::abi::field::Field;

fn ok(line: &str) -> Regs {
    parse(line).unwrap().unwrap()
}

#[test]
fn every_command() {
    let regs = ok("fail TDH.IOMMU.CLEAR 2 3 TDX_OPERAND_BUSY after");
    assert_eq!(Control::from_raw(regs.rax), Some(Control::Fail));
    assert_eq!((regs.rcx, regs.rdx, regs.r10), (129, 2, 3));
    assert_eq!((regs.r8, regs.r9), (0x8000_0200_0000_0000, 1));
    let regs = ok("fail 61 1 0x10 0xc000030000000001");
    assert_eq!((regs.rcx, regs.r10, regs.r9), (61, 16, 0));
    assert_eq!(regs.r8, 0xc000_0300_0000_0001);
    assert_eq!(ok("fail 61 1 1 OPERAND_INVALID").r8, 0xc000_0100_0000_0000);

    let regs = ok("nofail TDH.SPDM.MNG");
    assert_eq!(Control::from_raw(regs.rax), Some(Control::Fail));
    assert_eq!((regs.rcx, regs.r10), (144, 0));

    let regs = ok("  interrupt TDH.EXT.MEM.ADD 7  # every seventh");
    assert_eq!(Control::from_raw(regs.rax), Some(Control::Interrupt));
    assert_eq!((regs.rcx, regs.rdx), (61, 7));

    let regs = ok("refuse 0xfed90000");
    assert_eq!(Control::from_raw(regs.rax), Some(Control::Refuse));
    assert_eq!(regs.rcx, 0xfed9_0000);

    let regs = ok("field IOMMU_MT_PAGE_COUNT 510");
    assert_eq!(Control::from_raw(regs.rax), Some(Control::SetField));
    assert_eq!(
        (regs.rcx, regs.rdx, regs.r8),
        (0x3000_0001_0000_0003, 510, 0)
    );
    let regs = ok("nofield 0x0a00000300000008");
    assert_eq!((regs.rcx, regs.r8), (Field::FEATURES0.raw(), 1));

    for (line, rcx, rdx) in [
        ("keep none", 0, 0),
        ("keep all", 1, 0),
        ("keep 0x1000", 2, 0x1000),
    ] {
        let regs = ok(line);
        assert_eq!(Control::from_raw(regs.rax), Some(Control::KeepPages));
        assert_eq!((regs.rcx, regs.rdx), (rcx, rdx));
    }
    assert_eq!(Control::from_raw(ok("reset").rax), Some(Control::Reset));
}

#[test]
fn commands_about_sessions() {
    for (line, control, rcx, rdx, r8) in [
        ("rounds 7", Control::Exchange, 0, 7, 0),
        ("device_info 0x20", Control::Exchange, 1, 32, 0),
        ("told 9000", Control::Exchange, 2, 9000, 0),
        ("key_lasts 2", Control::Exchange, 3, 2, 0),
        ("released truth", Control::Released, 0, 0, 0),
        ("released count 4", Control::Released, 1, 4, 0),
        ("released foreign 0x1000 2", Control::Released, 2, 0x1000, 2),
        ("released repeated 1", Control::Released, 3, 1, 0),
        ("released shifted 1", Control::Released, 4, 1, 0),
        ("released reversed", Control::Released, 5, 0, 0),
        ("released word 0x5", Control::Released, 6, 5, 0),
        ("released unwritten", Control::Released, 7, 0, 0),
        ("update begin", Control::Update, 1, 0, 0),
        ("update done", Control::Update, 0, 0, 0),
        ("update done 40", Control::Update, 2, 40, 0),
        ("profile late", Control::Profile, 1, 0, 0),
        ("profile v2", Control::Profile, 0, 0, 0),
        ("id 128 0x100", Control::Id, 128, 0x100, 0),
    ] {
        let regs = ok(line);
        assert_eq!(Control::from_raw(regs.rax), Some(control), "{line}");
        assert_eq!((regs.rcx, regs.rdx, regs.r8), (rcx, rdx, r8), "{line}");
    }
}

#[test]
fn commands_that_lie() {
    let pool = Field::IOMMU_MT_PAGE_COUNT.raw();
    for (line, control, [rcx, rdx, r8, r9, r10]) in [
        ("interrupt 61 at 5", Control::Interrupt, [61, 5, 1, 0, 0]),
        ("interrupt 61 last", Control::Interrupt, [61, 0, 2, 0, 0]),
        ("fail 61 2 ever 7", Control::Fail, [61, 2, 7, 0, u64::MAX]),
        (
            "field IOMMU_MT_PAGE_COUNT 9 from 2",
            Control::SetField,
            [pool, 9, 2, 2, 0],
        ),
        (
            "field IOMMU_MT_PAGE_COUNT 9 each 3",
            Control::SetField,
            [pool, 9, 3, 3, 0],
        ),
        ("keep all reclaim", Control::KeepPages, [1, 0, 1, 0, 0]),
        (
            "keep 0x1000 reclaim",
            Control::KeepPages,
            [2, 0x1000, 1, 0, 0],
        ),
        ("progress truth", Control::Progress, [0; 5]),
        ("progress stalled", Control::Progress, [1, 0, 0, 0, 0]),
        ("progress back 2", Control::Progress, [2, 2, 0, 0, 0]),
        ("progress ahead 3", Control::Progress, [3, 3, 0, 0, 0]),
        ("progress word 0x5", Control::Progress, [4, 5, 0, 0, 0]),
        ("outputs 61 truth", Control::Outputs, [61, 0, 0, 0, 0]),
        ("outputs 61 stale", Control::Outputs, [61, 1, 0, 0, 0]),
        ("outputs 61 0x9", Control::Outputs, [61, 2, 9, 0, 0]),
        (
            "outputs TDH.SYS.RD stale always",
            Control::Outputs,
            [34, 1, 0, 1, 0],
        ),
        ("mix off", Control::Mix, [0; 5]),
        ("mix 42 100", Control::Mix, [100, 42, 0, 0, 0]),
        ("mix 42 7 TDH.SYS.RD", Control::Mix, [7, 42, 34, 0, 0]),
    ] {
        let regs = ok(line);
        assert_eq!(Control::from_raw(regs.rax), Some(control), "{line}");
        let said = [regs.rcx, regs.rdx, regs.r8, regs.r9, regs.r10];
        assert_eq!(said, [rcx, rdx, r8, r9, r10], "{line}");
    }
}

#[test]
fn nothing_to_do() {
    for line in ["", "   \t", "# a comment", "  # another"] {
        assert_eq!(parse(line), Ok(None), "{line:?}");
    }
}

#[test]
fn a_bad_line_says_what_is_allowed() {
    for (line, want) in [
        ("explode", COMMANDS),
        ("Reset", COMMANDS),
        ("reset now", RESET),
        ("fail", FAIL),
        ("fail TDH.NO.SUCH 1 1 0", FAIL),
        ("fail 61 1 1", FAIL),
        ("fail 61 one 1 0", FAIL),
        ("fail 61 1 1 TDX_NO_SUCH", FAIL),
        ("fail 61 1 1 0 before", FAIL),
        ("fail 61 1 1 0 after all", FAIL),
        ("nofail", NOFAIL),
        ("nofail TDH.NO.SUCH", NOFAIL),
        ("interrupt TDH.EXT.INIT", INTERRUPT),
        ("interrupt TDH.EXT.INIT -1", INTERRUPT),
        ("interrupt TDH.EXT.INIT +1", INTERRUPT),
        ("interrupt TDH.EXT.INIT 0x+1", INTERRUPT),
        ("interrupt TDH.EXT.INIT 0x1ffffffffffffffff", INTERRUPT),
        ("interrupt 61 1 1", INTERRUPT),
        ("interrupt 61 at", INTERRUPT),
        ("interrupt 61 at here", INTERRUPT),
        ("interrupt 61 last 1", INTERRUPT),
        ("fail 61 1 never 0", FAIL),
        ("field IOMMU_MT_PAGE_COUNT 1 from", FIELD),
        ("field IOMMU_MT_PAGE_COUNT 1 until 2", FIELD),
        ("field IOMMU_MT_PAGE_COUNT 1 each 2 3", FIELD),
        ("keep none reclaim", KEEP),
        ("keep all pages", KEEP),
        ("progress", PROGRESS),
        ("progress back", PROGRESS),
        ("progress forth 1", PROGRESS),
        ("progress stalled 1", PROGRESS),
        ("outputs", OUTPUTS),
        ("outputs 61", OUTPUTS),
        ("outputs 61 fresh", OUTPUTS),
        ("outputs 61 truth always", OUTPUTS),
        ("outputs 61 stale never", OUTPUTS),
        ("mix", MIX),
        ("mix on", MIX),
        ("mix 1", MIX),
        ("mix 1 1 TDH.NO.SUCH", MIX),
        ("mix off 1", MIX),
        ("refuse", REFUSE),
        ("refuse here", REFUSE),
        ("field 1", FIELD),
        ("field NO_SUCH 1", FIELD),
        ("field MEMORY_POOL_REQUIRED_PAGES 1", FIELD),
        ("nofield", NOFIELD),
        ("keep", KEEP),
        ("keep some", KEEP),
        ("rounds", ROUNDS),
        ("device_info many", DEVICE_INFO),
        ("told 1 2", TOLD),
        ("key_lasts", KEY_LASTS),
        ("released", RELEASED),
        ("released lies", RELEASED),
        ("released count", RELEASED),
        ("released foreign 1", RELEASED),
        ("released reversed 1", RELEASED),
        ("profile", PROFILE),
        ("profile new", PROFILE),
        ("id", ID),
        ("id 128", ID),
        ("update", UPDATE),
        ("update begin 5", UPDATE),
        ("update done now", UPDATE),
        ("update done 5 5", UPDATE),
    ] {
        assert_eq!(parse(line), Err(want), "{line:?}");
    }
}
