//! Who survives: it reads on, sleeps on its bell, and follows from one incarnation to the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

use fabric::{Bell, FRAME_LEN, Read, Segment, StateReader, WorkerReader};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::support::Raw;
use crate::writer::{Mode, frame, state};
use crate::{Host, PATIENCE, SURVIVORS};

/// Told to the survivors when the incarnation before is dead.
pub(crate) struct Next {
    pub(crate) worker: Arc<Segment>,
    pub(crate) mode: Mode,
}

/// What a survivor has seen: frames, those it was too late for, and how writers left their rings.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    lost: u64,
    sleeps: u64,
    half: u64,
    unnoted: u64,
}

struct Survivor {
    now: Next,
    reader: WorkerReader,
    tally: Tally,
}

impl Survivor {
    /// Reads until there is nothing more. What comes out is what was published at the position it was read from.
    fn drain(&mut self) {
        let mut out = [0; FRAME_LEN];
        loop {
            let (epoch, position) = self.reader.place();
            let read = self.reader.read(&mut out);
            let now = self.reader.place().1;
            match read {
                Read::Empty => return,
                Read::Frame => {
                    assert_eq!((out, now), (frame(epoch, position), position + 1), "torn or out of order");
                    self.tally.frames += 1;
                }
                Read::Gap(gap) => {
                    assert_eq!((gap > 0, now), (true, position + gap));
                    self.tally.lost += gap;
                }
            }
        }
    }

    /// The writer is dead: all that it published whole is read, and nothing else.
    fn bury(&mut self) {
        self.drain();
        let tail = Raw::of(self.now.worker.read_only()).tail();
        assert_eq!(self.reader.place().1, tail.whole, "{tail:?}");
        // It may have died after it finished the frame and before it noted that.
        assert!((tail.head..=tail.head + 1).contains(&tail.whole), "{tail:?}");
        self.tally.half += u64::from(tail.half);
        self.tally.unnoted += tail.whole - tail.head;
    }
}

pub(crate) fn survive(host: &Host, i: usize, incarnations: &Receiver<Next>) -> Tally {
    let bell = Bell::open(host.bells.writable(), SURVIVORS[i]).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&host.wakes[i], EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).unwrap();
    let stored = StateReader::open(host.state.read_only()).unwrap();
    let now = incarnations.recv().unwrap();
    let reader = WorkerReader::open(now.worker.read_only(), (0, 0)).unwrap();
    host.followed[i].store(reader.epoch(), Ordering::Relaxed);
    let mut survivor = Survivor { now, reader, tally: Tally::default() };
    loop {
        let _ = bell.take();
        survivor.drain();
        match incarnations.try_recv() {
            Ok(next) => {
                survivor.bury();
                // As whoever reads on: the place in the old incarnation says nothing in the new one.
                survivor.reader =
                    WorkerReader::open(next.worker.read_only(), survivor.reader.place()).unwrap();
                assert_eq!(survivor.reader.place().1, 0);
                survivor.now = next;
                host.followed[i].store(survivor.reader.epoch(), Ordering::Relaxed);
                continue;
            }
            Err(TryRecvError::Disconnected) => {
                survivor.bury();
                return survivor.tally;
            }
            Err(TryRecvError::Empty) => {}
        }
        if survivor.now.mode == Mode::State {
            let _ = state(stored.stored());
        }
        if survivor.now.mode != Mode::Bells {
            std::thread::yield_now();
        } else if bell.sleep() {
            survivor.tally.sleeps += 1;
            let patience = EpollTimeout::try_from(PATIENCE).unwrap();
            assert_eq!(epoll.wait(&mut [EpollEvent::empty()], patience), Ok(1), "left asleep");
            bell.awake();
        }
    }
}
