// SPDX-License-Identifier: GPL-2.0

//! SPDM sessions and IDE streams, whole lives and cut ones.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_session)]
mod tests {
    use super::super::{
        device::*,
        *, //
    };
    use crate::abi::{
        emu_device,
        spdm::Management, //
    };
    use crate::seam::profile::Profile;
    use crate::users::{
        session::{
            Session,
            Stage, //
        },
        stream::Stream, //
    };

    const BOTH: [Profile; 2] = [Profile::V2, Profile::Late];

    /// The leaves of a life, in the order of their first calls.
    const LEAVES: [Leaf; 9] = [
        Leaf::SPDM_CREATE,
        Leaf::SPDM_CONNECT,
        Leaf::SPDM_MNG,
        Leaf::IDE_STREAM_CREATE,
        Leaf::IDE_STREAM_KM,
        Leaf::IDE_STREAM_BLOCK,
        Leaf::IDE_STREAM_DELETE,
        Leaf::SPDM_DISCONNECT,
        Leaf::SPDM_DELETE,
    ];

    #[test]
    fn a_whole_life_in_both_profiles() -> Result {
        for profile in BOTH {
            let Some(ground) = Ground::new(profile)? else {
                return Ok(());
            };
            life(&ground, Device::GOOD)?;
            let pages = SESSION_PAGES + STREAM_PAGES;
            let emu = &ground.emu;
            expect_eq!(emu.balance()?.dirty, 0);
            // Three rounds of messages and the last word, by default.
            for (leaf, calls) in [
                (Leaf::SPDM_CREATE, 1),
                (Leaf::SPDM_CONNECT, 4),
                (Leaf::SPDM_MNG, 4),
                (Leaf::IDE_STREAM_CREATE, 1),
                (Leaf::IDE_STREAM_KM, 12),
                (Leaf::IDE_STREAM_BLOCK, 1),
                (Leaf::IDE_STREAM_DELETE, 1),
                (Leaf::SPDM_DISCONNECT, 4),
                (Leaf::SPDM_DELETE, 1),
                (Leaf::PHYMEM_PAGE_WBINVD, pages as u64),
                (Leaf::PHYMEM_PAGE_RECLAIM, 0),
            ] {
                expect_eq!((leaf, emu.calls(leaf)?.0), (leaf, calls));
            }
            let balance = ground.registration.user().account().balance();
            expect_eq!((balance.held, balance.released), (TABLE_PAGES, pages));
            expect_eq!(ground.end()?, 0);
        }
        Ok(())
    }

    #[test]
    fn what_was_built_is_torn_down_without_being_asked() -> Result {
        for profile in BOTH {
            for built in 0..4 {
                let Some(ground) = Ground::new(profile)? else {
                    return Ok(());
                };
                let session = ground.session(0x100, Device::GOOD)?;
                let mut stream = None;
                if built > 0 {
                    session.connect()?;
                }
                if built > 1 {
                    stream = Some(Stream::new(&session, &stream_options(1))?);
                }
                if let (Some(stream), true) = (&stream, built > 2) {
                    stream.set_up_keys()?;
                }
                // The session goes with the last that holds it.
                drop(session);
                expect_eq!(ground.emu.calls(Leaf::SPDM_DELETE)?.0, u64::from(built < 2));
                drop(stream);
                let (emu, once) = (&ground.emu, |yes| if yes { (1, 1) } else { (0, 0) });
                expect_eq!(emu.calls(Leaf::SPDM_DELETE)?, (1, 1));
                expect_eq!(emu.calls(Leaf::IDE_STREAM_BLOCK)?, once(built > 1));
                expect_eq!(emu.calls(Leaf::IDE_STREAM_DELETE)?, once(built > 1));
                expect_eq!(emu.calls(Leaf::SPDM_DISCONNECT)?.1, u64::from(built > 0));
                expect_eq!(ground.end()?, 0);
            }
        }
        Ok(())
    }

