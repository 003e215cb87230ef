//! What runs in the kernel and what here, in words.

use std::fmt::Write;

use super::Filter;
use super::ast::{EXPECTATION_KINDS, FLOW_KINDS};
use super::bpf::{Class, Program, widen};
use super::dump::{DumpPlan, Quirks};
use super::reduce::{Goal, reduce};

/// Group names by bit.
const GROUPS: [&str; 6] = ["NEW", "UPDATE", "DESTROY", "EXP_NEW", "EXP_UPDATE", "EXP_DESTROY"];

pub(crate) fn explain(filter: &Filter) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(filter, &mut out);
    out
}

fn write_all(filter: &Filter, out: &mut String) -> std::fmt::Result {
    if filter.is_everything() {
        return writeln!(out, "filter: none, every row passes");
    }
    writeln!(out, "filter: {filter}")?;
    let groups = filter.groups();
    let program = filter.bpf();
    writeln!(out, "\nevents")?;
    writeln!(out, "  asked for: {}", group_names(groups))?;
    if groups != 0 {
        // Only what the kernel may send is worth a word.
        if groups & 0b111 != 0 {
            events(filter, "flows", FLOW_KINDS, Class::Flow, program.as_ref(), out)?;
        }
        if groups & 0b11_1000 != 0 {
            events(filter, "expectations", EXPECTATION_KINDS, Class::Expectation, program.as_ref(), out)?;
        }
        match &program {
            Some(program) => writeln!(
                out,
                "  the kernel drops {} before they take room in the receive buffer (socket filter, {} instructions)",
                if program.complete { "all other rows" } else { "most other rows" },
                program.insns.len()
            )?,
            None => writeln!(out, "  the kernel drops nothing")?,
        }
    }
    writeln!(out, "\ndump of flows")?;
    plan(&filter.dump_plan(&Quirks::default()), filter.uses_event_kinds(), out)?;
    writeln!(out, "\ndump of expectations")?;
    plan(&filter.expectation_dump_plan(), filter.uses_event_kinds(), out)?;
    writeln!(out, "\nevery row that the kernel lets through is put to the whole filter here")
}

fn group_names(groups: u32) -> String {
    let names: Vec<_> = (0u32..)
        .zip(GROUPS)
        .filter(|(bit, _)| groups.checked_shr(*bit).is_some_and(|rest| rest & 1 == 1))
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() { "nothing, no event can pass".to_owned() } else { names.join(", ") }
}

fn events(
    filter: &Filter,
    what: &str,
    kinds: u16,
    class: Class,
    program: Option<&Program>,
    out: &mut String,
) -> std::fmt::Result {
    let goal = reduce(&filter.node, kinds);
    if goal == Goal::Const(true) {
        return writeln!(out, "  {what}: all pass");
    }
    for part in goal.conjuncts() {
        let place = match widen(part.clone(), class) {
            _ if program.is_none() => "here",
            (_, true) => "in the kernel",
            (Goal::Const(true), false) => "here",
            _ => "in the kernel in part, here exactly",
        };
        writeln!(out, "  {what}: {part}: {place}")?;
    }
    Ok(())
}

fn plan(plan: &DumpPlan, event_kinds: bool, out: &mut String) -> std::fmt::Result {
    if plan.nothing {
        return writeln!(
            out,
            "  no entry can pass{}",
            if event_kinds { ": entries of a dump are no events" } else { "" }
        );
    }
    if plan.kernel.is_empty() && plan.here.is_empty() {
        return writeln!(out, "  all pass");
    }
    for part in plan.kernel.iter().filter(|part| plan.here.iter().all(|(here, _)| here != *part)) {
        writeln!(out, "  {part}: in the kernel")?;
    }
    for (part, why) in &plan.here {
        let place = if plan.kernel.contains(part) { "in the kernel in part, here exactly" } else { "here" };
        writeln!(out, "  {part}: {place} ({why})")?;
    }
    Ok(())
}
