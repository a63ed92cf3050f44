//! Our copy and the registry that it is of: is that still the one that was followed, and what differs? Neither asks
//! anything of a server.

use registry::{Change, Embedded, Error, Key, Page, Refused, Space};

use super::FOLLOWED;
use super::tarantool::Info;

/// Whether a registry is one to be followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// Not before an operator says so; what is wrong with it.
    Held(String),
    /// He has said that it is to be the same as our copy, and it may not be yet.
    Restoring,
}

/// Why an empty registry is not followed.
const EMPTY: &str = "it is EMPTY, or a space of it was emptied";

/// Whether this registry is the one that was followed before, and as old at least. One that is followed for the first
/// time must not take anything away. What was held once stays so, whatever is written there meanwhile.
pub(crate) fn standing(copy: &Embedded, info: &Info) -> Result<Standing, Error> {
    let cluster = &info.mark.cluster;
    if copy.restoring()?.as_ref() == Some(cluster) {
        return Ok(Standing::Restoring);
    }
    let held = |what: &str| Ok(Standing::Held(what.to_owned()));
    if let Some(what) = copy.held(cluster)? {
        return held(&what);
    }
    let mark = copy.mark()?;
    // A life that was followed from its beginning is known to be so.
    let is_emptied = info.is_emptied && mark.as_ref().is_none_or(|mark| mark.epoch != info.mark.epoch);
    match mark {
        _ if has_nothing_of_its_own(copy)? => Ok(Standing::Good),
        _ if info.count == 0 || is_emptied => held(EMPTY),
        None => held("this cluster has never followed it, and has records of its own"),
        Some(mark) if mark.cluster != *cluster => held("it is ANOTHER one than before"),
        Some(mark) if mark.version > info.mark.version => held("it is OLDER than it was"),
        Some(_) => Ok(Standing::Good),
    }
}

/// Whether nothing of a registry has ever been read here.
pub(crate) fn is_blind(copy: &Embedded) -> Result<bool, Error> {
    Ok(copy.mark()?.is_none() && has_nothing_of_its_own(copy)?)
}

/// Whether all that lies here is on its way to the registry: nothing can be lost by following one.
fn has_nothing_of_its_own(copy: &Embedded) -> Result<bool, Error> {
    let here = copy.count(&FOLLOWED)?;
    // Removals are pending, too.
    Ok(here <= copy.pending_count()? && here <= copy.count_pending_records(&FOLLOWED)?)
}

/// What makes our copy of a part of a space, from after a key to the end of the page, the same as the page; and what in
/// the page cannot be: of that the last good form stays.
pub(crate) fn differences(
    copy: &Embedded,
    space: Space,
    after: Option<&Key>,
    page: Page,
) -> Result<(Vec<Change>, Vec<Refused>), Error> {
    let refused_keys = page.refused.iter().filter_map(|refused| refused.key.clone());
    let mut keys: Vec<Key> =
        page.records.iter().map(|record| record.key.clone()).chain(refused_keys).collect();
    keys.sort_unstable();
    let gone = copy.beyond(space, after, page.next.as_ref(), &keys)?;
    let changes = page.records.into_iter().map(Change::put).chain(gone).collect();
    Ok((changes, page.refused))
}

/// Removals of what a page has and our copy has not.
pub(crate) fn unknown(copy: &Embedded, page: &Page) -> Result<Vec<Change>, Error> {
    let mut unknown = Vec::new();
    for record in &page.records {
        if !copy.has(record.space, &record.key)? {
            unknown.push(Change::remove(record.space, record.key.clone()));
        }
    }
    Ok(unknown)
}

#[cfg(test)]
mod tests {
    use registry::{Mark, Record, Talkgroup};

    use super::*;

    fn talkgroup(id: u32) -> Change {
        Change::put(Record::of(&Talkgroup { id, name: "x".to_owned() }).unwrap())
    }

    fn mark(cluster: &str, version: u64) -> Mark {
        Mark { cluster: cluster.to_owned(), version, epoch: "e".to_owned(), seq: 1 }
    }

    fn info(cluster: &str, version: u64, count: u64) -> Info {
        Info { mark: mark(cluster, version), count, is_emptied: false, lacks: vec![] }
    }

    fn held(copy: &Embedded, cluster: &str, version: u64, count: u64) -> Option<String> {
        match standing(copy, &info(cluster, version, count)).unwrap() {
            Standing::Good => None,
            Standing::Held(what) => Some(what),
            Standing::Restoring => Some("restoring".to_owned()),
        }
    }