    #[test]
    fn device_info_comes_whole() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        let session = ground.session(0x100, Device::GOOD)?;
        expect_eq!(session.device_info(0, &mut [0; 16]), 0);
        // More than one page, and no whole number of words.
        let len = session.connect()?;
        expect_eq!(len, 5000);
        let mut info = KVec::from_elem(0u8, len + 100, GFP_KERNEL)?;
        expect_eq!(session.device_info(0, &mut info), len);
        for (index, bytes) in info[..len].chunks(8).enumerate() {
            let want = emu_device::device_info(session.id(), index).to_le_bytes();
            expect_eq!((index, bytes), (index, &want[..bytes.len()]));
        }
        expect!(info[len..].iter().all(|byte| *byte == 0));
        expect_eq!(session.device_info(len - 3, &mut info), 3);
        expect_eq!(session.device_info(len, &mut info), 0);
        expect_eq!(session.device_info(usize::MAX, &mut info), 0);
        session.manage(Management::DeviceInfo)?;
        expect_eq!(session.device_info(0, &mut info), len);
        drop(session);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn device_info_that_cannot_be() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        for told in [4 * 4096 + 1, u64::MAX] {
            ground.emu.device_info(5000, Some(told))?;
            let session = ground.session(0x100, Device::GOOD)?;
            expect_eq!(session.connect().err(), Some(errno!(EPROTO)));
            expect_eq!(session.device_info(0, &mut [0; 16]), 0);
        }
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    /// Every leaf of a life fails in turn, once with nothing done and once with everything done.
    #[test]
    fn cut_at_every_step() -> Result {
        for profile in BOTH {
            for leaf in LEAVES {
                for when in [Fault::Before, Fault::After] {
                    let Some(ground) = Ground::new(profile)? else {
                        return Ok(());
                    };
                    // Whatever the suite fails is not tried again by a session.
                    ground
                        .emu
                        .fail(leaf, 1, 1, Status::SDPM_INVALID_MESSAGE, when)?;
                    let lived = life(&ground, Device::GOOD);
                    let after = matches!(when, Fault::After);
                    // BLOCK and DELETE are made at the end, by whoever lets go last.
                    let at_end = matches!(
                        leaf,
                        Leaf::IDE_STREAM_BLOCK | Leaf::IDE_STREAM_DELETE | Leaf::SPDM_DELETE
                    );
                    expect_eq!((leaf, lived.is_ok()), (leaf, at_end));
                    let (session, stream) = (SESSION_PAGES, STREAM_PAGES);
                    let quarantined = match (leaf, after) {
                        // Taken, and nobody can say so; the session that was made cannot be cleared
                        // with its IOMMU.
                        (Leaf::SPDM_CREATE, true) => session + TABLE_PAGES,
                        // The same, and its session cannot be deleted while it has a stream.
                        (Leaf::IDE_STREAM_CREATE, true) => stream + session + TABLE_PAGES,
                        // A stream that is not known to be blocked keeps its pages.
                        (Leaf::IDE_STREAM_BLOCK, _) => stream + session + TABLE_PAGES,
                        (Leaf::IDE_STREAM_DELETE, false) => stream + session + TABLE_PAGES,
                        (Leaf::SPDM_DELETE, false) => session + TABLE_PAGES,
                        // Released, but by a leaf that said that it failed: tried again later.
                        (Leaf::IDE_STREAM_DELETE, true) => stream,
                        (Leaf::SPDM_DELETE, true) => session,
                        _ => continue_with(&ground, leaf)?,
                    };
                    expect_eq!((leaf, after, ground.end()?), (leaf, after, quarantined));
                }
            }
        }
        Ok(())
    }

    /// A failed exchange leaves nothing behind if the session could be deleted after it.
    fn continue_with(ground: &Ground, leaf: Leaf) -> Result<usize> {
        let (calls, ok) = ground.emu.calls(Leaf::SPDM_DELETE)?;
        if calls == ok {
            return Ok(0);
        }
        pr_info!("{} failed, and so did the DELETE after it\n", leaf);
        Ok(SESSION_PAGES + TABLE_PAGES)
    }

