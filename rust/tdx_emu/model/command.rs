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
mod tests;
