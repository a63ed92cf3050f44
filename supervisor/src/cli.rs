//! The command line: what can be said, and the help that teaches it.

mod device;
mod registry;
mod sim;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use config::Workers;

pub(crate) use device::{AnySlot, Device, OneSlot, Subscribe};
pub(crate) use registry::{Format, Nodes, Place, Registry};
pub(crate) use sim::Sim;

const EXIT_CODES: &str = "\
Exit codes:
  0  done                       4  a cluster runs already
  1  failed, the reason is said 5  degraded: the cluster runs, but not all of it
  2  wrong usage                6  no answer in time
  3  no cluster runs            78 the configuration is wrong";

/// An open DMR master server: one supervisor, one worker a core.
///
/// A first proof on a fresh machine: `bmctl start --workers 2` here, `bmctl sim --demo` in a second terminal.
#[derive(Debug, Parser)]
#[command(name = "bmctl", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Where the cluster's sockets and lock are; one cluster each [default: $BMCTL_RUNTIME_DIR, else /run/bmctl for
    /// root, $XDG_RUNTIME_DIR/bmctl or /tmp/bmctl-UID for others]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a cluster in the foreground, until Ctrl-C, SIGTERM or `bmctl stop`
    ///
    /// Without --config it runs on built-in defaults: it listens on loopback alone, keeps its registry itself and
    /// lets devices in with a development password.
    Start {
        /// How many workers: a number, or auto for one a core
        #[arg(long, value_name = "N|auto")]
        workers: Option<Workers>,
        /// The configuration, in TOML
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Descriptor of what the supervisor before has left
        #[arg(long, hide = true, conflicts_with_all = ["workers", "config"])]
        take_over: Option<i32>,
        /// Only try whether that can be taken over
        #[arg(long, hide = true, requires = "take_over")]
        rehearse: bool,
    },
    /// Show how the cluster is
    Status(Json),
    /// Show the cluster live: workers, services and calls, asked once a second, until q, Esc or Ctrl-C
    ///
    /// The lag is what 99 of 100 rounds of a worker's loop since the last question did not exceed. A cluster that ends is
    /// waited for.
    Top,
    /// Stop the cluster: repeaters are told, then everything ends
    Stop,
    /// Show how processes ended lately, and what they said last
    Panics(Json),
    /// Put a new process in the place of a worker, or of the services; calls go on
    ///
    /// Also starts one again that was drained or is left alone since it died too often.
    Restart {
        /// The worker's number, or `services`
        #[arg(value_name = "N|services")]
        process: Restartable,
    },
    /// Let other workers serve the repeaters of this one, and end it; calls go on
    Drain {
        /// The worker's number
        worker: u8,
    },
    /// Have so many workers; calls go on
    Scale {
        /// How many
        workers: u16,
    },
    /// Read the configuration file again and put it in force; calls go on
    ///
    /// Says what changes. A file that is wrong, or that changes what is fixed while a cluster runs, changes nothing.
    Reload,
    /// Put the programs that lie on disk now in the place of those that run; calls go on
    ///
    /// Copy bmctl, bm-worker and bm-services of the new version to where those of the old one lie (by `install` or `mv`,
    /// which leave the old files to whoever runs them). What does not get ready is put back by itself.
    Upgrade,
    /// Say whether a configuration file is good, and if not, where and what would be
    Check {
        /// The file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print what happens, one JSON object a line, until Ctrl-C
    Events,
    /// Show who is logged in
    Contexts(Json),
    /// Show who is talking
    Calls(Json),
    /// Show the other networks that calls go to and come from
    ///
    /// They are those of the configuration file and of the registry (`bmctl registry put Peers ...`).
    Peers(Json),
    /// Throw a repeater or hotspot out; it may log in again
    Kick {
        /// Its ID
        id: u32,
    },
    /// Print calls as they happen, one line each, until Ctrl-C; times are UTC
    Monitor,
    /// Show who was heard last, the newest first
    Lastheard {
        /// How many
        #[arg(short = 'n', default_value_t = 20)]
        count: u32,
        #[command(flatten)]
        json: Json,
    },
    /// Give a repeater or hotspot a static talkgroup, at once and for good
    ///
    /// The registry keeps it; the device need not be there. With --from and --until it is static at these times
    /// alone, for example for a weekly net: `bmctl subscribe 262137 91 --days tue --from 19:00 --until 21:00`. All
    /// times are UTC.
    Subscribe(Subscribe),
    /// Take a static talkgroup from a repeater or hotspot, with all its times
    Unsubscribe {
        /// The device's ID
        id: u32,
        /// The talkgroup
        talkgroup: u32,
        #[command(flatten)]
        slot: OneSlot,
    },
    /// End the calls that a repeater sends or hears
    DropCall(AnySlot),
    /// End the dynamic talkgroups of a repeater
    DropDynamic(AnySlot),
    /// Keep a radio or device out: its calls and logins are refused, and it is thrown out
    ///
    /// A hotspot with nine digits is banned with its first seven. A ban outlives restarts; another one of the same ID
    /// takes its place.
    Ban {
        /// The ID of a radio, repeater or hotspot
        id: u32,
        /// For how long, e.g. 30m, 1h or 2d [default: until it is lifted]
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        /// Why: shown by `bmctl bans`
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Lift a ban
    Unban {
        /// The ID
        id: u32,
    },
    /// Show who is banned
    Bans(Json),
    /// Devices in the registry: their passwords, call signs and talkgroups
    #[command(subcommand)]
    Device(Device),
    /// Records of the registry, whatever they are of; files of them, and those of other programs
    #[command(subcommand)]
    Registry(Registry),
    /// Show the hosts that this one is joined with, and how well; or say how nodes are reached
    ///
    /// Below each host are its nodes that workers here speak with: who does, how and where, whether it was heard lately, the time
    /// there and back and how much it varies, datagrams lost over the last 10 s, and what was sent and received
    /// (datagrams, bytes). Then what came of the calls of that host: the bursts of all workers here together.
    #[command(args_conflicts_with_subcommands = true)]
    Nodes {
        #[command(flatten)]
        json: Json,
        #[command(subcommand)]
        verb: Option<Nodes>,
    },
    /// Simulate repeaters against this cluster: a first proof, and a load generator
    ///
    /// Repeater i (from 0) has the ID 2501001 + i and listens on TS2 to talkgroup 25001 + i % TALKGROUPS; call k is
    /// made by repeater k. With --network, another network makes calls 0, 2, 4 and so on over OpenBridge, and should hear
    /// the others; the cluster needs it as a peer with these talkgroups. Says what was delivered, lost, reordered, duplicated, strayed or altered, and how long it
    /// took by the kernel's clock. Not for a cluster that serves real repeaters: devices of these IDs would lose their
    /// place, and listeners of these talkgroups, and of 91 with --demo, would hear it.
    Sim(Sim),
}

/// What can be started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restartable {
    /// A worker, by its number.
    Worker(u8),
    /// The services.
    Services,
}

