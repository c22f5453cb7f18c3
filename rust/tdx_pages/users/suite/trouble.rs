// SPDX-License-Identifier: GPL-2.0

//! Trouble that passes: a lost message, a TDX Module that is away, others that are busy. What was asked
//! for can be asked for again.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_trouble)]
mod tests {
    use super::super::{
        device::*,
        lives::stop_worker,
        threads::in_threads,
        *, //
    };
    use crate::abi::spdm::Management;
    use crate::mm::{
        blocks::Node,
        Blocks, //
    };
    use crate::platform::Kernel;
    use crate::seam::profile::Profile;
    use crate::users::{
        registry::Registration,
        session::{
            Session,
            Stage, //
        },
        stream::Stream,
        talk::{
            Protocol,
            Transport, //
        }, //
    };
    use kernel::{
        new_mutex,
        sync::{
            Arc,
            Mutex, //
        },
        time::{
            delay::fsleep,
            Instant,
            Monotonic, //
        }, //
    };

    /// Fails once, after so many good messages.
    struct Once(usize);

    impl Transport for Once {
        fn transfer(&mut self, p: Protocol, request: &[u8], response: &mut [u8]) -> Result<usize> {
            let at = self.0;
            self.0 = at.wrapping_sub(1);
            if at == 0 {
                return Err(ETIMEDOUT);
            }
            let mut device = Device::GOOD;
            device.transfer(p, request, response)
        }
    }

    fn once(ground: &Ground, rid: u16, at: usize) -> Result<Arc<Session<Once>>> {
        Session::new(&ground.registration, &session_options(0, rid), Once(at))
    }

    fn ground() -> Result<Option<Ground>> {
        Ground::new(Profile::V2)
    }

    #[test]
    fn disconnected_during_an_update() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let session = ground.session(0x100, Device::GOOD)?;
        session.connect()?;
        ground.emu.update_begins()?;
        expect!(session.disconnect().is_err());
        expect_eq!(session.stage(), Stage::Connected);
        ground.emu.update_done(None)?;
        session.disconnect()?;
        drop(session);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn connected_during_an_update() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let session = ground.session(0x100, Device::GOOD)?;
        ground.emu.update_begins()?;
        expect!(session.connect().is_err());
        expect_eq!(session.stage(), Stage::Created);
        ground.emu.update_done(None)?;
        expect_eq!(session.connect()?, 5000);
        drop(session);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn keys_during_an_update() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let session = ground.session(0x100, Device::GOOD)?;
        session.connect()?;
        let stream = Stream::new(&session, &stream_options(1))?;
        ground.emu.update_begins()?;
        expect!(stream.set_up_keys().is_err());
        ground.emu.update_done(None)?;
        stream.set_up_keys()?;
        ground.emu.update_begins()?;
        expect!(stream.stop_keys().is_err());
        ground.emu.update_done(None)?;
        stream.stop_keys()?;
        drop((stream, session));
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn not_ready_for_a_moment_at_the_end() -> Result {
        for leaf in [
            Leaf::SPDM_DISCONNECT,
            Leaf::SPDM_DELETE,
            Leaf::IDE_STREAM_BLOCK,
            Leaf::IDE_STREAM_DELETE,
            Leaf::IOMMU_CLEAR,
        ] {
            let Some(ground) = ground()? else {
                return Ok(());
            };
            let session = ground.session(0x100, Device::GOOD)?;
            session.connect()?;
            let stream = Stream::new(&session, &stream_options(1))?;
            let status = Status::SYS_NOT_READY;
            ground.emu.fail(leaf, 1, 1, status, Fault::Before)?;
            drop((stream, session));
            expect_eq!((leaf, ground.end()?), (leaf, 0));
        }
        Ok(())
    }

