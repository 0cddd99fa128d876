//! `extract status`: how far a cache is, what was rejected, what is damaged.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::Result;
use common::{
    cache::{self, Cache, Manifest, Status},
    exit::Exit,
    output::{print, print_json},
};
use serde_json::json;

use crate::cli::CacheArgs;

pub(super) fn run(args: &CacheArgs) -> Result<Exit> {
    let cache = Cache::open(&args.cache)?;
    let status = cache::status(&cache)?;
    let manifest = cache.manifest();
    if args.json {
        print_json(&json!({ "manifest": manifest, "status": status }))?;
    } else {
        print(|output| {
            write_features(output, &args.cache, manifest)?;
            write_status(output, &args.cache, &status)
        })?;
    }
    Ok(Exit::Success)
}

fn write_features(output: &mut dyn Write, cache: &Path, manifest: &Manifest) -> io::Result<()> {
    let identity = &manifest.identity;
    writeln!(output, "cache        {}", cache.display())?;
    writeln!(
        output,
        "features     {} {} of {}, {} {}",
        identity.backbone,
        identity.layers.join(", "),
        identity.precision,
        manifest.format,
        identity.dtype
    )?;
    if let (Some(augment), Some(seed)) = (&identity.augment, identity.seed) {
        let views = identity.views;
        writeln!(
            output,
            "views        {views} of each training image: one plain, {} by {augment}, seed {seed}",
            views - 1
        )?;
    }
    writeln!(output, "fingerprint  {}", manifest.fingerprint)?;
    writeln!(output, "classes      {}", manifest.classes.len())
}

fn write_status(output: &mut dyn Write, cache: &Path, status: &Status) -> io::Result<()> {
    writeln!(
        output,
        "inputs       {} of {}",
        status.done_rows, status.rows
    )?;
    writeln!(
        output,
        "parts        {} of {}",
        status.done_parts, status.parts
    )?;
    writeln!(output, "bytes        {}", status.bytes)?;
    writeln!(output, "images       {}", status.images())?;
    writeln!(output, "rejects      {}", status.rejects.len())?;
    for reject in &status.rejects {
        writeln!(
            output,
            "  {} `{}`: {}",
            reject.id, reject.uri, reject.reason
        )?;
    }
    if !status.damaged.is_empty() {
        writeln!(output, "damaged      {}", status.damaged.len())?;
        for damage in &status.damaged {
            writeln!(
                output,
                "  {} `{}`: {}",
                damage.part,
                damage.path.display(),
                damage.problem
            )?;
        }
        writeln!(
            output,
            "find all damage with `extract verify {}`, then redo the parts with the same `extract run` command",
            cache.display()
        )?;
    }
    Ok(())
}
