// SPDX-License-Identifier: GPL-2.0

//! Several threads that do something at once.

use kernel::{
    prelude::*,
    sync::{
        Arc,
        Completion, //
    },
    workqueue, //
};

/// Every thread has a handle of it: with the last handle the wait is over.
struct Running(Arc<Completion>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.complete_all();
    }
}

/// Calls `run` in `count` threads, with what they share and a number of their own, from 0 on, and
/// waits until all have returned and let go of what they share. Sleeps.
///
/// [`ENOMEM`] if there is no memory for one of them: those before it run to their end all the same.
pub(super) fn in_threads<T: Send + Sync + 'static>(
    count: u16,
    shared: &Arc<T>,
    run: fn(&T, u16),
) -> Result {
    let done = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
    let running = Arc::new(Running(done.clone()), GFP_KERNEL)?;
    let spawned = (0..count).try_for_each(|number| {
        let (mine, running) = (shared.clone(), running.clone());
        workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
            run(&mine, number);
            drop(mine);
            drop(running);
        })
    });
    drop(running);
    done.wait_for_completion();
    Ok(spawned?)
}