    #[test]
    fn a_late_session_with_the_id_of_another_is_not_undone() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let one = ground.session(0x100, Device::GOOD)?;
        ground.emu.interrupt(Leaf::SPDM_CREATE, u64::MAX)?;
        expect!(ground.session(0x101, Device::GOOD).is_err());
        ground.emu.interrupt(Leaf::SPDM_CREATE, 0)?;
        ground.emu.id(Leaf::SPDM_CREATE, one.id())?;
        let _ = ground.kernel().retry();
        one.connect()?;
        drop(one);
        // The late one is there, and nobody knows its id; so is its IOMMU.
        expect_eq!(ground.end()?, SESSION_PAGES + TABLE_PAGES);
        Ok(())
    }

    #[test]
    fn a_late_stream_with_the_id_of_another_is_not_undone() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let one = ground.session(0x100, Device::GOOD)?;
        one.connect()?;
        let stream = Stream::new(&one, &stream_options(1))?;
        stream.set_up_keys()?;
        ground.emu.interrupt(Leaf::IDE_STREAM_CREATE, u64::MAX)?;
        expect!(Stream::new(&one, &stream_options(2)).is_err());
        ground.emu.interrupt(Leaf::IDE_STREAM_CREATE, 0)?;
        ground.emu.id(Leaf::IDE_STREAM_CREATE, stream.id())?;
        let _ = ground.kernel().retry();
        stream.refresh_keys()?;
        drop((stream, one));
        expect_eq!(ground.end()?, STREAM_PAGES + SESSION_PAGES + TABLE_PAGES);
        Ok(())
    }

    /// What two threads share: the first ends a session that the TDX Module denies to have ended, the
    /// second one makes another meanwhile.
    #[pin_data]
    struct Successor {
        emu: Emu,
        registration: Registration,
        #[pin]
        first: Mutex<Option<Arc<Session<Device>>>>,
        #[pin]
        second: Mutex<Option<Arc<Session<Device>>>>,
    }

    impl Successor {
        fn make(&self) -> Result {
            let begin = Instant::<Monotonic>::now();
            while self.emu.calls(Leaf::SPDM_DELETE)?.0 == 0 {
                expect!(begin.elapsed() < Delta::from_secs(10));
                fsleep(Delta::from_millis(1));
            }
            let options = session_options(0, 0x101);
            let session = Session::new(&self.registration, &options, Device::GOOD)?;
            *self.second.lock() = Some(session);
            self.emu.heal(Leaf::SPDM_DELETE)
        }
    }

    #[test]
    fn a_session_is_left_alone_by_the_one_that_had_its_id() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let (emu, leaf) = (&ground.emu, Leaf::SPDM_DELETE);
        let kernel = Kernel::new(KEYID, Delta::from_secs(10))?;
        stop_worker(&kernel);
        kernel.seam().choose(Profile::V2);
        let registration = Registration::new(&kernel, "denied")?;
        let first = Session::new(&registration, &session_options(0, 0x100), Device::GOOD)?;
        let id = first.id();
        let status = Status::SYS_NOT_READY;
        emu.fail(leaf, 1, 1, status, Fault::After)?;
        emu.then_fail(leaf, 1, u64::MAX, status, Fault::Before)?;
        let shared = Arc::pin_init(
            pin_init!(Successor {
                emu: emu.clone(),
                registration,
                first <- new_mutex!(Some(first)),
                second <- new_mutex!(None),
            }),
            GFP_KERNEL,
        )?;
        in_threads(2, &shared, |shared, number| match number {
            0 => drop(shared.first.lock().take()),
            _ => drop(shared.make()),
        })?;
        let second = shared.second.lock().take().ok_or(EIO)?;
        expect_eq!(second.id(), id);
        second.connect()?;
        let account = || shared.registration.user().account().balance();
        expect_eq!(account().quarantined, SESSION_PAGES);
        expect_eq!(kernel.retry().freed, SESSION_PAGES);
        drop(second);
        expect_eq!(account().on_record(), 0);
        drop(shared);
        expect_eq!(kernel.close().lost, 0);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn busy_leaves_of_others_do_not_wear_out_an_interruption() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let a = ground.session(0x100, Device::GOOD)?;
        let b = ground.session(0x101, Device::GOOD)?;
        let leaf = Leaf::SPDM_DELETE;
        ground
            .emu
            .fail(leaf, 1, u64::MAX, Status::OPERAND_BUSY, Fault::Before)?;
        drop(a);
        ground
            .emu
            .fail(leaf, 1, 0, Status::SUCCESS, Fault::Before)?;
        ground.emu.interrupt(Leaf::SPDM_CONNECT, 1)?;
        b.connect()?;
        drop(b);
        expect_eq!(ground.end()?, SESSION_PAGES + TABLE_PAGES);
        Ok(())
    }

    #[test]
    fn a_lost_message_does_not_keep_the_slot() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let one = once(&ground, 0x100, 3)?;
        one.connect()?;
        expect_eq!(one.manage(Management::Heartbeat).err(), Some(ETIMEDOUT));
        drop(one);
        let other = ground.session(0x101, Device::GOOD)?;
        other.connect()?;
        drop(other);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    /// In every message of a life, by whoever asked for it.
    #[test]
    fn a_lost_message_is_sent_again() -> Result {
        for at in 0..18 {
            let Some(ground) = ground()? else {
                return Ok(());
            };
            let one = once(&ground, 0x100, at)?;
            let mut lost = 0;
            let mut twice = |result: Result| match result {
                Err(ETIMEDOUT) => {
                    lost += 1;
                    false
                }
                other => other.is_ok(),
            };
            expect!(twice(one.connect().map(drop)) || twice(one.connect().map(drop)));
            for operation in [Management::Heartbeat, Management::DeviceInfo] {
                expect!(twice(one.manage(operation)) || twice(one.manage(operation)));
            }
            let stream = Stream::new(&one, &stream_options(1))?;
            expect!(twice(stream.set_up_keys()) || twice(stream.set_up_keys()));
            expect!(twice(stream.stop_keys()) || twice(stream.stop_keys()));
            drop(stream);
            expect!(twice(one.disconnect()) || twice(one.disconnect()));
            expect_eq!((at, lost), (at, 1));
            drop(one);
            expect_eq!((at, ground.end()?), (at, 0));
        }
        Ok(())
    }

    #[test]
    fn a_lost_message_in_disconnect_is_sent_again_at_the_end() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let one = once(&ground, 0x100, 4)?;
        one.connect()?;
        expect_eq!(one.disconnect().err(), Some(ETIMEDOUT));
        drop(one);
        expect_eq!(ground.end()?, 0);
        Ok(())
    }

    #[test]
    fn when_the_system_goes_down() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        let kernel = Kernel::new(KEYID, Delta::from_millis(50))?;
        let registration = Registration::new(&kernel, "downed")?;
        let session = Session::new(&registration, &session_options(0, 0x100), Device::GOOD)?;
        kernel.seam().go_down();
        expect_eq!(session.connect().err(), Some(errno!(ESHUTDOWN)));
        let other = Session::new(&registration, &session_options(0, 0x101), Device::GOOD);
        expect_eq!(other.err(), Some(errno!(ESHUTDOWN)));
        // Not ended: nothing can be.
        drop((session, registration));
        expect_eq!(kernel.close().lost, SESSION_PAGES);
        ground.emu.reset()?;
        expect_eq!(ground.end()?, TABLE_PAGES);
        Ok(())
    }

    #[test]
    fn device_info_that_nobody_wrote_is_nothing() -> Result {
        let Some(ground) = ground()? else {
            return Ok(());
        };
        ground.emu.device_info(8, Some(4 * 4096))?;
        let secret = KVec::from_elem(0xa5u8, 4 * 4096, GFP_KERNEL)?;
        for _ in 0..8 {
            let mut many = KVec::new();
            for _ in 0..64 {
                let blocks = Blocks::new(4, Node::Any)?;
                blocks.write(0, &secret)?;
                many.push(blocks, GFP_KERNEL)?;
            }
            drop(many);
            let session = ground.session(0x100, Device::GOOD)?;
            let len = session.connect()?;
            let mut info = KVec::from_elem(0u8, len, GFP_KERNEL)?;
            expect_eq!(session.device_info(0, &mut info), len);
            expect!(info[8..].iter().all(|byte| *byte == 0));
        }
        expect_eq!(ground.end()?, 0);
        Ok(())
    }
}
