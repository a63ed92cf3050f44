//! System calls, by seccomp.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::calls::Call;

/// Families of sockets that can be made where calls allow any: no packets, and nothing of the kernel's own.
pub(crate) const ALL: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
/// Those that lead to other hosts.
pub(crate) const INTERNET: &[libc::c_int] = &[libc::AF_INET, libc::AF_INET6];

/// From now on every call but these ends the process with SIGSYS, and so does a socket of another family.
pub(crate) fn restrict<'a>(calls: impl Iterator<Item = &'a Call>, families: &[libc::c_int]) -> String {
    match program(calls, families).and_then(|program| seccompiler::apply_filter(&program)) {
        Ok(()) => "seccomp".to_owned(),
        Err(error) => format!("no seccomp ({error})"),
    }
}

fn program<'a>(
    calls: impl Iterator<Item = &'a Call>,
    families: &[libc::c_int],
) -> Result<BpfProgram, seccompiler::Error> {
    let mut rules = BTreeMap::new();
    for call in calls {
        rules.insert(call.number, conditions(call.number, families)?);
    }
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)?;
    Ok(filter.try_into()?)
}

/// What the arguments of an allowed call have to be, one rule or another; nothing where they may be anything.
fn conditions(call: i64, families: &[libc::c_int]) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let rule = |argument, operation, value| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)?;
        SeccompRule::new(vec![condition])
    };
    match call {
        // Code has been there since the start, and there will be no more.
        libc::SYS_mmap | libc::SYS_mprotect => {
            let executable = libc::PROT_EXEC.unsigned_abs().into();
            Ok(vec![rule(2, SeccompCmpOp::MaskedEq(executable), 0)?])
        }
        libc::SYS_socket => {
            let families = families.iter().map(|family| family.unsigned_abs());
            let rules = families.map(|family| rule(0, SeccompCmpOp::Eq, family.into()));
            Ok(rules.collect::<Result<_, _>>()?)
        }
        _ => Ok(Vec::new()),
    }
}
