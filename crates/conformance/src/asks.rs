//! Questions and their answers, which may never come, come late, come twice, or be for another.

use std::time::Duration;

use stack::{Input, Login};

use crate::talk::{Answers, Told, answer};
use crate::witness::Witness;
use crate::{CAPACITY, Subject};

pub(crate) fn check(subject: &Subject) {
    for (answers, of) in [
        (Answers::Never, "questions that are never answered"),
        (Answers::No, "questions that are answered with no"),
    ] {
        let mut witness = Witness::new(subject, CAPACITY, of);
        let Told { asked, .. } = witness.converse(answers);
        if let Some(profile) =
            witness.up.values().find(|profile| asked.iter().any(|login| login.id == profile.id))
        {
            let came = format!("{} is up", profile.id);
            witness.fail("a context that has to ask is up only after a yes", came);
        }
        witness.pass(Duration::from_secs(7200));
        // And nobody expects these any more.
        for login in &asked {
            witness.input(Input::Answer(answer(login, true)));
        }
        witness.pass(Duration::from_secs(7200));
    }
    let mut witness = Witness::new(subject, CAPACITY, "questions that are answered twice");
    let Told { asked, .. } = witness.converse(Answers::Twice);
    // Whose question it was is said by both: another ID, another address.
    let stranger = "198.51.100.9:9".parse().unwrap_or_else(|_| unreachable!());
    let digest = [0; 32];
    let nobody = Login { id: 4_000_000_000, from: stranger, salts: [[0; 4]; 2], text: false, digest };
    let others = asked.iter().flat_map(|login| {
        [Login { id: login.id ^ 1, ..login.clone() }, Login { from: stranger, ..login.clone() }]
    });
    for login in others.chain([nobody]).filter(|login| !is_asked(&asked, login)) {
        for is_yes in [true, false] {
            let input = Input::Answer(answer(&login, is_yes));
            witness.must_change_nothing(input, "an answer to what was not asked changes nothing");
        }
    }
}

fn is_asked(asked: &[Login], login: &Login) -> bool {
    asked.iter().any(|other| (other.id, other.from) == (login.id, login.from))
}
