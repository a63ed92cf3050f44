//! What of other programs' configurations is taken over, and what is named.

use serde_json::json;

use super::*;

fn found(files: &[&str]) -> Found {
    let texts: Vec<_> = files.iter().map(|text| ("file".to_owned(), (*text).to_owned())).collect();
    read(&texts).unwrap()
}

fn record(found: &Found, space: Space, id: u32) -> Value {
    found.records.get(&(space, id)).cloned().map_or(Value::Null, Value::Object)
}

fn is_left(found: &Found, words: &str) -> bool {
    found.left.iter().any(|left| left.contains(words))
}

const CONFIGURATION: &str = "
# words
[GLOBAL]
PATH: ./
USE_ACL: True
REG_ACL: PERMIT:ALL
SUB_ACL: DENY:1,1000-2000
TGID_TS1_ACL: PERMIT:ALL
TGID_TS2_ACL: PERMIT:ALL
[LOGGER]
LOG_NAME: x
[CLUB]
MODE: MASTER
ENABLED: True
REPEAT: True
MAX_PEERS: 10
IP:
PORT: 54000
PASSPHRASE: hidden
GROUP_HANGTIME: 5
REG_ACL: PERMIT:262137,2621370,262000-262010
SUB_ACL: PERMIT:ALL
TGID_TS1_ACL: DENY:666
TGID_TS2_ACL: DENY:666
TS1_STATIC: 91,92
TS2_STATIC:
SINGLE_MODE: True
[BM]
MODE: OPENBRIDGE
ENABLED: True
IP:
PORT: 62035
NETWORK_ID: 3129900
PASSPHRASE: hidden
TARGET_IP: bridge.example.org
TARGET_PORT: 62036
BOTH_SLOTS: True
USE_ACL: True
SUB_ACL: DENY:1
TGID_ACL: PERMIT:ALL
[LOST]
MODE: OPENBRIDGE
NETWORK_ID: 3129900
PASSPHRASE: other
[OLD]
MODE: PEER
ENABLED: False
";

const RULES: &str = "
'''words with BRIDGES = in them'''
BRIDGES = {
    'GERMANY': [
        {'SYSTEM': 'CLUB', 'TS': 2, 'TGID': 262, 'ACTIVE': True, 'TIMEOUT': 2, 'TO_TYPE': 'NONE', 'ON': [262,], 'OFF': [], 'RESET': []},
        {'SYSTEM': 'BM',   'TS': 1, 'TGID': 262, 'ACTIVE': True, 'TIMEOUT': 2, 'TO_TYPE': 'NONE', 'ON': [], 'OFF': [], 'RESET': []},
    ],
    'TRANSLATED': [
        {'SYSTEM': 'CLUB', 'TS': 1, 'TGID': 1, 'ACTIVE': True, 'TO_TYPE': 'NONE', 'ON': [], 'OFF': []},
        {'SYSTEM': 'BM', 'TS': 1, 'TGID': 3100, 'ACTIVE': True, 'TO_TYPE': 'NONE', 'ON': [], 'OFF': []},
    ],
    'TIMED': [{'SYSTEM': 'CLUB', 'TS': 2, 'TGID': 7, 'ACTIVE': True, 'TO_TYPE': 'ON', 'ON': [7], 'OFF': []}],
    'SLEEPS': [{'SYSTEM': 'CLUB', 'TS': 2, 'TGID': 8, 'ACTIVE': False, 'TO_TYPE': 'NONE', 'ON': [], 'OFF': []}],
}
UNIT = ['CLUB']
if __name__ == '__main__':
    print(BRIDGES)
";