impl std::str::FromStr for Restartable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "services" => Ok(Self::Services),
            number => number.parse().map(Self::Worker).map_err(|_| {
                "write the number of a worker as `bmctl status` shows it, or services".to_owned()
            }),
        }
    }
}

/// A time as it is written, e.g. 1h.
fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a number and a unit, e.g. 30m, 1h or 2d".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use schedule::{Day, Schedule};

    use super::*;

    fn verb(line: &str) -> Result<Verb, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.verb)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn talkgroups_at_times() {
        let Ok(Verb::Subscribe(always)) = verb("bmctl subscribe 262137 91") else { panic!() };
        assert_eq!(
            (always.id, always.talkgroup, always.slot.slot, always.schedule()),
            (262_137, 91, 2, None)
        );
        let net = "bmctl subscribe 262137 91 --slot 1 --days mon,TUE --from 19:00 --until 24:00";
        let Ok(Verb::Subscribe(net)) = verb(net) else { panic!() };
        let days = vec![Day::Mon, Day::Tue];
        let expected = Schedule { days, from: 19 * 60, until: 24 * 60, first: None, last: None };
        assert_eq!((net.slot.slot, net.schedule()), (1, Some(expected)));
        for bad in ["--slot 3", "--days mon", "--from 19:00", "--until 19:00", "--first 2026-03-01"] {
            assert!(verb(&format!("bmctl subscribe 262137 91 {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn places_of_nodes_have_a_port_of_their_own_or_the_usual_one() {
        let place = |text: &str| match verb(&format!("bmctl nodes set 7 udp {text}")) {
            Ok(Verb::Nodes { verb: Some(Nodes::Set { place: Some(place), .. }), .. }) => {
                Some((place.address, place.port))
            }
            _ => None,
        };
        let found = |address: &str, port| Some((address.to_owned(), port));
        assert_eq!(place("192.0.2.1:7"), found("192.0.2.1", 7));
        assert_eq!(place("node.example.org"), found("node.example.org", 54_000));
        assert_eq!(place("[2001:db8::1]:7"), found("2001:db8::1", 7));
        assert_eq!(place("2001:db8::1"), found("2001:db8::1", 54_000));
        for bad in ["192.0.2.1:x", "192.0.2.1:0", "[2001:db8::1", "[2001:db8::1]7"] {
            assert_eq!(place(bad), None, "{bad}");
        }
        assert!(verb("bmctl nodes set 7 pigeon x").is_err());
        let Ok(Verb::Nodes { json: Json { json: true }, verb: None }) = verb("bmctl nodes --json") else {
            panic!()
        };
        assert!(verb("bmctl nodes --json list").is_err());
        assert!(verb("bmctl registry list users").is_err());
        assert!(matches!(verb("bmctl registry list bans"), Ok(Verb::Registry(Registry::List { .. }))));
    }

    #[test]
    fn bans_and_switches() {
        let Ok(Verb::Ban { id: 7, time, reason }) = verb("bmctl ban 7 --for 2d --reason noise") else {
            panic!()
        };
        assert_eq!((time, &*reason), (Some(Duration::from_secs(2 * 86_400)), "noise"));
        assert!(verb("bmctl ban 7 --for 30").is_err());
        let single = |on: &str| match verb(&format!("bmctl device single 7 {on}")) {
            Ok(Verb::Device(Device::Single { on, .. })) => Some(on),
            _ => None,
        };
        assert_eq!([single("on"), single("off"), single("maybe")], [Some(true), Some(false), None]);
        let Ok(Verb::Lastheard { count: 5, json: Json { json: true } }) = verb("bmctl lastheard -n 5 --json")
        else {
            panic!()
        };
    }
}
