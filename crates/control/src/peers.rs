//! What the services show of the other networks that calls go to and come from.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Another network; never its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Its network ID.
    pub id: u32,
    /// Where it is configured.
    pub source: PeerSource,
    /// The name of its host, where it is configured by name.
    pub name: Option<String>,
    /// Why that name cannot be looked up now.
    pub trouble: Option<String>,
    /// Where it is reached, if that is known.
    pub address: Option<SocketAddr>,
    /// That was learned from what came.
    pub learned: bool,
    /// It speaks the extensions of the protocol.
    pub enhanced: bool,
    /// Their version, where it does.
    pub version: Option<u8>,
    /// Since something was last heard of it, seconds, as it was last written down.
    pub heard_seconds: Option<f64>,
    /// Talkgroups that are taken from there, by their numbers here: `91`, `3100-3199`.
    pub talkgroups_in: Vec<String>,
    /// Those that are sent there.
    pub talkgroups_out: Vec<String>,
    /// Those that have another number there: `91=3191` is 91 here.
    pub rewrite: Vec<String>,
    /// Calls that come from there now.
    pub calls_in: u32,
    /// Calls to talkgroups that are sent there now.
    pub calls_out: u32,
}

/// Where a peer is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerSource {
    /// In the configuration file.
    File,
    /// In the registry.
    Registry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_documented() {
        let peer = PeerInfo {
            id: 3_129_900,
            source: PeerSource::Registry,
            name: Some("a.test".to_owned()),
            trouble: None,
            address: "192.0.2.1:62035".parse().ok(),
            learned: false,
            enhanced: true,
            version: Some(5),
            heard_seconds: Some(1.5),
            talkgroups_in: vec!["91".to_owned()],
            talkgroups_out: vec!["3100-3199".to_owned()],
            rewrite: vec!["91=3191".to_owned()],
            calls_in: 1,
            calls_out: 2,
        };
        let expected = concat!(
            r#"{"id":3129900,"source":"registry","name":"a.test","trouble":null,"address":"192.0.2.1:62035","#,
            r#""learned":false,"enhanced":true,"version":5,"heard_seconds":1.5,"talkgroups_in":["91"],"#,
            r#""talkgroups_out":["3100-3199"],"rewrite":["91=3191"],"calls_in":1,"calls_out":2}"#
        );
        assert_eq!(serde_json::to_string(&peer).unwrap(), expected);
    }
}
