// SPDX-License-Identifier: GPL-2.0

//! The language of the debugfs file `control`: each line is one control call.

use super::{
    regs::Regs,
    words::{
        field,
        leaf,
        number,
        status, //
    },
};
use crate::abi::emu::Control;
use core::str::SplitAsciiWhitespace;

const COMMANDS: &str =
    "want one of: reset, fail, nofail, interrupt, refuse, field, nofield, keep, \
                        rounds, device_info, told, key_lasts, released, progress, outputs, mix, \
                        update, profile, id";
const FAIL: &str = "want: fail LEAF NTH TIMES|ever STATUS [after]";
const NOFAIL: &str = "want: nofail LEAF";
const INTERRUPT: &str = "want: interrupt LEAF K | at K | last";
const REFUSE: &str = "want: refuse HPA, the register base of an IOMMU";
const FIELD: &str = "want: field ID VALUE [from N | each N], N a read, 1 the next";
const NOFIELD: &str = "want: nofield ID";
const KEEP: &str = "want: keep none | all [reclaim] | HPA [reclaim]";
const ROUNDS: &str = "want: rounds N, of each exchange with a device";
const DEVICE_INFO: &str = "want: device_info BYTES";
const TOLD: &str = "want: told BYTES of device info, 0 for the truth";
const KEY_LASTS: &str = "want: key_lasts N requests, 0 for any number";
const RELEASED: &str = "want: released truth | count N | foreign HPA INDEX | repeated INDEX | \
                        shifted BY | reversed | word WORD | unwritten";
const PROGRESS: &str = "want: progress truth | stalled | back N | ahead N | word WORD";
const OUTPUTS: &str = "want: outputs LEAF truth | LEAF stale [always] | LEAF WORD [always], of a \
                       leaf that has outputs";
const MIX: &str = "want: mix off | SEED PER_MILLE [LEAF], up to 1000 of 1000 calls";
const UPDATE: &str = "want: update begin | done [POOL_PAGES]";
const PROFILE: &str = "want: profile v2 | late";
const ID: &str = "want: id LEAF VALUE, of a leaf that gives an id";
const RESET: &str = "want: reset, without operands";

/// Reads a line. Gives the registers of the control call, or what is allowed instead; [`None`] for
/// an empty line or a comment.
pub(crate) fn parse(line: &str) -> Result<Option<Regs>, &'static str> {
    let line = line.split('#').next().unwrap_or("");
    let mut words = line.split_ascii_whitespace();
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let (parsed, usage) = match name {
        "reset" => (Some(call(Control::Reset)), RESET),
        "fail" => (fail(&mut words), FAIL),
        "nofail" => (no_fail(&mut words), NOFAIL),
        "interrupt" => (interrupt(&mut words), INTERRUPT),
        "refuse" => (refuse(&mut words), REFUSE),
        "field" => (set_field(&mut words), FIELD),
        "nofield" => (no_field(&mut words), NOFIELD),
        "keep" => (keep(&mut words), KEEP),
        "rounds" => (exchange(0, &mut words), ROUNDS),
        "device_info" => (exchange(1, &mut words), DEVICE_INFO),
        "told" => (exchange(2, &mut words), TOLD),
        "key_lasts" => (exchange(3, &mut words), KEY_LASTS),
        "released" => (released(&mut words), RELEASED),
        "progress" => (progress(&mut words), PROGRESS),
        "outputs" => (outputs(&mut words), OUTPUTS),
        "mix" => (mix(&mut words), MIX),
        "update" => (update(&mut words), UPDATE),
        "profile" => (profile(&mut words), PROFILE),
        "id" => (id(&mut words), ID),
        _ => return Err(COMMANDS),
    };
    match (parsed, words.next()) {
        (Some(regs), None) => Ok(Some(regs)),
        _ => Err(usage),
    }
}

fn call(control: Control) -> Regs {
    Regs {
        rax: control.leaf().raw(),
        ..Regs::default()
    }
}

fn fail(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let mut regs = Regs {
        rcx: leaf(words.next()?)?,
        rdx: number(words.next()?)?,
        r10: match words.next()? {
            "ever" => u64::MAX,
            times => number(times)?,
        },
        r8: status(words.next()?)?,
        ..call(Control::Fail)
    };
    // A word too many is found by the caller, so only this one is taken.
    regs.r9 = match words.next() {
        None => 0,
        Some("after") => 1,
        Some(_) => return None,
    };
    Some(regs)
}