#[test]
fn a_master_with_known_devices_and_its_rules() {
    // In whatever order they are given.
    let found = found(&[RULES, CONFIGURATION]);
    assert_eq!(
        record(&found, Space::Devices, 262_137),
        json!({"id": 262_137, "password": "hidden", "single": true})
    );
    let subscriptions = json!({"id": 2_621_370, "ts1": [91, 92, 1], "ts2": [262]});
    assert_eq!(record(&found, Space::Subscriptions, 2_621_370), subscriptions);
    let peer = json!({
        "id": 3_129_900, "key": "hidden", "address": "bridge.example.org:62036", "learn_address": false, "enhanced": false,
        "own_id": 3_129_900,
        "talkgroups_in": ["262", "1"], "talkgroups_out": ["262", "1"], "rewrite": ["1=3100"],
    });
    assert_eq!(record(&found, Space::Peers, 3_129_900), peer);
    assert_eq!(found.records.len(), 5, "ranges name nobody");
    for ((space, _), record) in &found.records {
        assert!(Record::of_object(*space, record.clone()).is_ok(), "{record:?}");
    }
    let expected = "[calls]\nhang_time = 5\n[access.devices]\nallow = [262137, 2621370, \"262000-262010\"]\n\
                    [access.radios]\ndeny = [1, \"1000-2000\"]\n[access.talkgroups]\ndeny = [666]\n\
                    [stacks.mmdvm]\nlisten = [\"0.0.0.0:54000\"]\n\
                    # password = \"...\"    # copy it from PASSPHRASE of [CLUB]: it is not printed here\n\
                    [stacks.openbridge]\nlisten = [\"0.0.0.0:62035\"]\n";
    assert_eq!(found.snippet.to_toml(), expected);
    for words in [
        "[LOGGER]",
        "[GLOBAL] PATH: there is nothing of the kind here",
        "[CLUB] MAX_PEERS, REPEAT: there is nothing of the kind here",
        "[BM] SUB_ACL: who may talk is one rule for all",
        "[BM] BOTH_SLOTS: there is nothing of the kind here",
        "[LOST] NETWORK_ID: another section has 3129900 as well",
        "[OLD]: it is not enabled",
        "bridge \"TIMED\", system \"CLUB\": TO_TYPE ON",
        "bridge \"SLEEPS\", system \"CLUB\": it begins inactive",
        "UNIT: private calls",
    ] {
        assert!(is_left(&found, words), "{words}: {:?}", found.left);
    }
    assert_eq!(found.left.len(), 10, "{:?}", found.left);
    assert!(!format!("{:?}", found.left).contains("hidden"));
}

#[test]
fn links_without_rules_have_the_talkgroups_that_they_permit() {
    let link = |id: u32, acl: &str| {
        format!(
            "[N{id}]\nMODE: OPENBRIDGE\nPORT: 62035\nNETWORK_ID: {id}\nPASSPHRASE: x\nENHANCED_OBP: True\nTGID_ACL: {acl}\n"
        )
    };
    let found = found(&[&[link(7, "PERMIT:91,3100-3199"), link(8, "PERMIT:ALL")].concat()]);
    let both = json!(["91", "3100-3199"]);
    let peer = record(&found, Space::Peers, 7);
    assert_eq!(
        (&peer["talkgroups_in"], &peer["talkgroups_out"], &peer["learn_address"]),
        (&both, &both, &json!(true))
    );
    assert_eq!(
        record(&found, Space::Peers, 8),
        json!({"id": 8, "key": "x", "learn_address": true, "enhanced": true, "own_id": 8})
    );
    assert!(is_left(&found, "[N8]: which talkgroups go there is not said"), "{:?}", found.left);
}

#[test]
fn bridges_that_join_talkgroups_are_left() {
    let rules = "BRIDGES = {'X': [{'SYSTEM': 'CLUB', 'TS': 1, 'TGID': 1, 'ACTIVE': True}, \
                 {'SYSTEM': 'CLUB', 'TS': 2, 'TGID': 2, 'ACTIVE': True}]}";
    assert!(is_left(&found(&[CONFIGURATION, rules]), "bridge \"X\": it joins talkgroups [1, 2]"));
}

#[test]
fn what_our_configuration_gets_is_valid_there() {
    let file = found(&[CONFIGURATION]).snippet.to_toml();
    let config = config::Config::parse(&file).unwrap();
    assert_eq!(config.access.radios.deny.len(), 2);
}

