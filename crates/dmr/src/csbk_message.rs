//! What a CSBK of the standard's own feature set says (ETSI TS 102 361-2 section 7.1.2). The trunking blocks of TS
//! 102 361-4 and those of makers are carried, not understood.

use crate::block::{id, id_bytes};
use crate::{Csbk, Csbko, ServiceOptions};

/// Answer response of [`CsbkMessage::UnitVoiceAnswer`]: go ahead (ETSI TS 102 361-2 section 7.2.2).
pub const ANSWER_PROCEED: u8 = 0x20;
/// Answer response of [`CsbkMessage::UnitVoiceAnswer`]: no.
pub const ANSWER_DENY: u8 = 0x21;
/// Reason code of [`CsbkMessage::Nack`]: the radio does not have the service (section 7.2.3).
pub const REASON_NOT_SUPPORTED: u8 = 0x21;

/// What a CSBK of the standard's own feature set says. IDs have 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CsbkMessage {
    /// May I call you?
    UnitVoiceRequest {
        /// Those of the call to come.
        service_options: ServiceOptions,
        /// ID of the radio asked.
        target: u32,
        /// ID of the radio that asks.
        source: u32,
    },
    /// You may, or not.
    UnitVoiceAnswer {
        /// Those of the request.
        service_options: ServiceOptions,
        /// [`ANSWER_PROCEED`], [`ANSWER_DENY`], or what is reserved.
        answer: u8,
        /// ID of the radio that asked.
        target: u32,
        /// ID of the radio that answers.
        source: u32,
    },
    /// A service is refused.
    Nack {
        /// Whether the source is of use (additional information field).
        has_source: bool,
        /// Whether a radio refuses, not a repeater (source type).
        from_radio: bool,
        /// Opcode of what is refused, 0..=63.
        service: u8,
        /// [`REASON_NOT_SUPPORTED`], or what is reserved.
        reason: u8,
        /// ID of who refuses.
        source: u32,
        /// ID of who is refused.
        target: u32,
    },
    /// Wake up.
    BsActivation {
        /// ID of the repeater, all ones for any.
        base_station: u32,
        /// ID of the radio.
        source: u32,
    },
    /// Something follows.
    Preamble {
        /// Data follows, not CSBKs.
        data: bool,
        /// The target is a talkgroup, not a radio.
        group: bool,
        /// How many bursts follow, further preambles among them.
        blocks_to_follow: u8,
        /// ID of the talkgroup or radio.
        target: u32,
        /// ID of the sender.
        source: u32,
    },
}

impl Csbk {
    /// What it says; `None` if it is protected, a maker's, or of an opcode that [`CsbkMessage`] does not have.
    #[must_use]
    pub const fn message(&self) -> Option<CsbkMessage> {
        if self.protected() || self.fid() != 0 {
            return None;
        }
        let [_, _, first, second, a, b, c, d, e, f] = self.0;
        let (front, back) = (id([a, b, c]), id([d, e, f]));
        Some(match self.opcode() {
            Csbko::UnitVoiceRequest => CsbkMessage::UnitVoiceRequest {
                service_options: ServiceOptions(first),
                target: front,
                source: back,
            },
            Csbko::UnitVoiceAnswer => CsbkMessage::UnitVoiceAnswer {
                service_options: ServiceOptions(first),
                answer: second,
                target: front,
                source: back,
            },
            Csbko::Nack => CsbkMessage::Nack {
                has_source: first & 0x80 != 0,
                from_radio: first & 0x40 != 0,
                service: first & 0x3F,
                reason: second,
                source: front,
                target: back,
            },
            Csbko::BsActivation => CsbkMessage::BsActivation { base_station: front, source: back },
            Csbko::Preamble => CsbkMessage::Preamble {
                data: first & 0x80 != 0,
                group: first & 0x40 != 0,
                blocks_to_follow: second,
                target: front,
                source: back,
            },
            Csbko::Other(_) => return None,
        })
    }
}

