// SPDX-License-Identifier: GPL-2.0

//! The extension pool: memory that the TDX Module wants for its extensions, and keeps.

use super::registry::{
    Object,
    Owner, //
};
use crate::custody::feed::{
    hand_over_for_good,
    Fed,
    Stopped, //
};
use crate::mm::{
    self,
    blocks::Node,
    Blocks, //
};
use crate::platform::Kernel;
use crate::seam::metadata::Ext;
use kernel::prelude::*;

/// The largest share of the available memory that the pool may take: one half. The number comes
/// from the TDX Module, and an absurd one must not wake the OOM killer.
const SHARE_OF_AVAILABLE: u64 = 2;

const KIB_PER_PAGE: usize = 4;

/// How bringing up the extensions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// They were not wanted, or the TDX Module has none.
    LeftOut,
    /// The extensions work.
    Ready,
    /// The extensions work since before: another kernel module, or this one when it was loaded
    /// last, has brought them up.
    InPlace,
    /// They do not work, and the TDX Module holds pages of the pool for good. This kernel module
    /// stays loaded because the record of them is here.
    Incomplete,
}

impl Pool {
    /// A few words for messages.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::Ready => "brought up",
            Self::InPlace => "in place",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Adds what the pool still wants and initialises the extensions.
///
/// # Errors
///
/// Only if the TDX Module holds nothing of it: `ENOMEM`, `EIO`.
pub(crate) fn bring_up(kernel: &Kernel, ext: Ext) -> Result<Pool> {
    if !ext.required {
        pr_info!("ext_pool: the extensions already work, nothing to hand over\n");
        return Ok(Pool::InPlace);
    }
    let pages = match ext.pool_pages {
        0 => 0,
        pages => {
            let fed = add(kernel, pages)?;
            match fed.stopped {
                None => fed.held,
                // It has enough.
                Some(Stopped::Note(status)) => {
                    pr_notice!(
                        "ext_pool: TDH.EXT.MEM.ADD answered {} after {} of {} pages\n",
                        status,
                        fed.held,
                        pages
                    );
                    fed.held
                }
                Some(stopped) => return incomplete(pages, fed, stopped),
            }
        }
    };
    let (success, status) = kernel.seam().ext_init();
    if !success {
        pr_err!(
            "ext_pool: TDH.EXT.INIT answered {}: no extensions; {} pages stay with the TDX Module for good; load again to try again\n",
            status,
            pages
        );
        if pages == 0 {
            return Err(EIO);
        }
        return Ok(Pool::Incomplete);
    }
    if ext.pool_pages == 0 {
        pr_info!("ext_pool: extensions initialised, no pages were asked for\n");
    } else {
        pr_info!(
            "ext_pool: {} pages ({} KiB) held for good, extensions initialised\n",
            pages,
            pages.saturating_mul(KIB_PER_PAGE)
        );
    }
    Ok(Pool::Ready)
}

fn add(kernel: &Kernel, pages: usize) -> Result<Fed> {
    let available = mm::available_pages();
    let most = available / SHARE_OF_AVAILABLE;
    if u64::try_from(pages)? > most {
        pr_err!(
            "ext_pool: the TDX Module wants {} pages, more than half of the {} available: refused; free memory, or leave the pool out with pool=0\n",
            pages,
            available
        );
        return Err(ENOMEM);
    }
    let memory = Blocks::new(pages, Node::Any).inspect_err(|_| {
        pr_err!(
            "ext_pool: no memory for {} pages, nothing was handed over\n",
            pages
        );
    })?;
    let owner = Owner::new(&kernel.users().ext_pool, Object::Only);
    let mut leaf = kernel.seam().ext_mem_add();
    hand_over_for_good(kernel, &owner, memory, |window| leaf.call(window)).map_err(
        |(why, _memory)| {
            pr_err!("ext_pool: no record could be made, nothing was handed over\n");
            why.into()
        },
    )
}

/// The pool stopped part-way.
fn incomplete(wanted: usize, fed: Fed, stopped: Stopped) -> Result<Pool> {
    match stopped {
        Stopped::Status(status) | Stopped::Note(status) => {
            pr_err!("ext_pool: TDH.EXT.MEM.ADD answered {}\n", status);
        }
        Stopped::Word(problem) => {
            pr_err!(
                "ext_pool: TDH.EXT.MEM.ADD was interrupted, but {}\n",
                problem.text()
            );
        }
        Stopped::Stalled => {
            pr_err!("ext_pool: TDH.EXT.MEM.ADD was interrupted and does not move on\n");
        }
    }
    if let Some(page) = fed.unproved {
        pr_err!(
            "ext_pool: page {} and perhaps more were not said to be taken and are not free either: {}\n",
            page.index,
            page.status
        );
    }
    pr_err!(
        "ext_pool: {} of {} pages stay with the TDX Module for good, {} were freed; no extensions; load again to go on\n",
        fed.held,
        wanted,
        fed.freed
    );
    if fed.held == 0 {
        return Err(EIO);
    }
    Ok(Pool::Incomplete)
}
