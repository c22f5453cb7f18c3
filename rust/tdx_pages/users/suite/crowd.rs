// SPDX-License-Identifier: GPL-2.0

//! Many sessions and streams at once, from several threads, in random order.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_crowd)]
mod tests {
    use super::super::{
        chance::Random,
        device::*,
        threads::in_threads,
        *, //
    };
    use crate::seam::profile::Profile;
    use crate::users::{
        registry::Registration,
        session::Session,
        stream::Stream, //
    };
    use kernel::sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    };

    const THREADS: u16 = 8;
    const SESSIONS: u16 = 64;
    const STREAMS: u16 = 4;

    /// What the threads share.
    struct Crowd {
        registration: Registration,
        seed: u32,
        failed: Atomic<u32>,
    }

    type Streams = KVec<Arc<Stream<Device>>>;

    /// Makes the sessions of one thread, with their streams, and ends all of them in some order.
    fn live(crowd: &Crowd, thread: u16) -> Result {
        let mut random = Random::new(crowd.seed, u32::from(thread));
        let mut sessions: KVec<Arc<Session<Device>>> = KVec::new();
        let mut streams: Streams = KVec::new();
        for n in (thread..SESSIONS).step_by(usize::from(THREADS)) {
            let options = session_options(0, 0x100 + n);
            let session = Session::new(&crowd.registration, &options, Device::GOOD)?;
            session.connect()?;
            for s in 0..STREAMS {
                let stream = Stream::new(&session, &stream_options(n * STREAMS + s))?;
                if random.below(4) != 0 {
                    stream.set_up_keys()?;
                }
                streams.push(stream, GFP_KERNEL)?;
            }
            sessions.push(session, GFP_KERNEL)?;
            // Some go at once.
            if random.below(3) == 0 && !streams.is_empty() {
                let n = random.below(streams.len());
                drop(streams.remove(n).map_err(|_| EINVAL)?);
            }
        }
        while !(sessions.is_empty() && streams.is_empty()) {
            let n = random.below(sessions.len() + streams.len());
            if n < sessions.len() {
                drop(sessions.remove(n).map_err(|_| EINVAL)?);
            } else {
                let n = n - sessions.len();
                drop(streams.remove(n).map_err(|_| EINVAL)?);
            }
        }
        Ok(())
    }

    #[test]
    fn sixty_four_sessions_of_four_streams() -> Result {
        for (profile, seed) in [(Profile::V2, 1), (Profile::Late, 20_261_121)] {
            let Some(ground) = Ground::new(profile)? else {
                return Ok(());
            };
            let registration = Registration::new(ground.kernel(), "crowd")?;
            let crowd = Crowd {
                registration,
                seed,
                failed: Atomic::new(0),
            };
            let crowd = Arc::new(crowd, GFP_KERNEL)?;
            in_threads(THREADS, &crowd, |crowd, thread| {
                if let Err(error) = live(crowd, thread) {
                    pr_err!("thread {}: {:?}\n", thread, error);
                    crowd.failed.fetch_add(1, Relaxed);
                }
            })?;
            expect_eq!((seed, crowd.failed.load(Relaxed)), (seed, 0));
            let each = SESSION_PAGES + usize::from(STREAMS) * STREAM_PAGES;
            let all = usize::from(SESSIONS) * each;
            let balance = crowd.registration.user().account().balance();
            expect_eq!((balance.handed_over, balance.released), (all, all));
            expect_eq!(ground.emu.calls(Leaf::SPDM_DELETE)?, (64, 64));
            expect_eq!(ground.emu.calls(Leaf::IDE_STREAM_DELETE)?, (256, 256));
            expect_eq!(ground.emu.objects()?, (1, 0, 0));
            drop(crowd);
            expect_eq!(ground.end()?, 0);
        }
        Ok(())
    }
}
