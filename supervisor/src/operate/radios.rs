//! The verbs about radios: who was heard last, and who is banned.

use std::time::Duration;

use anyhow::Result;
use control::{BanInfo, HeardInfo, Paths, ServicesRequest, request};

use super::{TIMEOUT, print_json};
use crate::say::{self, clean};

/// Whom a call is for.
pub(super) fn called(destination: u32, group: bool) -> String {
    if group { format!("TG {destination}") } else { format!("private {destination}") }
}

/// A time of `events::utc` as it is read best.
fn moment(time_ms: u64) -> String {
    events::utc(time_ms).replace('T', " ").trim_end_matches('Z').to_owned()
}

pub(crate) fn last_heard(paths: &Paths, count: u32, json: bool) -> Result<()> {
    let heard: Vec<HeardInfo> = request(paths, &ServicesRequest::LastHeard { count }, TIMEOUT)?;
    if json {
        return print_json(&heard);
    }
    say::line(&format!(
        "{:<20} {:<8} {:<20} {:<16} {:<18} {:<5} {:<8} how it ended",
        "time (UTC)", "radio", "alias", "called", "at", "slot", "seconds"
    ));
    heard.iter().for_each(|info| say::line(&heard_line(info)));
    Ok(())
}

fn heard_line(info: &HeardInfo) -> String {
    let how = match (info.refused, info.ended) {
        (Some(why), _) => format!("refused: {why}"),
        (None, Some(ended)) => ended.as_str().to_owned(),
        (None, None) => "talking".to_owned(),
    };
    let alias = info.alias.as_deref().map_or_else(|| "-".to_owned(), clean);
    let at = format!("{} {}", info.context, clean(&info.call));
    format!(
        "{:<20} {:<8} {alias:<20} {:<16} {at:<18} {:<5} {:<8.1} {how}",
        moment(info.started_ms),
        info.radio,
        called(info.destination, info.group),
        info.slot,
        info.seconds,
    )
}

pub(crate) fn ban(paths: &Paths, id: u32, time: Option<Duration>, reason: String) -> Result<()> {
    let seconds = time.map(|time| time.as_secs());
    let ban: BanInfo = request(paths, &ServicesRequest::Ban { id, seconds, reason }, TIMEOUT)?;
    let until = ban.until_ms.map(|until| format!(" until {} UTC", moment(until)));
    say::line(&format!("{id} banned{}", until.unwrap_or_else(|| format!(", until `bmctl unban {id}`"))));
    Ok(())
}

pub(crate) fn unban(paths: &Paths, id: u32) -> Result<()> {
    request::<(), _>(paths, &ServicesRequest::Unban { id }, TIMEOUT)?;
    say::line(&format!("{id} unbanned"));
    Ok(())
}

pub(crate) fn bans(paths: &Paths, json: bool) -> Result<()> {
    let bans: Vec<BanInfo> = request(paths, &ServicesRequest::Bans, TIMEOUT)?;
    if json {
        return print_json(&bans);
    }
    say::line(&format!("{:<10} {:<20} {:<20} {:<19} reason", "id", "until (UTC)", "since (UTC)", "by"));
    for ban in bans {
        let until = ban.until_ms.map_or_else(|| "for ever".to_owned(), moment);
        let (since, reason) = (moment(ban.made_ms), clean(&ban.reason));
        say::line(&format!("{:<10} {until:<20} {since:<20} {:<19} {reason}", ban.id, ban.by));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{RefuseReason, StopReason};

    use super::*;

    #[test]
    fn one_line_for_each_radio() {
        let mut info = HeardInfo {
            radio: 2_621_370,
            alias: Some("DL1ABC\u{1b} Hans".to_owned()),
            destination: 91,
            group: true,
            context: 262_137,
            call: "DB0ABC".to_owned(),
            slot: 2,
            session: uuid::Uuid::nil(),
            started_ms: 1_772_366_400_250,
            seconds: 3.24,
            refused: None,
            ended: Some(StopReason::Terminator),
        };
        assert_eq!(
            heard_line(&info),
            "2026-03-01 12:00:00  2621370  DL1ABC Hans          TG 91            262137 DB0ABC      2     3.2      terminator"
        );
        (info.group, info.alias, info.refused) = (false, None, Some(RefuseReason::Busy));
        assert_eq!(
            heard_line(&info),
            "2026-03-01 12:00:00  2621370  -                    private 91       262137 DB0ABC      2     3.2      \
             refused: the radio called is busy"
        );
        (info.refused, info.ended) = (None, None);
        assert!(heard_line(&info).ends_with(" talking"));
    }
}
