//! The control datagrams of the master, in the dialect of whom they go to. `DMRD` has a place of its own.

use stack::Datagram;

use crate::path::{Dialect, Path};
use crate::text;

/// The answer to `RPTL`. As text it repeats the ID.
pub(crate) fn salt(path: &Path, id: u32, salt: [u8; 4]) -> Datagram {
    match path.dialect {
        Dialect::Binary => path.datagram(&[b"RPTACK", &salt]),
        Dialect::Text => path.datagram(&[b"MSTACK", &text::hex(id.to_be_bytes()), &text::hex(salt)]),
    }
}

/// Yes, to all that follows `RPTL`.
pub(crate) fn ack(path: &Path, id: u32) -> Datagram {
    match path.dialect {
        Dialect::Binary => with_id(path, b"RPTACK", id),
        Dialect::Text => with_id(path, b"MSTACK", id),
    }
}

/// No; log in again.
pub(crate) fn nak(path: &Path, id: u32) -> Datagram {
    with_id(path, b"MSTNAK", id)
}

/// Heard, to `RPTPING`.
pub(crate) fn master_pong(path: &Path, id: u32) -> Datagram {
    with_id(path, b"MSTPONG", id)
}

/// Heard, to `MSTPING`.
pub(crate) fn repeater_pong(path: &Path, id: u32) -> Datagram {
    with_id(path, b"RPTPONG", id)
}

/// The master's goodbye.
pub(crate) fn close(path: &Path, id: u32) -> Datagram {
    with_id(path, b"MSTCL", id)
}

fn with_id(path: &Path, tag: &[u8], id: u32) -> Datagram {
    match path.dialect {
        Dialect::Binary => path.datagram(&[tag, &id.to_be_bytes()]),
        Dialect::Text => path.datagram(&[tag, &text::hex(id.to_be_bytes())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_the_specification_of_2015() {
        let remote = "192.0.2.1:1".parse().unwrap();
        let mut path = Path { listener: 0, local: None, remote, dialect: Dialect::Binary };
        let (id, random) = (0x0004_0178, [0x0A, 0x7E, 0xD4, 0x98]);
        assert_eq!(salt(&path, id, random).bytes(), b"RPTACK\x0a\x7e\xd4\x98");
        assert_eq!(ack(&path, id).bytes(), b"RPTACK\0\x04\x01\x78");
        path.dialect = Dialect::Text;
        assert_eq!(salt(&path, id, random).bytes(), b"MSTACK000401780A7ED498");
        assert_eq!(ack(&path, id).bytes(), b"MSTACK00040178");
        assert_eq!(nak(&path, id).bytes(), b"MSTNAK00040178");
        assert_eq!(master_pong(&path, id).bytes(), b"MSTPONG00040178");
        assert_eq!(repeater_pong(&path, id).bytes(), b"RPTPONG00040178");
        assert_eq!(close(&path, id).bytes(), b"MSTCL00040178");
    }
}
