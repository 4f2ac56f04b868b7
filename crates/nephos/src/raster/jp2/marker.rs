//! Codes of the markers (ISO/IEC 15444-1, Table A.2).

use std::path::Path;

use crate::error::{Error, Result};

pub const SOC: u16 = 0xff4f;
pub const CAP: u16 = 0xff50;
pub const SIZ: u16 = 0xff51;
pub const COD: u16 = 0xff52;
pub const COC: u16 = 0xff53;
pub const TLM: u16 = 0xff55;
pub const PLM: u16 = 0xff57;
pub const PLT: u16 = 0xff58;
pub const QCD: u16 = 0xff5c;
pub const QCC: u16 = 0xff5d;
pub const RGN: u16 = 0xff5e;
pub const POC: u16 = 0xff5f;
pub const PPM: u16 = 0xff60;
pub const PPT: u16 = 0xff61;
pub const CRG: u16 = 0xff63;
pub const COM: u16 = 0xff64;
pub const SOT: u16 = 0xff90;
pub const SOD: u16 = 0xff93;
pub const EOC: u16 = 0xffd9;

/// Longest marker segment of progression changes, 32 of 7 bytes: each change is
/// a walk over all packets.
const LONGEST_POC: usize = 4 + 32 * 7;

/// Refuses a POC marker segment with absurdly many progression changes.
pub fn check_poc(path: &Path, start: usize, end: usize) -> Result<()> {
    if end - start <= LONGEST_POC {
        return Ok(());
    }
    let message = format!("a marker segment POC of {} bytes", end - start);
    Err(Error::limits(
        path.display(),
        format!("{message}, at most {LONGEST_POC} are read"),
    ))
}
