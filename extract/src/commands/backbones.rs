//! `extract backbones`: the registry as a table or JSON.

use std::io::{self, Write};

use anyhow::Result;
use common::{
    backbone::registry::{self, Entry},
    exit::Exit,
    output::{print, print_json},
};
use serde::Serialize;

use crate::cli::BackbonesArgs;

#[derive(Serialize)]
struct Row {
    name: &'static str,
    weights: &'static str,
    embedded: bool,
    preprocessing: common::image::Preprocess,
    layers: Vec<LayerRow>,
}

#[derive(Serialize)]
struct LayerRow {
    name: String,
    shape: Vec<usize>,
}

pub(super) fn run(args: &BackbonesArgs) -> Result<Exit> {
    let rows: Vec<Row> = registry::entries().iter().map(Row::new).collect();
    if args.json {
        print_json(&rows)?;
    } else {
        print(|output| write_table(output, &rows))?;
    }
    Ok(Exit::Success)
}

impl Row {
    fn new(entry: &Entry) -> Self {
        let preprocessing = entry.preprocess();
        let network = entry.network();
        let side = preprocessing.crop as usize;
        let shapes = network.shapes(side, side);
        let layers = network.stages().iter().map(|stage| LayerRow {
            name: stage.name.clone(),
            shape: shapes[stage.output.0].dimensions(),
        });
        Self {
            name: entry.name,
            weights: entry.origin,
            embedded: entry.embedded.is_some(),
            preprocessing,
            layers: layers.collect(),
        }
    }
}

fn write_table(output: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    for row in rows {
        writeln!(output, "{}", row.name)?;
        writeln!(output, "  weights        {}", row.weights)?;
        writeln!(output, "  preprocessing  {}", row.preprocessing)?;
        let layers: Vec<String> = row.layers.iter().map(LayerRow::describe).collect();
        writeln!(output, "  layers         {}", layers.join("  "))?;
    }
    Ok(())
}

impl LayerRow {
    fn describe(&self) -> String {
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        format!("{} {}", self.name, shape.join("×"))
    }
}
