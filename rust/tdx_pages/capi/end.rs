// SPDX-License-Identifier: GPL-2.0

//! How objects and registrations end.
//!
//! Whoever ends an object closes its handle, waits until no call is under way, takes the object out,
//! and drops it without a lock.

use super::{
    handle::{
        Handle,
        Kind,
        Misuse, //
    },
    item::{
        Item,
        Known, //
    },
    table::Api,
    user::Registered,
    wrong, //
};
use crate::print::may_tell_misuse;
use kernel::{
    fmt,
    prelude::*,
    sync::Arc, //
};

impl Api {
    /// Ends an object, whatever state it is in. NULL and error pointers are nothing to end.
    pub(super) fn end<T: Known, H>(function: &str, handle: *mut H) {
        let Some(handle) = Self::to_end::<T, H>(function, handle) else {
            return;
        };
        let Ok(api) = Self::current(function) else {
            return;
        };
        match api.take(handle) {
            Ok((user, item)) => {
                // This is what takes its time; no lock is held.
                drop(item);
                api.finish(handle, user);
            }
            Err(misuse) => api.tell_end(function, misuse),
        }
    }

    fn to_end<T: Known, H>(function: &str, handle: *mut H) -> Option<Handle> {
        match Misuse::look(handle.addr(), T::KIND) {
            Ok(handle) => Some(handle),
            Err(Misuse::Null | Misuse::ErrorPointer(_)) => None,
            Err(misuse) => {
                let _ = wrong(function, fmt!("{misuse}"), misuse.error());
                None
            }
        }
    }

    fn tell_end(&self, function: &str, misuse: Misuse) {
        let _ = match misuse {
            Misuse::Ended(handle) => wrong(function, fmt!("{handle}: ended twice"), EINVAL),
            _ => wrong(function, fmt!("{misuse}"), misuse.error()),
        };
    }

    /// Closes a handle, waits for the calls under way, and takes the object out. It counts as a call
    /// on the user still, until [`Self::finish`].
    fn take(&self, handle: Handle) -> Result<(Handle, Item), Misuse> {
        let mut table = self.table.lock();
        table.may_wait(handle.kind())?;
        let slot = table.open(handle)?;
        slot.closed = true;
        let user = slot.user;
        table.count(user, true);
        while table.is_busy(handle) {
            self.quiet.wait(&mut table);
        }
        let slot = table.slots.remove_node(&handle);
        drop(table);
        let (_, slot) = slot.ok_or(Misuse::Ended(handle))?.to_key_value();
        Ok((user, slot.item))
    }

    /// Ends a registration, and what its user has forgotten.
    pub(super) fn end_user<H>(function: &str, handle: *mut H) {
        let Some(handle) = Self::to_end::<Registered, H>(function, handle) else {
            return;
        };
        let Ok(api) = Self::current(function) else {
            return;
        };
        if let Err(misuse) = api.close_user(handle) {
            api.tell_end(function, misuse);
            return;
        }
        for kind in Kind::OBJECTS {
            let mut from = handle;
            while let Some((object, item)) = api.forgotten(handle, kind, from) {
                if may_tell_misuse() {
                    pr_warn!(
                        "{}: {} ({}) was forgotten: ended with its user\n",
                        api.name(handle),
                        object,
                        item
                    );
                }
                drop(item);
                from = object.above();
            }
        }
        let slot = api.table.lock().slots.remove_node(&handle);
        // The last thing: it lets go of this kernel module.
        drop(slot);
    }

    /// Closes a user's handle, and waits for all calls on its objects.
    fn close_user(&self, handle: Handle) -> Result<(), Misuse> {
        let mut table = self.table.lock();
        // One of the transfers may be the user's.
        table.may_wait(Kind::Session)?;
        table.open(handle)?.closed = true;
        while table.is_busy(handle) {
            self.quiet.wait(&mut table);
        }
        Ok(())
    }

    /// Takes out the first object of a kind, from a handle on, that a user left behind.
    fn forgotten(&self, user: Handle, kind: Kind, from: Handle) -> Option<(Handle, Item)> {
        let mut table = self.table.lock();
        let mut cursor = table.slots.cursor_lower_bound_mut(&from);
        let mut found = None;
        while let Some(at) = cursor {
            let (handle, slot) = at.current();
            if slot.user == user && handle.kind() == kind {
                found = Some(*handle);
                break;
            }
            cursor = at.move_next();
        }
        let (handle, slot) = table.slots.remove_node(&found?)?.to_key_value();
        Some((handle, slot.item))
    }

    /// The name of a user, to be printed.
    fn name(&self, user: Handle) -> Name {
        let table = self.table.lock();
        let found = table.slots.get(&user).and_then(|slot| match &slot.item {
            Item::User(registered) => Some(registered.clone()),
            _ => None,
        });
        Name(found)
    }
}

/// A user, to be printed.
struct Name(Option<Arc<Registered>>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("?", |user| user.name()))
    }
}
