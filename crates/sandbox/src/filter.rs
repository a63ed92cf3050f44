//! System calls, by seccomp.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::calls::Call;

/// From now on every call but these ends the process with SIGSYS.
pub(crate) fn restrict(calls: &[Call]) -> String {
    match program(calls).and_then(|program| seccompiler::apply_filter(&program)) {
        Ok(()) => "seccomp".to_owned(),
        Err(error) => format!("no seccomp ({error})"),
    }
}

fn program(calls: &[Call]) -> Result<BpfProgram, seccompiler::Error> {
    let mut rules = BTreeMap::new();
    for call in calls {
        rules.insert(call.number, conditions(call.number)?);
    }
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)?;
    Ok(filter.try_into()?)
}

/// What the arguments of an allowed call have to be; nothing where they may be anything.
fn conditions(call: i64) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    if call != libc::SYS_mmap && call != libc::SYS_mprotect {
        return Ok(Vec::new());
    }
    // Code has been there since the start, and there will be no more.
    let executable = libc::PROT_EXEC.unsigned_abs().into();
    let protection =
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
    Ok(vec![SeccompRule::new(vec![protection])?])
}
