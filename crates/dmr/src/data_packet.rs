//! What a data header says (ETSI TS 102 361-1 section 8.2.1): what a packet is, for whom, and how many blocks of it
//! follow. What the blocks carry (IP, text, location) is not looked at.

/// Whom a packet goes to, and whether an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataAddress {
    /// The target is a talkgroup, not a radio.
    pub group: bool,
    /// A response packet is wanted.
    pub response_requested: bool,
    /// SAP identifier, 0..=15: whose data it is (section 9.3.18), 4 for IP, 10 for short data.
    pub sap: u8,
    /// ID of the talkgroup or radio, 24 bits.
    pub target: u32,
    /// ID of the sender, 24 bits.
    pub source: u32,
}

/// A data header by its packet format. Of each field the low bits that its range needs are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataPacket {
    /// Unified data transport (DPF 0).
    Udt {
        /// Whom it goes to.
        address: DataAddress,
        /// An emergency.
        emergency: bool,
        /// UDT option flag.
        option: bool,
        /// UDT format, 0..=15.
        format: u8,
        /// Pad nibbles in the last block, 0..=31.
        pad_nibbles: u8,
        /// Appended blocks without the first, 0..=3.
        appended_blocks: u8,
        /// Supplementary flag.
        supplementary: bool,
        /// Protect flag.
        protected: bool,
        /// UDT opcode, 0..=63.
        opcode: u8,
    },
    /// Response (DPF 1).
    Response {
        /// Whom it goes to.
        address: DataAddress,
        /// Full message flag.
        full: bool,
        /// Blocks to follow, 0..=127.
        blocks: u8,
        /// Class, 0..=3: 0 for an acknowledgement.
        class: u8,
        /// Type, 0..=7.
        kind: u8,
        /// Status, 0..=7.
        status: u8,
    },
    /// Data without confirmation (DPF 2).
    Unconfirmed {
        /// Whom it goes to.
        address: DataAddress,
        /// Pad octets in the last blocks, 0..=31.
        pad_octets: u8,
        /// Full message flag.
        full: bool,
        /// Blocks to follow, 0..=127.
        blocks: u8,
        /// Fragment sequence number, 0..=15.
        fragment: u8,
    },
    /// Data with confirmation (DPF 3).
    Confirmed {
        /// Whom it goes to.
        address: DataAddress,
        /// Pad octets in the last blocks, 0..=31.
        pad_octets: u8,
        /// Full message flag.
        full: bool,
        /// Blocks to follow, 0..=127.
        blocks: u8,
        /// Resynchronise flag.
        resynchronise: bool,
        /// Send sequence number N(S), 0..=7.
        send_sequence: u8,
        /// Fragment sequence number, 0..=15.
        fragment: u8,
    },
    /// Short data: defined (DPF 13).
    ShortDefined {
        /// Whom it goes to.
        address: DataAddress,
        /// Appended blocks, 0..=63.
        appended_blocks: u8,
        /// Defined data format, 0..=63.
        format: u8,
        /// Selective automatic repeat request flag.
        selective_repeat: bool,
        /// Full message flag.
        full: bool,
        /// Pad bits in the last block.
        pad_bits: u8,
    },
    /// Short data: raw (DPF 14 with appended blocks).
    ShortRaw {
        /// Whom it goes to.
        address: DataAddress,
        /// Appended blocks, 1..=63; with 0 it is read as [`ShortStatus`](Self::ShortStatus).
        appended_blocks: u8,
        /// Source port, 0..=7.
        source_port: u8,
        /// Destination port, 0..=7.
        destination_port: u8,
        /// Selective automatic repeat request flag.
        selective_repeat: bool,
        /// Full message flag.
        full: bool,
        /// Pad bits in the last block.
        pad_bits: u8,
    },
    /// Short data: status or precoded (DPF 14 without appended blocks).
    ShortStatus {
        /// Whom it goes to.
        address: DataAddress,
        /// Source port, 0..=7.
        source_port: u8,
        /// Destination port, 0..=7.
        destination_port: u8,
        /// Status, 0..=1023.
        status: u16,
    },
    /// A maker's own (DPF 15), behind a header of another format.
    Proprietary {
        /// SAP identifier, 0..=15.
        sap: u8,
        /// Feature set ID of the maker.
        fid: u8,
        /// What the maker makes of it.
        content: [u8; 8],
    },
    /// A packet format that is reserved.
    Reserved {
        /// Data packet format, 4..=12.
        format: u8,
    },
}

impl DataPacket {
    /// Whom it goes to; `None` where the header does not say.
    #[must_use]
    pub const fn address(&self) -> Option<DataAddress> {
        match *self {
            Self::Udt { address, .. }
            | Self::Response { address, .. }
            | Self::Unconfirmed { address, .. }
            | Self::Confirmed { address, .. }
            | Self::ShortDefined { address, .. }
            | Self::ShortRaw { address, .. }
            | Self::ShortStatus { address, .. } => Some(address),
            Self::Proprietary { .. } | Self::Reserved { .. } => None,
        }
    }

    /// How many bursts of the packet follow, a proprietary header among them; `None` where the header does not
    /// say.
    #[must_use]
    pub const fn blocks_to_follow(&self) -> Option<u8> {
        match *self {
            Self::Udt { appended_blocks, .. } => Some(appended_blocks + 1),
            Self::Response { blocks, .. }
            | Self::Unconfirmed { blocks, .. }
            | Self::Confirmed { blocks, .. } => Some(blocks),
            Self::ShortDefined { appended_blocks, .. } | Self::ShortRaw { appended_blocks, .. } => {
                Some(appended_blocks)
            }
            Self::ShortStatus { .. } => Some(0),
            Self::Proprietary { .. } | Self::Reserved { .. } => None,
        }
    }
}
