//! `extract status`: how far a cache is, and what was rejected.

use std::io::{self, Write};

use anyhow::Result;
use common::{
    cache::{self, CacheReader, Completeness},
    exit::Exit,
};
use serde_json::json;

use super::print_json;
use crate::cli::CacheArgs;

pub(super) fn run(args: &CacheArgs) -> Result<Exit> {
    let status = cache::status(&args.cache)?;
    let reader = CacheReader::open_with(&args.cache, Completeness::Partial)?;
    let manifest = reader.manifest();
    if args.json {
        print_json(&json!({ "manifest": manifest, "status": status }))?;
        return Ok(Exit::Success);
    }
    let mut output = io::stdout().lock();
    let identity = &manifest.identity;
    writeln!(output, "cache        {}", args.cache.display())?;
    writeln!(
        output,
        "features     {} {} of {}, {} {}",
        identity.backbone,
        identity.layers.join(", "),
        identity.precision,
        manifest.format,
        identity.dtype
    )?;
    writeln!(output, "fingerprint  {}", manifest.fingerprint)?;
    writeln!(output, "classes      {}", manifest.classes.len())?;
    writeln!(
        output,
        "images       {} of {}",
        status.done_rows, status.rows
    )?;
    writeln!(
        output,
        "parts        {} of {}",
        status.done_parts, status.parts
    )?;
    writeln!(output, "bytes        {}", status.bytes)?;
    writeln!(output, "rejects      {}", status.rejects.len())?;
    for reject in &status.rejects {
        writeln!(
            output,
            "  {} `{}`: {}",
            reject.id, reject.uri, reject.reason
        )?;
    }
    Ok(Exit::Success)
}