    #[test]
    fn who_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let copy = Embedded::open(dir.path(), true).unwrap();
        assert_eq!(
            (held(&copy, "a", 5, 0), held(&copy, "a", 5, 9)),
            (None, None),
            "there is nothing to lose"
        );
        assert!(is_blind(&copy).unwrap());
        copy.change(&[talkgroup(1)]).unwrap();
        assert_eq!(held(&copy, "a", 5, 0), None, "what is here is on its way there");
        copy.change_here(&[talkgroup(2)]).unwrap();
        assert!(!is_blind(&copy).unwrap());
        let never = "this cluster has never followed it, and has records of its own";
        assert_eq!(held(&copy, "a", 5, 9).as_deref(), Some(never));
        // What is to go there hides nothing that is here.
        copy.change(&[3, 4, 5].map(|id| Change::remove(Space::Talkgroups, Key::Id(id)))).unwrap();
        assert_eq!(held(&copy, "a", 5, 9).as_deref(), Some(never));
        assert_eq!(held(&copy, "a", 5, 0).as_deref(), Some(EMPTY));
        copy.follow(&[], |_, _| false, Some(&mark("a", 5))).unwrap();
        assert_eq!((held(&copy, "a", 5, 9), held(&copy, "a", 6, 1)), (None, None));
        assert_eq!(held(&copy, "a", 4, 9).as_deref(), Some("it is OLDER than it was"));
        assert_eq!(held(&copy, "b", 9, 9).as_deref(), Some("it is ANOTHER one than before"));
        assert_eq!(held(&copy, "a", 9, 0).as_deref(), Some(EMPTY));
        let mut emptied = Info { is_emptied: true, ..info("a", 9, 9) };
        assert_eq!(standing(&copy, &emptied).unwrap(), Standing::Good, "that is known");
        emptied.mark.epoch = "another".to_owned();
        assert!(matches!(standing(&copy, &emptied).unwrap(), Standing::Held(_)));
        // Radios heard are nobody's copy.
        let heard = serde_json::json!({"radio": 7, "destination": 91, "group": true, "context": 1, "slot": 2,
            "session": "x", "started_ms": 1, "seconds": 1.0});
        let serde_json::Value::Object(heard) = heard else { unreachable!() };
        copy.change(&[Change::put(Record::of_object(Space::LastHeard, heard).unwrap())]).unwrap();
        assert_eq!(held(&copy, "a", 9, 0).as_deref(), Some(EMPTY));
    }

    #[test]
    fn what_was_held_stays_so_until_an_operator_says_what_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let copy = Embedded::open(dir.path(), true).unwrap();
        copy.follow(&[talkgroup(1)], |_, _| false, Some(&mark("a", 5))).unwrap();
        let Standing::Held(what) = standing(&copy, &info("a", 4, 9)).unwrap() else { panic!("followed") };
        copy.hold("a", &what).unwrap();
        assert_eq!(
            held(&copy, "a", 99, 9).as_deref(),
            Some("it is OLDER than it was"),
            "written to meanwhile"
        );
        assert_eq!(held(&copy, "b", 99, 9).as_deref(), Some("it is ANOTHER one than before"));
        copy.restore("a").unwrap();
        assert_eq!(held(&copy, "a", 4, 9).as_deref(), Some("restoring"));
        assert_eq!(held(&copy, "b", 99, 9).as_deref(), Some("it is ANOTHER one than before"));
        copy.accept("a").unwrap();
        assert_eq!(held(&copy, "a", 4, 9), None);
    }

    #[test]
    fn differences_by_pages() {
        let dir = tempfile::tempdir().unwrap();
        let copy = Embedded::open(dir.path(), true).unwrap();
        copy.change_here(&[1, 2, 3, 7, 9].map(talkgroup)).unwrap();
        let record = |id| talkgroup(id).record.unwrap();
        let refused = |id| {
            let error =
                Error::Invalid { space: Space::Talkgroups, key: "x".to_owned(), reason: "y".to_owned() };
            Refused { space: Space::Talkgroups, key: Some(Key::Id(id)), error }
        };
        let page =
            Page { records: vec![record(1), record(4)], refused: vec![refused(2)], next: Some(Key::Id(4)) };
        assert_eq!(unknown(&copy, &page).unwrap(), [Change::remove(Space::Talkgroups, Key::Id(4))]);
        let (changes, refused) = differences(&copy, Space::Talkgroups, None, page).unwrap();
        let gone = |id| Change::remove(Space::Talkgroups, Key::Id(id));
        assert_eq!((changes, refused.len()), (vec![talkgroup(1), talkgroup(4), gone(3)], 1));
        let last = Page { records: vec![record(7)], ..Page::default() };
        let (changes, _) = differences(&copy, Space::Talkgroups, Some(&Key::Id(4)), last).unwrap();
        assert_eq!(changes, [talkgroup(7), gone(9)]);
    }
}
