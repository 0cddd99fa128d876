//! What runs keep of their training: `metrics.jsonl`, and the same in TensorBoard's event file.

use common::{exit::Exit, head::Bundle};
use serde_json::Value;

use crate::{
    fixture::{Place, Recipe},
    json,
};

const EVENTS: &str = "events.out.tfevents.train-head";

/// (step, tag, value), in the order of the file.
type Scalars = Vec<(u64, String, f64)>;

/// Takes `count` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (front, rest) = bytes.split_at(count);
    *bytes = rest;
    front
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Fields of a message: number, and bytes or (of a varint) the value in eight bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            1 => take(&mut message, 8).to_vec(),
            5 => take(&mut message, 4).to_vec(),
            kind => {
                assert_eq!(kind, 2, "wire type");
                let length = varint(&mut message) as usize;
                take(&mut message, length).to_vec()
            }
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// CRC-32C by a table, masked as in record files.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))))
        .collect();
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize]
    });
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn scalars(file: &[u8]) -> Scalars {
    let mut rest = file;
    let mut scalars = Vec::new();
    let mut records = 0;
    while !rest.is_empty() {
        let length = take(&mut rest, 8);
        assert_eq!(take(&mut rest, 4), checksum(length));
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let message = take(&mut rest, length);
        assert_eq!(take(&mut rest, 4), checksum(message));
        let event = fields(message);
        let field = |number: u64| event.iter().find(|(own, _)| *own == number);
        assert!(field(1).is_some(), "wall time");
        if records == 0 {
            assert_eq!(field(3).unwrap().1, b"brain.Event:2");
        } else {
            let step = u64::from_le_bytes(field(2).unwrap().1[..].try_into().unwrap());
            for (_, value) in fields(&field(5).unwrap().1) {
                let value = fields(&value);
                let tag = String::from_utf8(value[0].1.clone()).unwrap();
                let number = f32::from_le_bytes(value[1].1[..].try_into().unwrap());
                scalars.push((step, tag, f64::from(number)));
            }
        }
        records += 1;
    }
    scalars
}

/// What `metrics.jsonl` says, as the event file should.
fn expected(lines: &str, pairs: &[(&str, &str)], step: &str) -> Scalars {
    let mut scalars = Vec::new();
    for (number, line) in lines.lines().map(json).enumerate() {
        let step = line[step].as_u64().unwrap_or(number as u64 + 1);
        scalars.extend(pairs.iter().map(|(tag, name)| {
            let value = line[*name].as_f64().unwrap() as f32;
            (step, (*tag).to_owned(), f64::from(value))
        }));
    }
    scalars
}

const EPOCH: [(&str, &str); 5] = [
    ("loss/train", "train_loss"),
    ("loss/validation", "val_loss"),
    ("accuracy/train", "train_accuracy"),
    ("accuracy/validation", "val_accuracy"),
    ("learning_rate", "learning_rate"),
];

fn check_epochs(place: &Place, run: &str) -> Scalars {
    let lines = String::from_utf8(place.read(&format!("{run}/metrics.jsonl"))).unwrap();
    let found = scalars(&place.read(&format!("{run}/{EVENTS}")));
    assert_eq!(found, expected(&lines, &EPOCH, "epoch"));
    found
}

#[test]
fn event_file_says_what_the_metrics_say_and_is_replaced_with_them() {
    let place = Place::with(&Recipe::usual());
    for (command, epochs) in [("linear", 7), ("mlp --hidden 8", 3)] {
        let options = "--overwrite --schedule cosine --patience 0";
        let line = format!("{command} @cache --out @run {options} --epochs {epochs}");
        place.run(&line, Exit::Success);
        assert_eq!(check_epochs(&place, "run").len(), 5 * epochs);
    }
    let line = "linear @cache --out @run --overwrite --solver lbfgs --c 0.01,1";
    place.run(line, Exit::Success);
    let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let pairs = [
        ("loss/validation", "validation_nll"),
        ("accuracy/validation", "validation_top1"),
        ("c", "value"),
    ];
    let found = scalars(&place.read(&format!("run/{EVENTS}")));
    assert_eq!(found, expected(&lines, &pairs, "none"));
    assert_eq!(found.len(), 6);
}

#[test]
fn best_run_of_a_sweep_has_the_history_of_its_training() {
    let place = Place::with(&Recipe::usual());
    let space = "learning_rate = [0.001, 0.01, 0.03]\nhidden = [0, 8]";
    std::fs::write(place.path("space.toml"), space).unwrap();
    let options = "--space @space.toml --search grid --epochs 6 --patience 0";
    place.run(
        &format!("sweep @cache --out @sweep {options}"),
        Exit::Success,
    );
    let run = Bundle::load(&place.path("sweep/best")).unwrap().record;
    assert_eq!(
        check_epochs(&place, "sweep/best").len(),
        5 * run.training.epochs as usize
    );
    let lines = String::from_utf8(place.read("sweep/best/metrics.jsonl")).unwrap();
    let best: Vec<Value> = lines
        .lines()
        .map(json)
        .filter(|line| line["best"] == true)
        .collect();
    assert_eq!(best.last().unwrap()["epoch"], run.training.best_epoch);
}
