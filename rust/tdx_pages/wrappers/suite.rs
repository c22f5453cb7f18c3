// SPDX-License-Identifier: GPL-2.0

//! Every wrapper in the life of a session, and what only some of the operands show.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_wrappers)]
mod tests {
    use super::super::*;

    #[test]
    fn a_whole_life() -> Result {
        let Some(host) = Host::new()? else {
            return Ok(());
        };
        let id = host.create_session()?;
        expect_eq!(host.owner(SESSION[0], 11)?, id);
        expect_eq!(host.connect(id)?, 5000);
        for index in [0, 1, 511, 512, 624] {
            expect_eq!(
                host.get(OUT[index / 512], index % 512),
                device_info(id, index)
            );
        }

        let (status, stream, ide) = host.create_stream(id, images())?;
        expect_eq!((status, ide), (Status::SUCCESS, 0xff));
        expect_eq!(host.owner(STREAM, 11)?, stream);
        expect_eq!(host.emu.objects()?, (1, 1, 1));
        for operation in [
            KeyManagement::SetUp,
            KeyManagement::Refresh,
            KeyManagement::Stop,
        ] {
            let number = operation.raw();
            let len = host.talk(Leaf::IDE_STREAM_KM, stream, number, |host, len| {
                let (response, request) = (host.hpa(RESPONSE), host.hpa(REQUEST));
                // SAFETY: The pages are shared ones of the test.
                unsafe { bindings::tdh_ide_stream_km(id, stream, number, response, request, len) }
            })?;
            expect_eq!(len, 0);
        }
        for (operation, param, out, want) in [
            (Management::Heartbeat, NO_PAGE, NO_PAGE, 0),
            (Management::KeyUpdate, host.hpa(CONFIG), NO_PAGE, 0),
            (Management::DeviceInfo, NO_PAGE, host.hpa(OUT[0]), 4096),
        ] {
            let number = operation.raw();
            let len = host.talk(Leaf::SPDM_MNG, id, number, |host, len| {
                let (response, request) = (host.hpa(RESPONSE), host.hpa(REQUEST));
                // SAFETY: The pages are shared ones of the test.
                unsafe { bindings::tdh_spdm_mng(id, number, param, response, request, out, len) }
            })?;
            expect_eq!(len, want);
        }

        // SAFETY: SEAMCALLs without pages.
        let status = unsafe { bindings::tdh_ide_stream_block(id, stream) };
        expect_eq!(Status::from_raw(status), Status::SUCCESS);
        let mut back = 0;
        // SAFETY: As above: the list of a single page needs none.
        let status = unsafe { bindings::tdh_ide_stream_delete(id, stream, 0, &mut back) };
        let deleted = (Status::from_raw(status), back);
        expect_eq!(deleted, (Status::SUCCESS, host.hpa(STREAM)));
        host.talk(Leaf::SPDM_DISCONNECT, id, 0, |host, len| {
            let (response, request) = (host.hpa(RESPONSE), host.hpa(REQUEST));
            // SAFETY: The pages are shared ones of the test.
            unsafe { bindings::tdh_spdm_disconnect(id, response, request, len) }
        })?;
        // SAFETY: The aux page belongs to the test.
        let status = unsafe { bindings::tdh_spdm_delete(id, host.hpa(AUX), &mut back) };
        let deleted = (Status::from_raw(status), back);
        expect_eq!(deleted, (Status::SUCCESS, host.hpa(AUX) | 2 << 55));
        for (index, page) in SESSION.iter().enumerate() {
            expect_eq!(host.get(AUX, index), host.hpa(*page));
        }
        // SAFETY: The page for the list belongs to the test.
        let status = unsafe { bindings::tdh_iommu_clear(0x100, host.hpa(AUX)) };
        expect_eq!(Status::from_raw(status), Status::SUCCESS);
        host.prove(&SESSION)?;
        host.prove(&[STREAM, 8, 9, 10, 11, 12])?;
        let balance = host.emu.balance()?;
        expect_eq!((balance.taken, balance.released), (9, 9));
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn every_register_image_reaches_its_register() -> Result {
        let Some(host) = Host::new()? else {
            return Ok(());
        };
        let id = host.create_session()?;
        host.connect(id)?;
        for (at, operand) in [
            Operand::R10,
            Operand::R11,
            Operand::R12,
            Operand::R13,
            Operand::R14,
        ]
        .into_iter()
        .enumerate()
        {
            let mut images = images();
            // No image has more than 32 bits.
            images[at] |= 1 << 40;
            let (status, ..) = host.create_stream(id, images)?;
            expect_eq!(status, Status::OPERAND_INVALID.on(operand));
        }
        expect_eq!(host.create_stream(id, images())?.0, Status::SUCCESS);
        Ok(())
    }

    #[test]
    fn lies_and_an_update() -> Result {
        let Some(host) = Host::new()? else {
            return Ok(());
        };
        let id = host.create_session()?;
        host.emu.released(Released::Word(0x5000))?;
        host.emu.update_begins()?;
        let mut back = 0;
        // SAFETY: The aux page belongs to the test.
        let mut delete = || unsafe { bindings::tdh_spdm_delete(id, host.hpa(AUX), &mut back) };
        expect_eq!(Status::from_raw(delete()), Status::SYS_NOT_READY);
        host.emu.update_done(Some(0))?;
        expect_eq!(Status::from_raw(delete()), Status::CONNECT_INVALID_STATE);
        // SAFETY: A SEAMCALL without operands.
        expect_eq!(unsafe { bindings::tdh_ext_init() }, 0);
        expect_eq!(Status::from_raw(delete()), Status::SUCCESS);
        expect_eq!(back, 0x5000);
        Ok(())
    }
}
