//! Small caches with features that a head can learn.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{
    cache::{
        Cache, CacheReader, FeatureDtype, FeatureRow, FileFormat, Growth, Identity, Layer,
        PartIndex, Setup,
    },
    exit::Exit,
    random,
    source::{Listing, Sample, Split},
};
use rand::Rng;
use serde_json::json;

/// Features a row.
pub(crate) const WIDTH: usize = 16;

/// What a cache is to hold.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) classes: Vec<&'static str>,
    /// Class (−1: no label) and split of every row.
    pub(crate) rows: Vec<(i32, Split)>,
    pub(crate) weights: &'static str,
    pub(crate) backbone: &'static str,
    pub(crate) preprocessing: serde_json::Value,
    /// Rows of an image.
    pub(crate) views: u8,
    pub(crate) layer: (&'static str, Vec<usize>),
    pub(crate) format: FileFormat,
    pub(crate) dtype: FeatureDtype,
    /// Spread of a class around its centre, whose coordinates are in ±1.
    pub(crate) noise: f32,
    /// Rows that belong to a group.
    pub(crate) groups: Vec<(u64, &'static str)>,
    /// Rows with features of another kind.
    pub(crate) plants: Vec<(u64, Plant)>,
}

/// What the features of a row are instead of those of its class.
#[derive(Clone, Copy)]
pub(crate) enum Plant {
    /// Those of another row.
    CopyOf(u64),
    /// Those of another row, a little changed.
    NearTo(u64),
    /// Those that a row of this class has.
    LooksLike(i32),
    /// In a direction of its own.
    FarOff,
}

impl Recipe {
    /// Three classes, 40 training, 10 validation and 10 test rows of each.
    pub(crate) fn usual() -> Self {
        let split = |row: usize| match row % 6 {
            4 => Split::Val,
            5 => Split::Test,
            _ => Split::Train,
        };
        Self {
            classes: vec!["ant", "bee", "cat"],
            rows: (0..180)
                .map(|row| ((row / 6 % 3) as i32, split(row)))
                .collect(),
            weights: "one",
            backbone: "resnet18",
            preprocessing: json!({"crop": 224}),
            views: 1,
            layer: ("avgpool", vec![WIDTH]),
            format: FileFormat::Arrow,
            dtype: FeatureDtype::F32,
            noise: 0.8,
            groups: Vec::new(),
            plants: Vec::new(),
        }
    }

    /// Writes the cache into `folder`.
    pub(crate) fn write(&self, folder: &Path) {
        let (name, shape) = self.layer.clone();
        let identity = json!({
            "backbone": self.backbone, "weights": self.weights, "layers": [name],
            "preprocessing": self.preprocessing, "exif": "ignore", "decoder": "d", "precision": "f32",
            "dtype": self.dtype, "views": self.views,
        });
        let identity: Identity = serde_json::from_value(identity).unwrap();
        let listing = Listing {
            classes: self.classes.iter().map(ToString::to_string).collect(),
            samples: self.samples(),
        };
        let setup = Setup {
            identity,
            layers: vec![Layer {
                name: name.to_owned(),
                shape,
                dtype: self.dtype,
            }],
            listing: &listing,
            format: Some(self.format),
            part_rows: Some(50),
            growth: Growth::Forbid,
        };
        let cache = Cache::create_or_resume(folder, &setup).unwrap();
        for part in 0..cache.part_count() {
            let mut writer = cache.write_part(PartIndex(part)).unwrap();
            for row in cache.rows_of(PartIndex(part)) {
                let plan_row = row;
                let split = self.rows[row as usize].1;
                for view in 0..cache.manifest().views_of(split) {
                    let mut features = self.features(row);
                    // Views are alike, not the same.
                    features[0] += 0.1 * f32::from(view);
                    let layers = &[&features[..]];
                    writer
                        .push(FeatureRow {
                            plan_row,
                            view,
                            layers,
                        })
                        .unwrap();
                }
            }
            writer.commit().unwrap();
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let group = |row: usize| {
            let mut groups = self.groups.iter();
            groups.find_map(|(own, group)| (*own == row as u64).then(|| (*group).to_owned()))
        };
        let sample = |(row, &(label, split)): (usize, &(i32, Split))| Sample {
            uri: format!("{row:05}.jpg"),
            label,
            split,
            group: group(row),
            bytes: 1,
            problem: None,
        };
        self.rows.iter().enumerate().map(sample).collect()
    }

    fn features(&self, row: u64) -> Vec<f32> {
        let plant = self.plants.iter().find(|(planted, _)| *planted == row);
        match plant.map(|(_, plant)| *plant) {
            None => self.class_features(row, self.rows[row as usize].0),
            Some(Plant::CopyOf(other)) => self.features(other),
            Some(Plant::NearTo(other)) => {
                let mut values = self.features(other);
                values[0] += 1e-3;
                values
            }
            Some(Plant::LooksLike(label)) => self.class_features(row, label),
            Some(Plant::FarOff) => {
                let values = self.class_features(row, 1000 + row as i32);
                values.into_iter().map(|value| 50.0 * value).collect()
            }
        }
    }

    fn class_features(&self, row: u64, label: i32) -> Vec<f32> {
        let mut centre = random::stream(1, &format!("centre/{label}"));
        let mut noise = random::stream(1, &format!("noise/{row}"));
        let width = self.layer.1.iter().product();
        (0..width)
            .map(|_| {
                centre.random_range(-1.0..1.0) + self.noise * noise.random_range(-1.0..1.0_f32)
            })
            .collect()
    }
}

/// A folder with a cache in `cache`, for one test.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn with(recipe: &Recipe) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        recipe.write(&place.path("cache"));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Makes feature 5 of the first row of the usual cache NaN.
    pub(crate) fn damage_first_row(&self) {
        let folder = std::fs::read_dir(self.path("cache/avgpool")).unwrap();
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut bytes = std::fs::read(&files[0]).unwrap();
        let reader = CacheReader::open(&self.path("cache")).unwrap();
        let first = reader.batches("avgpool").unwrap().next().unwrap().unwrap();
        let mut values = vec![0.0; WIDTH];
        first.copy_row(0, &mut values);
        let needle: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        drop((first, reader));
        let place_of = bytes
            .windows(needle.len())
            .position(|window| window == needle);
        let start = place_of.unwrap() + 4 * 5;
        bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&files[0], bytes).unwrap();
    }

    /// The program on `line`, in which `@x` stands for the path of x in this folder.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_train-head"));
        command.args(
            line.split_whitespace()
                .map(|word| match word.strip_prefix('@') {
                    Some(name) => self.path(name).into_os_string(),
                    None => word.into(),
                }),
        );
        command
    }

    /// Runs `line` on `threads` threads, to a good end.
    pub(crate) fn run_on(&self, threads: &str, line: &str) {
        let mut command = self.command(line);
        let status = command.env("RAYON_NUM_THREADS", threads).status();
        assert!(status.unwrap().success());
    }

    /// Runs `line` until it has said `word`, sends `signal`, and checks how it ends.
    /// What it said on standard error.
    pub(crate) fn interrupt(
        &self,
        line: &str,
        word: &str,
        (signal, expected): (&str, Exit),
    ) -> String {
        self.disturb(line, word, expected, |child| {
            send(signal, child);
        })
    }

    /// Runs `line` until it has said `word`, does `act` with its process, and checks how it ends.
    /// What it said on standard error.
    pub(crate) fn disturb(
        &self,
        line: &str,
        word: &str,
        expected: Exit,
        act: impl FnOnce(u32),
    ) -> String {
        let mut child = self
            .command(line)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(word) {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        }
        act(child.id());
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected as i32));
        said
    }

    /// Runs `line` and checks how it ends.
    pub(crate) fn run(&self, line: &str, expected: Exit) -> Said {
        let output = self.command(line).output().unwrap();
        let said = Said {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert_eq!(
            output.status.code(),
            Some(expected as i32),
            "{line}\n{}",
            said.stderr
        );
        said
    }
}

/// What the program said.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Sends `signal` to the process `child`.
pub(crate) fn send(signal: &str, child: u32) {
    let kill = Command::new("kill")
        .args([signal, &child.to_string()])
        .status();
    assert!(kill.unwrap().success());
}
