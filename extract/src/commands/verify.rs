//! `extract verify`: recompute every checksum.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use anyhow::Result;
use common::{
    cache::{self, Cache, PartIndex, Report},
    exit::Exit,
    output::{print, print_json},
};

use crate::cli::VerifyArgs;

pub(super) fn run(args: &VerifyArgs) -> Result<Exit> {
    let directory = &args.cache.cache;
    let report = cache::verify(directory)?;
    if args.discard {
        let cache = Cache::open(directory)?;
        let parts: BTreeSet<u32> = report.damaged.iter().map(|damage| damage.part).collect();
        for part in parts {
            cache.discard(PartIndex(part))?;
        }
    }
    if args.cache.json {
        print_json(&report)?;
    } else {
        print(|output| write_report(output, &report, args))?;
    }
    Ok(if report.is_ok() {
        Exit::Success
    } else {
        Exit::Damage
    })
}

fn write_report(output: &mut dyn Write, report: &Report, args: &VerifyArgs) -> io::Result<()> {
    writeln!(output, "{} files are as recorded", report.ok_files)?;
    for damage in &report.damaged {
        writeln!(
            output,
            "damaged `{}`: {}",
            damage.path.display(),
            damage.problem
        )?;
    }
    if !report.missing_parts.is_empty() {
        writeln!(
            output,
            "{} parts are missing (resume with the same `extract run` command)",
            report.missing_parts.len()
        )?;
    }
    if !report.damaged.is_empty() {
        let remedy = if args.discard {
            "the damaged parts were discarded; resume with the same `extract run` command"
        } else {
            "discard the damaged parts with `extract verify --discard`, then resume with the same `extract run` command"
        };
        writeln!(output, "{remedy}")?;
    }
    Ok(())
}