/// The block that says it. Of IDs the low 24 bits are taken, of the service refused the low six.
impl From<CsbkMessage> for Csbk {
    fn from(message: CsbkMessage) -> Self {
        let (opcode, first, second, front, back) = match message {
            CsbkMessage::UnitVoiceRequest { service_options, target, source } => {
                (Csbko::UnitVoiceRequest, service_options.0, 0, target, source)
            }
            CsbkMessage::UnitVoiceAnswer { service_options, answer, target, source } => {
                (Csbko::UnitVoiceAnswer, service_options.0, answer, target, source)
            }
            CsbkMessage::Nack { has_source, from_radio, service, reason, source, target } => {
                let flags = u8::from(has_source) << 7 | u8::from(from_radio) << 6;
                (Csbko::Nack, flags | service & 0x3F, reason, source, target)
            }
            CsbkMessage::BsActivation { base_station, source } => {
                (Csbko::BsActivation, 0, 0, base_station, source)
            }
            CsbkMessage::Preamble { data, group, blocks_to_follow, target, source } => {
                let flags = u8::from(data) << 7 | u8::from(group) << 6;
                (Csbko::Preamble, flags, blocks_to_follow, target, source)
            }
        };
        let ([a, b, c], [d, e, f]) = (id_bytes(front), id_bytes(back));
        Self::new(opcode, 0, [first, second, a, b, c, d, e, f])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sync;
    use proptest::prelude::*;

    fn message() -> impl Strategy<Value = CsbkMessage> {
        let ids = || 0..1_u32 << 24;
        prop_oneof![
            (any::<u8>(), ids(), ids()).prop_map(|(options, target, source)| {
                CsbkMessage::UnitVoiceRequest { service_options: ServiceOptions(options), target, source }
            }),
            (any::<u8>(), any::<u8>(), ids(), ids()).prop_map(|(options, answer, target, source)| {
                let service_options = ServiceOptions(options);
                CsbkMessage::UnitVoiceAnswer { service_options, answer, target, source }
            }),
            (any::<[bool; 2]>(), 0..64_u8, any::<u8>(), ids(), ids()).prop_map(
                |([has_source, from_radio], service, reason, source, target)| {
                    CsbkMessage::Nack { has_source, from_radio, service, reason, source, target }
                }
            ),
            (ids(), ids())
                .prop_map(|(base_station, source)| CsbkMessage::BsActivation { base_station, source }),
            (any::<[bool; 2]>(), any::<u8>(), ids(), ids()).prop_map(
                |([data, group], blocks_to_follow, target, source)| {
                    CsbkMessage::Preamble { data, group, blocks_to_follow, target, source }
                }
            ),
        ]
    }

    /// A preamble of a radio: two blocks of data for a talkgroup.
    #[test]
    fn fields_are_where_the_standard_has_them() {
        let preamble = CsbkMessage::Preamble {
            data: true,
            group: true,
            blocks_to_follow: 2,
            target: 91,
            source: 2_621_370,
        };
        let csbk = Csbk::from(preamble);
        assert_eq!(csbk.0, [0xBD, 0, 0xC0, 2, 0, 0, 91, 0x27, 0xFF, 0xBA]);
        assert!(csbk.last_block() && !csbk.protected());
        assert_eq!((csbk.fid(), csbk.message()), (0, Some(preamble)));
        let mut makers = csbk;
        makers.0[1] = 0x10;
        let mut protected = csbk;
        protected.0[0] |= 0x40;
        assert_eq!((makers.message(), protected.message()), (None, None));
    }

    proptest! {
        #[test]
        fn messages_round_trip(message in message()) {
            let burst = Csbk::from(message).to_burst(1, Sync::MsVoice);
            prop_assert_eq!(Csbk::from_burst(&burst).and_then(|csbk| csbk.message()), Some(message));
        }
    }
}