    #[test]
    fn pages_that_stay_owned_are_quarantined() -> Result {
        for profile in BOTH {
            let Some(ground) = Ground::new(profile)? else {
                return Ok(());
            };
            let session = ground.session(0x100, Device::GOOD)?;
            session.connect()?;
            let stream = Stream::new(&session, &stream_options(1))?;
            ground.emu.keep_all()?;
            drop(stream);
            drop(session);
            let quarantined = ground.registration.user().account().balance().quarantined;
            expect_eq!(quarantined, SESSION_PAGES + STREAM_PAGES);
            expect_eq!(ground.end()?, SESSION_PAGES + STREAM_PAGES + TABLE_PAGES);
        }
        Ok(())
    }

    #[test]
    fn lists_that_are_wrong_free_what_is_proved() -> Result {
        for lie in [
            Released::Count(SESSION_PAGES as u64 + 1),
            Released::Foreign(0x1000, 1),
            Released::Repeated(1),
            Released::Shifted(1),
            Released::Reversed,
            Released::Word(0),
        ] {
            let Some(ground) = Ground::new(Profile::V2)? else {
                return Ok(());
            };
            let session = ground.session(0x100, Device::GOOD)?;
            session.connect()?;
            let stream = Stream::new(&session, &stream_options(1))?;
            ground.emu.released(lie)?;
            drop(stream);
            drop(session);
            ground.emu.released(Released::Truth)?;
            let balance = ground.registration.user().account().balance();
            expect_eq!((balance.quarantined, balance.quarantined_ever), (0, 0));
            expect_eq!(balance.released, SESSION_PAGES + STREAM_PAGES);
            expect_eq!(ground.end()?, 0);
        }
        Ok(())
    }

    #[test]
    fn devices_of_every_manner() -> Result {
        for (manner, errno) in [
            (Manner::Fails(ETIMEDOUT), ETIMEDOUT),
            (Manner::Nothing, errno!(EPROTO)),
            (Manner::Odd, errno!(EPROTO)),
            (Manner::TooLong, errno!(EPROTO)),
            (Manner::Echo, EIO),
        ] {
            // In the first message, in the midst of CONNECT, in that of a stream's keys.
            for well in [0, 2, 7] {
                let Some(ground) = Ground::new(Profile::V2)? else {
                    return Ok(());
                };
                let lived = life(&ground, Device { manner, well });
                expect_eq!((manner, well, lived.err()), (manner, well, Some(errno)));
                // DISCONNECT does not work either, so the session may not be deleted.
                let left = ground.end()?;
                expect!(left == 0 || left == SESSION_PAGES + TABLE_PAGES);
            }
        }
        Ok(())
    }

