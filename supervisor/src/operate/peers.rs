//! The verb about other networks: where each is, and what goes on between us.

use anyhow::Result;
use control::{Paths, PeerInfo, PeerSource, ServicesRequest, request};

use super::{TIMEOUT, print_json};
use crate::say::{self, clean};

pub(crate) fn peers(paths: &Paths, json: bool) -> Result<()> {
    let peers: Vec<PeerInfo> = request(paths, &ServicesRequest::Peers, TIMEOUT)?;
    if json {
        return print_json(&peers);
    }
    say::line(&format!(
        "{:<10} {:<44} {:<8} {:<10} {:<8} {:<8} talkgroups in / out, rewrites",
        "id", "address", "enhanced", "heard", "in/out", "from"
    ));
    peers.iter().for_each(|peer| say::line(&line(peer)));
    Ok(())
}

fn line(peer: &PeerInfo) -> String {
    let mut address = peer.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    match &peer.name {
        _ if peer.learned => address.push_str(" (learned)"),
        Some(name) => address.push_str(&format!(" ({})", clean(name))),
        None => {}
    }
    let enhanced = match peer.version {
        _ if !peer.enhanced => "-".to_owned(),
        Some(version) => format!("v{version}"),
        None => "yes".to_owned(),
    };
    let heard =
        peer.heard_seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.0} s ago"));
    let calls = format!("{}/{}", peer.calls_in, peer.calls_out);
    let source = match peer.source {
        PeerSource::File => "file",
        PeerSource::Registry => "registry",
    };
    let list = |list: &[String]| if list.is_empty() { "-".to_owned() } else { list.join(",") };
    let (r#in, out) = (list(&peer.talkgroups_in), list(&peer.talkgroups_out));
    let mut talkgroups =
        if r#in == out { format!("{out} both ways") } else { format!("{in} / {out}", in = r#in) };
    if !peer.rewrite.is_empty() {
        talkgroups.push_str(&format!(", {}", peer.rewrite.join(",")));
    }
    let mut line = format!(
        "{:<10} {address:<44} {enhanced:<8} {heard:<10} {calls:<8} {source:<8} {}",
        peer.id,
        clean(&talkgroups)
    );
    if let Some(trouble) = &peer.trouble {
        line.push_str(&format!("\n{:<10} {}", "", clean(trouble)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_all_of_a_peer() {
        let mut peer = PeerInfo {
            id: 7,
            source: PeerSource::File,
            name: Some("a.test".to_owned()),
            trouble: None,
            address: "192.0.2.1:62035".parse().ok(),
            learned: false,
            enhanced: true,
            version: Some(5),
            heard_seconds: Some(1.6),
            talkgroups_in: vec!["91".to_owned()],
            talkgroups_out: vec!["91".to_owned()],
            rewrite: vec!["91=3191".to_owned()],
            calls_in: 1,
            calls_out: 2,
        };
        let words = |peer: &PeerInfo| line(peer).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&peer), "7 192.0.2.1:62035 (a.test) v5 2 s ago 1/2 file 91 both ways, 91=3191");
        (peer.learned, peer.enhanced, peer.source) = (true, false, PeerSource::Registry);
        (peer.talkgroups_out, peer.rewrite) = (vec![], vec![]);
        assert_eq!(words(&peer), "7 192.0.2.1:62035 (learned) - 2 s ago 1/2 registry 91 / -");
        (peer.learned, peer.address, peer.heard_seconds) = (false, None, None);
        peer.trouble = Some("the name has no address".to_owned());
        assert_eq!(words(&peer), "7 unknown (a.test) - never 1/2 registry 91 / - the name has no address");
    }
}