#[test]
fn masters_that_differ_have_no_rule_in_common() {
    let two = "[A]\nMODE: MASTER\nPORT: 1\nPASSPHRASE: one\nREG_ACL: PERMIT:7\nTGID_TS1_ACL: DENY:1\n\
               [B]\nMODE: MASTER\nPORT: 2\nPASSPHRASE: two\nREG_ACL: PERMIT:7,8\nTGID_TS1_ACL: DENY:2\nSUB_ACL: PERMIT:x\n";
    let found = found(&[two]);
    assert_eq!(record(&found, Space::Devices, 7)["password"], "one");
    assert_eq!(record(&found, Space::Devices, 8)["password"], "two");
    for words in [
        "Devices 7: password is given twice, differently",
        "PASSPHRASE: of several masters none",
        "access to devices by the masters: they differ",
        "access to talkgroups by the masters: they differ between masters or timeslots",
        "[B] SUB_ACL: \"PERMIT:x\" is no access list",
    ] {
        assert!(is_left(&found, words), "{words}: {:?}", found.left);
    }
    assert_eq!(found.snippet.to_toml(), "[stacks.mmdvm]\nlisten = [\"0.0.0.0:1\", \"0.0.0.0:2\"]\n");
}

#[test]
fn rules_alone_and_broken_files_are_refused() {
    let read = |text: &str| read(&[("rules.py".to_owned(), text.to_owned())]).unwrap_err();
    assert!(read("BRIDGES = {}").to_string().contains("give that as well"));
    assert!(format!("{:#}", read("[A]\nwords")).contains("line 2: neither [SECTION] nor KEY: VALUE"));
    assert!(format!("{:#}", read("{\"a\":")).contains("no JSON object: line 1 column"));
}

#[test]
fn the_configuration_of_hblink4() {
    let text = json!({
        "global": {"bind_ip": "0.0.0.0", "bind_port": 62031, "ping_time": 5, "stream_hang_time": 9.5},
        "blacklist": {"patterns": [
            {"name": "a", "match": {"ids": [7]}, "reason": "noise"},
            {"name": "b", "match": {"id_ranges": [[315_000, 315_999]], "callsigns": ["BAD*", "*X"]}},
        ]},
        "repeater_configurations": {
            "patterns": [
                {"name": "c", "match": {"ids": [312_100]}, "config": {
                    "passphrase": "hidden", "slot1_talkgroups": [8], "slot2_talkgroups": [3100, 3101]}},
                {"name": "d", "match": {"callsigns": ["W*"]}, "config": {"passphrase": "hidden"}},
            ],
            "default": {"passphrase": "hidden", "talkgroups": [8]},
        },
        "talkgroups": {"8": {"name": "Local", "bridge": false}},
        "dashboard": {},
    })
    .to_string();
    let found = found(&[&text]);
    assert_eq!(record(&found, Space::Bans, 7), json!({"id": 7, "reason": "noise"}));
    assert_eq!(record(&found, Space::Devices, 312_100), json!({"id": 312_100, "password": "hidden"}));
    let subscriptions = json!({"id": 312_100, "ts1": [8], "ts2": [3100, 3101]});
    assert_eq!(record(&found, Space::Subscriptions, 312_100), subscriptions);
    assert_eq!(record(&found, Space::Talkgroups, 8), json!({"id": 8, "name": "Local"}));
    let expected = "[calls]\nhang_time = 10\n[access.calls]\ndeny = [\"BAD*\"]\n[access.devices]\n\
                    deny = [\"315000-315999\"]\n[stacks.mmdvm]\nlisten = [\"0.0.0.0:62031\"]\n\
                    # password = \"...\"    # copy it from repeater_configurations.default.passphrase: it is not \
                    printed here\n";
    assert_eq!(found.snippet.to_toml(), expected);
    for words in ["ping_time", "\"*X\"", "\"d\": callsigns", "by default", "bridge", "dashboard"] {
        assert!(is_left(&found, words), "{words}: {:?}", found.left);
    }
    assert!(!format!("{:?}", found.left).contains("hidden"));
}
