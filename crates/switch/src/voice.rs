//! What a voice call says of itself within its bursts: its LC, in headers and terminators and embedded in
//! superframes. Where that is wrong, missing or other than what the datagrams say, it is made right here, once,
//! where the call comes in.

use dmr::{AliasText, BurstKind, DataType, Emb, EmbeddedLc, Flco, FullLc, Lcss, ServiceOptions, TalkerAlias};
use dmr::{embedded_fragment, set_embedded_fragment};
use stack::{CallType, Frame};

use crate::call::Call;

/// The LC of one call.
#[derive(Debug)]
pub(crate) struct Voice {
    /// As it is said to the receivers.
    pub(crate) lc: FullLc,
    /// The call says that it is encrypted.
    pub(crate) is_encrypted: bool,
    embedded: EmbeddedLc,
    alias: TalkerAlias,
    /// Bits for the places B to E of this superframe that came.
    came: u8,
    /// The talker's own embedded LC is not to be trusted.
    distrusts: bool,
    /// What this superframe carries instead of what the talker says.
    instead: Option<[u32; 4]>,
    /// An embedded message other than the LC that came while it was not trusted: for the next superframe.
    waiting: Option<FullLc>,
    /// Privacy indicator of the last EMB that could be read.
    privacy: bool,
}

impl Voice {
    /// A call of which only the datagrams' fields are known.
    pub(crate) fn new(call: Call, options: u8) -> Self {
        let lc = match call.to {
            CallType::Group => FullLc::group(call.source, call.destination),
            CallType::Private => FullLc::private(call.source, call.destination),
        };
        Self {
            lc: lc.with_service_options(ServiceOptions(options)),
            is_encrypted: false,
            embedded: EmbeddedLc::new(),
            alias: TalkerAlias::new(),
            came: 0,
            distrusts: false,
            instead: None,
            waiting: None,
            privacy: false,
        }
    }

    /// Takes in a burst as a talker sends it, and makes right what is not. Returns the talker's alias where the
    /// burst completes it.
    pub(crate) fn take(&mut self, frame: &mut Frame) -> Option<AliasText> {
        let said = match frame.kind {
            BurstKind::Data(data_type @ (DataType::VOICE_HEADER | DataType::TERMINATOR)) => {
                self.full_lc(data_type, frame);
                None
            }
            BurstKind::Voice(0) => {
                self.begin_superframe();
                None
            }
            BurstKind::Voice(place) => self.embedded(place, frame).and_then(|lc| self.alias.push(&lc)),
            BurstKind::Data(_) => None,
        };
        self.is_encrypted |=
            frame.kind == BurstKind::Data(DataType::PI_HEADER) || self.lc.service_options().privacy();
        said
    }

    /// Takes in a burst that somebody else has made right.
    pub(crate) fn follow(&mut self, frame: &Frame, options: u8) {
        if let BurstKind::Data(data_type @ DataType::VOICE_HEADER) = frame.kind
            && let Some(lc) = FullLc::from_burst(&frame.burst, data_type)
        {
            self.lc = lc;
        }
        self.lc = self.lc.with_service_options(ServiceOptions(options));
    }

    /// A header or terminator: what cannot be read, or says otherwise than the datagram, is written anew.
    fn full_lc(&mut self, data_type: DataType, frame: &mut Frame) {
        let read = FullLc::from_burst(&frame.burst, data_type);
        if read.is_some_and(|lc| self.is_of_the_call(&lc)) {
            self.lc = read.unwrap_or(self.lc);
            return;
        }
        if let Some(lc) = read.filter(is_call) {
            self.distrusts = true;
            self.lc = self.lc.with_service_options(lc.service_options());
        }
        self.lc.write(&mut frame.burst, data_type);
    }

    fn begin_superframe(&mut self) {
        self.came = 0;
        self.instead = self.distrusts.then(|| self.waiting.take().unwrap_or(self.lc).to_embedded());
    }

    /// A burst B to F. Returns the message that it completes where that is not the LC of a call.
    fn embedded(&mut self, place: u8, frame: &mut Frame) -> Option<FullLc> {
        let lcss = Lcss::at(place)?;
        match Emb::read(&frame.burst) {
            Some(emb) => self.privacy = emb.pi,
            // The burst is heard all the same.
            None => Emb { colour_code: 0, pi: self.privacy, lcss }.write(&mut frame.burst),
        }
        let fragment = embedded_fragment(&frame.burst);
        if let Some(fragments) = self.instead
            && let Some(&right) = fragments.get(usize::from(place) - 1)
        {
            set_embedded_fragment(&mut frame.burst, right);
        }
        self.came |= 1 << place;
        let message = self.embedded.push(lcss, fragment);
        if lcss != Lcss::Last {
            return None;
        }
        match message {
            Some(lc) if self.is_of_the_call(&lc) => {
                self.distrusts = false;
                self.lc = lc;
                None
            }
            Some(lc) if is_call(&lc) => {
                self.distrusts = true;
                None
            }
            Some(lc) => {
                self.waiting = self.distrusts.then_some(lc);
                Some(lc)
            }
            None => {
                const ALL: u8 = 0b11110;
                self.distrusts |= self.came & ALL == ALL;
                None
            }
        }
    }

    fn is_of_the_call(&self, lc: &FullLc) -> bool {
        (lc.flco(), lc.source(), lc.destination())
            == (self.lc.flco(), self.lc.source(), self.lc.destination())
    }
}

fn is_call(lc: &FullLc) -> bool {
    matches!(lc.flco(), Flco::Group | Flco::Private)
}
