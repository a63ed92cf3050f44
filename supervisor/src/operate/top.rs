//! `bmctl top`: the cluster in one screen, asked once a second, until a key ends it. What is shown is worked out in
//! [`model`] and laid out in [`draw`], both pure; here are the terminal, the clock and the questions. It changes nothing
//! of the cluster, and whatever ends it, the terminal is left as it was found.

mod draw;
#[cfg(test)]
mod example;
mod lag;
mod model;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use control::{Exit, Paths, ServicesRequest, SupervisorRequest, request};
use nix::sys::signalfd::SignalFd;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::{cursor, execute};

use self::draw::Look;
use self::model::{Answers, Model};
use crate::{say, supervisor};

/// Between two rounds of questions.
const ROUND: Duration = Duration::from_secs(1);
/// For each answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a signal or an answer may wait to be seen.
const TICK: Duration = Duration::from_millis(50);

pub(crate) fn top(paths: &Paths) -> Result<Exit> {
    if !io::stdout().is_terminal() {
        say::log("top needs a terminal; `bmctl status --json` is for scripts");
        return Ok(Exit::Usage);
    }
    // Before the thread exists, which is not to be interrupted either.
    let signals = supervisor::take_signals()?;
    let answers = ask(paths.clone())?;
    // The terminal library shows the cursor again only when its object is dropped, which a panic does not do.
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = execute!(io::stdout(), cursor::Show);
        next(info);
    }));
    let ended = ratatui::try_init()
        .context("the terminal cannot be set up")
        .and_then(|terminal| show(terminal, &signals, &answers));
    let restored = ratatui::try_restore().context("the terminal cannot be restored: `reset` does it");
    ended.and(restored).map(|()| Exit::Ok)
}

/// Until a key or a signal ends it.
fn show(mut terminal: DefaultTerminal, signals: &SignalFd, answers: &Receiver<Answers>) -> Result<()> {
    let look = Look { colours: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) };
    let mut model = Model::default();
    let mut stale = true;
    loop {
        if std::mem::take(&mut stale) {
            let page = model.page();
            terminal
                .draw(|frame| draw::draw(&page, look, frame))
                .context("the terminal cannot be written to")?;
        }
        if event::poll(TICK).context("the terminal cannot be read")? {
            match event::read().context("the terminal cannot be read")? {
                Event::Key(key) if ends(key) => return Ok(()),
                Event::Resize(..) => stale = true,
                _ => {}
            }
        }
        if signals.read_signal()?.is_some() {
            return Ok(());
        }
        match answers.try_recv() {
            Ok(answers) => {
                model.take(answers);
                stale = true;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                bail!("nobody asks the cluster any more: start `bmctl top` again")
            }
        }
    }
}

fn ends(key: KeyEvent) -> bool {
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'Q') => true,
            KeyCode::Char('c') => with_control,
            _ => false,
        }
}

/// Asks from a thread of its own: keys are answered while the cluster is not.
fn ask(paths: Paths) -> Result<Receiver<Answers>> {
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new().name("ask".to_owned()).spawn(move || ask_always(&paths, &sender))?;
    Ok(receiver)
}

fn ask_always(paths: &Paths, sender: &SyncSender<Answers>) {
    loop {
        let asked = Instant::now();
        let status = request(paths, &SupervisorRequest::Status, PATIENCE);
        // Who has no supervisor has no services.
        let calls = match &status {
            Ok(_) => request(paths, &ServicesRequest::Calls, PATIENCE),
            Err(_) => Ok(Vec::new()),
        };
        if sender.send(Answers { status, calls }).is_err() {
            return;
        }
        thread::sleep(ROUND.saturating_sub(asked.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_end_it() {
        let key = |code, modifiers| ends(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE) && key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE) && !key(KeyCode::Enter, KeyModifiers::NONE));
    }
}