    #[test]
    fn messages_without_end() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        ground.emu.rounds(u64::MAX)?;
        let session = ground.session(0x100, Device::GOOD)?;
        expect_eq!(session.connect().err(), Some(errno!(EPROTO)));
        expect_eq!(ground.emu.calls(Leaf::SPDM_CONNECT)?.0, 256);
        ground.emu.rounds(3)?;
        drop(session);
        let left = ground.end()?;
        expect!(left == 0 || left == SESSION_PAGES + TABLE_PAGES);
        Ok(())
    }

    #[test]
    fn keys_are_updated_in_the_midst_with_the_slot_in_hand() -> Result {
        for profile in BOTH {
            let Some(ground) = Ground::new(profile)? else {
                return Ok(());
            };
            // Shorter than one exchange: each leaf meets it, TDH.IDE.STREAM.KM without the slot.
            ground.emu.key_lasts(2)?;
            life(&ground, Device::GOOD)?;
            let updates = ground.emu.calls(Leaf::SPDM_MNG)?;
            expect!(updates.1 > 2);
            expect_eq!(ground.end()?, 0);
        }
        Ok(())
    }

    #[test]
    fn refused_sessions() -> Result {
        let Some(mut ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        let one = ground.session(0x100, Device::GOOD)?;
        expect_eq!(ground.session(0x100, Device::GOOD).err(), Some(EEXIST));
        expect!(ground.session(0x101, Device::GOOD).is_ok());
        let far = Session::new(&ground.registration, &session_options(256, 0), Device::GOOD);
        expect_eq!(far.err(), Some(EINVAL));
        drop(one);
        drop(ground.iommu.take());
        expect_eq!(ground.session(0x100, Device::GOOD).err(), Some(ENODEV));
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn page_counts() -> Result {
        for (pages, good) in [
            (0, false),
            (1, true),
            (2, true),
            (511, true),
            (512, true),
            (513, false),
        ] {
            for profile in BOTH {
                let Some(ground) = Ground::new(profile)? else {
                    return Ok(());
                };
                ground.emu.set(Field::SPDM_MT_PAGE_COUNT, pages)?;
                ground.emu.set(Field::IDE_MT_PAGE_COUNT, pages)?;
                let lived = life(&ground, Device::GOOD);
                let want = if good { None } else { Some(EIO) };
                expect_eq!((pages, profile, lived.err()), (pages, profile, want));
                ground.emu.set(Field::SPDM_MT_PAGE_COUNT, 3)?;
                if good {
                    // The stream's are another matter than the session's.
                    life(&ground, Device::GOOD)?;
                }
                expect_eq!(ground.end()?, 0);
            }
        }
        Ok(())
    }

    #[test]
    fn out_of_order() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        let session = ground.session(0x100, Device::GOOD)?;
        expect_eq!(session.manage(Management::KeyUpdate).err(), Some(EINVAL));
        expect_eq!(session.disconnect().err(), Some(EINVAL));
        expect!(Stream::new(&session, &stream_options(1)).is_err());
        session.connect()?;
        let again = session.connect().err().map(Error::to_errno);
        // CAST: A small number.
        expect_eq!(again, Some(-(kernel::bindings::EISCONN as i32)));
        let stream = Stream::new(&session, &stream_options(1))?;
        expect_eq!(stream.refresh_keys().err(), Some(EINVAL));
        expect_eq!(stream.stop_keys().err(), Some(EINVAL));
        stream.set_up_keys()?;
        expect_eq!(stream.set_up_keys().err(), Some(EINVAL));
        stream.stop_keys()?;
        expect_eq!(stream.refresh_keys().err(), Some(EINVAL));
        expect_eq!(session.stage(), Stage::Connected);
        // Of no SEAMCALL above that was out of order the TDX Module heard.
        expect_eq!(ground.emu.calls(Leaf::IDE_STREAM_KM)?.0, 8);
        drop(stream);
        session.disconnect()?;
        expect_eq!(session.disconnect().err(), Some(EINVAL));
        expect!(Stream::new(&session, &stream_options(1)).is_err());
        drop(session);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn an_exchange_left_interrupted_keeps_its_pages() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        ground.emu.interrupt(Leaf::SPDM_CONNECT, u64::MAX)?;
        let session = ground.session(0x100, Device::GOOD)?;
        expect_eq!(session.connect().err(), Some(EIO));
        let account = || ground.registration.user().account().balance();
        // Seven pages for messages and four for device info.
        expect_eq!(account().quarantined, 11);
        expect_eq!(ground.kernel().retry().freed, 0);
        // It comes to its end at last, and they are proved.
        ground.emu.interrupt(Leaf::SPDM_CONNECT, 0)?;
        expect_eq!(ground.kernel().retry().freed, 11);
        drop(session);
        let left = ground.end()?;
        expect!(left == 0 || left == SESSION_PAGES + TABLE_PAGES);
        Ok(())
    }

    #[test]
    fn interrupted_leaves_are_resumed() -> Result {
        for profile in BOTH {
            let Some(ground) = Ground::new(profile)? else {
                return Ok(());
            };
            for leaf in [Leaf::SPDM_CONNECT, Leaf::SPDM_DISCONNECT, Leaf::SPDM_MNG] {
                ground.emu.interrupt(leaf, 3)?;
            }
            ground.emu.interrupt(Leaf::IDE_STREAM_KM, 1)?;
            life(&ground, Device::GOOD)?;
            expect!(ground.emu.calls(Leaf::SPDM_CONNECT)?.0 > 4);
            expect_eq!(ground.end()?, 0);
        }
        Ok(())
    }

    #[test]
    fn ids_of_others_are_not_used() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        let account = || ground.registration.user().account().balance();
        let one = ground.session(0x100, Device::GOOD)?;
        one.connect()?;
        let stream = Stream::new(&one, &stream_options(1))?;
        // Repeated ones: whatever was called with them would be for the other.
        ground.emu.id(Leaf::SPDM_CREATE, one.id())?;
        expect_eq!(ground.session(0x101, Device::GOOD).err(), Some(EIO));
        expect_eq!(account().quarantined, SESSION_PAGES);
        ground.emu.id(Leaf::IDE_STREAM_CREATE, stream.id())?;
        expect_eq!(Stream::new(&one, &stream_options(2)).err(), Some(EIO));
        expect_eq!(account().quarantined, SESSION_PAGES + STREAM_PAGES);
        let up = ground.iommu.as_ref().map_or(0, |iommu| iommu.id());
        ground.emu.id(Leaf::IOMMU_SETUP, up)?;
        expect!(ground.iommu(UNITS[1]).is_err());
        // Wrong ones, small and large: the release says so, and the pages stay.
        for id in [0, u64::MAX] {
            let before = account().quarantined;
            ground.emu.id(Leaf::SPDM_CREATE, id)?;
            let rid = if id == 0 { 0x102 } else { 0x103 };
            let session = ground.session(rid, Device::GOOD)?;
            expect_eq!(session.id(), id);
            expect!(session.connect().is_err());
            drop(session);
            expect_eq!(account().quarantined, before + SESSION_PAGES);
        }
        // The one that was first is as good as before, but for its stream of which nobody knows.
        stream.set_up_keys()?;
        drop(stream);
        drop(one);
        expect_eq!(
            ground.end()?,
            4 * SESSION_PAGES + STREAM_PAGES + 2 * TABLE_PAGES
        );
        Ok(())
    }

    #[test]
    fn extensions_that_an_update_took_away() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        ground.emu.update_begins()?;
        expect!(ground.session(0x100, Device::GOOD).is_err());
        ground.emu.update_done(Some(10))?;
        // Reported once, from metadata that is read again.
        let reads = ground.emu.calls(Leaf::SYS_RD)?.0;
        ground.kernel().look_again();
        expect!(ground.emu.calls(Leaf::SYS_RD)?.0 > reads);
        let reads = ground.emu.calls(Leaf::SYS_RD)?.0;
        ground.kernel().look_again();
        expect_eq!(ground.emu.calls(Leaf::SYS_RD)?.0, reads);
        expect!(ground.session(0x100, Device::GOOD).is_err());
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn an_update_meanwhile() -> Result {
        let Some(ground) = Ground::new(Profile::V2)? else {
            return Ok(());
        };
        let session = ground.session(0x100, Device::GOOD)?;
        session.connect()?;
        ground.emu.update_begins()?;
        expect!(ground.session(0x101, Device::GOOD).is_err());
        expect!(session.manage(Management::Heartbeat).is_err());
        // Objects keep their state.
        expect_eq!(session.stage(), Stage::Connected);
        ground.emu.update_done(None)?;
        session.manage(Management::Heartbeat)?;
        drop(session);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn every_allocation_fails_in_turn() -> Result {
        let mut rounds = 0;
        for nth in 1..1000 {
            let Some(ground) = Ground::new(Profile::V2)? else {
                return Ok(());
            };
            // SAFETY: No preconditions.
            unsafe { crate::bindings::tdx_pages_test_fail_nth(nth) };
            let lived = life(&ground, Device::GOOD);
            // SAFETY: As above.
            let left = unsafe { crate::bindings::tdx_pages_test_fail_left() };
            // SAFETY: As above.
            unsafe { crate::bindings::tdx_pages_test_fail_nth(0) };
            let balance = ground.registration.user().account().balance();
            expect_eq!((nth, balance.held), (nth, TABLE_PAGES));
            expect_eq!(balance.lost, 0);
            // Taking down needs no memory: nothing is left behind.
            expect_eq!((nth, ground.end()?), (nth, 0));
            if left != 0 {
                expect!(lived.is_ok());
                break;
            }
            rounds += 1;
        }
        pr_info!("{} allocations failed in turn\n", rounds);
        expect!(rounds > 20 && rounds < 999);
        Ok(())
    }
}