fn no_fail(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    Some(Regs {
        rcx: leaf(words.next()?)?,
        ..call(Control::Fail)
    })
}

fn interrupt(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let rcx = leaf(words.next()?)?;
    let (rdx, r8) = match words.next()? {
        "at" => (number(words.next()?)?, 1),
        "last" => (0, 2),
        k => (number(k)?, 0),
    };
    Some(Regs {
        rcx,
        rdx,
        r8,
        ..call(Control::Interrupt)
    })
}

fn refuse(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    Some(Regs {
        rcx: number(words.next()?)?,
        ..call(Control::Refuse)
    })
}

fn set_field(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let (rcx, rdx) = (field(words.next()?)?, number(words.next()?)?);
    let (r8, r9) = match words.next() {
        None => (0, 0),
        Some("from") => (2, number(words.next()?)?),
        Some("each") => (3, number(words.next()?)?),
        Some(_) => return None,
    };
    Some(Regs {
        rcx,
        rdx,
        r8,
        r9,
        ..call(Control::SetField)
    })
}

fn no_field(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    Some(Regs {
        rcx: field(words.next()?)?,
        r8: 1,
        ..call(Control::SetField)
    })
}

fn keep(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let (rcx, rdx) = match words.next()? {
        "none" => (0, 0),
        "all" => (1, 0),
        page => (2, number(page)?),
    };
    let r8 = match words.next() {
        None => 0,
        Some("reclaim") if rcx != 0 => 1,
        Some(_) => return None,
    };
    Some(Regs {
        rcx,
        rdx,
        r8,
        ..call(Control::KeepPages)
    })
}

fn exchange(what: u64, words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    Some(Regs {
        rcx: what,
        rdx: number(words.next()?)?,
        ..call(Control::Exchange)
    })
}

fn profile(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let rcx = match words.next()? {
        "v2" => 0,
        "late" => 1,
        _ => return None,
    };
    Some(Regs {
        rcx,
        ..call(Control::Profile)
    })
}

fn id(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    Some(Regs {
        rcx: leaf(words.next()?)?,
        rdx: number(words.next()?)?,
        ..call(Control::Id)
    })
}

fn released(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let (rcx, operands) = match words.next()? {
        "truth" => (0, 0),
        "count" => (1, 1),
        "foreign" => (2, 2),
        "repeated" => (3, 1),
        "shifted" => (4, 1),
        "reversed" => (5, 0),
        "word" => (6, 1),
        "unwritten" => (7, 0),
        _ => return None,
    };
    let mut regs = Regs {
        rcx,
        ..call(Control::Released)
    };
    if operands > 0 {
        regs.rdx = number(words.next()?)?;
    }
    if operands > 1 {
        regs.r8 = number(words.next()?)?;
    }
    Some(regs)
}

fn progress(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let (rcx, rdx) = match words.next()? {
        "truth" => (0, 0),
        "stalled" => (1, 0),
        "back" => (2, number(words.next()?)?),
        "ahead" => (3, number(words.next()?)?),
        "word" => (4, number(words.next()?)?),
        _ => return None,
    };
    Some(Regs {
        rcx,
        rdx,
        ..call(Control::Progress)
    })
}

fn outputs(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let rcx = leaf(words.next()?)?;
    let (rdx, r8) = match words.next()? {
        "truth" => (0, 0),
        "stale" => (1, 0),
        word => (2, number(word)?),
    };
    let r9 = match words.next() {
        None => 0,
        Some("always") if rdx != 0 => 1,
        Some(_) => return None,
    };
    Some(Regs {
        rcx,
        rdx,
        r8,
        r9,
        ..call(Control::Outputs)
    })
}

fn mix(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let mut regs = call(Control::Mix);
    match words.next()? {
        "off" => {}
        seed => {
            regs.rdx = number(seed)?;
            regs.rcx = number(words.next()?)?;
            regs.r8 = words.next().map_or(Some(0), leaf)?;
        }
    }
    Some(regs)
}

fn update(words: &mut SplitAsciiWhitespace<'_>) -> Option<Regs> {
    let (rcx, rdx) = match (words.next()?, words.next()) {
        ("begin", None) => (1, 0),
        ("done", None) => (0, 0),
        ("done", Some(pages)) => (2, number(pages)?),
        _ => return None,
    };
    Some(Regs {
        rcx,
        rdx,
        ..call(Control::Update)
    })
}

#[cfg(test)]
mod tests {
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
}
