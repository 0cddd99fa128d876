use super::*;

fn rows(digests: &[u64]) -> Vec<RowInfo> {
    let info = |(id, &digest)| RowInfo {
        id: id as u64,
        view: 0,
        split: Split::None,
        digest,
    };
    digests.iter().enumerate().map(info).collect()
}

fn draw<'a>(labels: &'a [u32], rows: &'a [RowInfo]) -> Draw<'a> {
    Draw {
        labels,
        targets: None,
        rows,
        group: Box::new(|_| None),
        fraction: 0.25,
        seed: 1,
    }
}

fn classes(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("c{class}")).collect()
}

fn message(result: Result<Partition, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, Exit::Input);
    failure.to_string()
}

#[test]
fn drawn_split_has_the_same_share_of_every_class() {
    let labels: Vec<u32> = (0..120).map(|row| u32::from(row >= 40)).collect();
    let rows = rows(&(0..120).collect::<Vec<_>>());
    let parts = partition(&draw(&labels, &rows), &classes(2)).unwrap();
    assert_eq!(parts.origin, Origin::Drawn);
    assert_eq!(count(&labels, &parts.validation, 2), [10, 20]);
    assert_eq!(parts.train.len() + parts.validation.len(), 120);
    assert_eq!(
        parts,
        partition(&draw(&labels, &rows), &classes(2)).unwrap()
    );
    let other = Draw {
        seed: 2,
        ..draw(&labels, &rows)
    };
    assert_ne!(parts, partition(&other, &classes(2)).unwrap());
}

#[test]
fn duplicates_groups_and_views_never_straddle() {
    let labels: Vec<u32> = (0..90).map(|row| row % 3).collect();
    let mut rows = rows(&(0..90).map(|row| row / 6).collect::<Vec<_>>());
    for (row, info) in rows.iter_mut().enumerate() {
        info.id = 200 + row as u64 / 2;
        info.view = (row % 2) as u8;
    }
    let names: Vec<String> = (0..30).map(|group| format!("g{group}")).collect();
    let group = |id: u64| Some(names[(id - 200) as usize / 5].as_str());
    let draw = Draw {
        group: Box::new(group),
        ..draw(&labels, &rows)
    };
    let parts = partition(&draw, &classes(3)).unwrap();
    let key = |row: &u32| (rows[*row as usize].digest, group(rows[*row as usize].id));
    let trained: HashSet<_> = parts.train.iter().map(key).collect();
    let validated: HashSet<_> = parts.validation.iter().map(key).collect();
    assert!(trained.iter().all(|(digest, group)| {
        validated
            .iter()
            .all(|(other, others)| digest != other && group != others)
    }));
    assert!(
        parts
            .validation
            .iter()
            .all(|&row| rows[row as usize].view == 0)
    );
}

#[test]
fn class_with_one_image_is_trained_on_and_said() {
    let labels = [0, 0, 0, 0, 1];
    let rows = rows(&[1, 2, 3, 4, 5]);
    let parts = partition(&draw(&labels, &rows), &classes(2)).unwrap();
    assert!(parts.train.contains(&4));
    assert_eq!(parts.notes.len(), 1);
    assert!(
        parts.notes[0].contains("class `c1` has one image"),
        "{}",
        parts.notes[0]
    );
}

#[test]
fn split_of_the_source_is_kept_and_leaks_are_said() {
    let labels = [0, 1, 0, 1];
    let mut rows = rows(&[1, 2, 1, 3]);
    for (info, split) in rows
        .iter_mut()
        .zip([Split::Train, Split::Train, Split::Val, Split::Val])
    {
        info.split = split;
    }
    let parts = partition(&draw(&labels, &rows), &classes(2)).unwrap();
    assert_eq!((parts.train, parts.validation), (vec![0, 1], vec![2, 3]));
    assert_eq!(parts.origin, Origin::Source);
    assert!(
        parts.notes[0].starts_with("1 validation rows"),
        "{}",
        parts.notes[0]
    );
}

#[test]
fn what_cannot_be_trained_on_is_named() {
    let two = rows(&[1, 2]);
    assert!(message(partition(&draw(&[], &[]), &classes(0))).starts_with("no classes in the"));
    assert!(message(partition(&draw(&[0, 0], &two), &classes(1))).starts_with("1 class"));
    assert!(
        message(partition(&draw(&[0, 0], &two), &classes(2))).starts_with("class `c1` has no row")
    );
    assert!(message(partition(&draw(&[0, 1], &two), &classes(2))).starts_with("no row is left"));
    assert!(message(partition(&draw(&[], &[]), &classes(2))).starts_with("the training split"));
}

#[test]
fn folds_validate_every_row_once_with_the_same_share_of_every_class() {
    let labels: Vec<u32> = (0..90).map(|row| u32::from(row >= 30)).collect();
    // Rows 0 and 1, 2 and 3, … have the same features.
    let rows = rows(&(0..90).map(|row| row / 2).collect::<Vec<_>>());
    let parts = folds(&draw(&labels, &rows), &classes(2), 5).unwrap();
    let mut validated: Vec<u32> = parts
        .iter()
        .flat_map(|part| part.validation.clone())
        .collect();
    validated.sort_unstable();
    assert_eq!(validated, (0..90).collect::<Vec<_>>());
    for part in &parts {
        assert_eq!(count(&labels, &part.validation, 2), [6, 12]);
        assert_eq!(part.train.len(), 72);
        assert!(
            part.validation
                .iter()
                .all(|row| part.validation.contains(&(row ^ 1)))
        );
    }
    assert_eq!(parts, folds(&draw(&labels, &rows), &classes(2), 5).unwrap());
}

#[test]
fn fold_that_would_take_all_of_a_class_is_named() {
    let labels = [0, 0, 0, 0, 1];
    let rows = rows(&[1, 2, 3, 4, 5]);
    let failure = folds(&draw(&labels, &rows), &classes(2), 2).unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("fold 2 of 2: class `c1` has no row"),
        "{failure}"
    );
}

/// 60 rows in pairs of the same features, with flags of three classes: `rare` rows have the first,
/// all of them the second too, which others have as well; every fourth row has the third.
fn flags(rare: usize) -> (Vec<f32>, Vec<RowInfo>) {
    let values = (0..60).flat_map(|row| {
        let first = row % 10 == 0 && row / 10 < rare;
        let second = first || row % 3 == 0;
        [first, second, row % 4 == 0].map(|flag| f32::from(u8::from(flag)))
    });
    (
        values.collect(),
        rows(&(0..60).map(|row| row / 2).collect::<Vec<_>>()),
    )
}

fn positives(values: &[f32], rows: &[u32], class: usize) -> usize {
    let flag = |row: &&u32| values[**row as usize * 3 + class] > 0.5;
    rows.iter().filter(flag).count()
}

#[test]
fn rare_positives_are_never_all_taken_for_validation() {
    for (rare, seed) in [1, 2, 3]
        .iter()
        .flat_map(|rare| (0..50).map(move |seed| (*rare, seed)))
    {
        let (values, infos) = flags(rare);
        let draw = Draw {
            targets: Some(Targets {
                values: &values,
                task: TaskKind::MultiLabel,
            }),
            fraction: 0.4,
            seed,
            ..draw(&[0; 60], &infos)
        };
        let parts = partition(&draw, &classes(3)).unwrap();
        for class in 0..3 {
            assert!(positives(&values, &parts.train, class) > 0, "{rare} {seed}");
        }
        let validated = positives(&values, &parts.validation, 0);
        assert_eq!(validated, [0, 1, 1][rare - 1], "{rare} {seed}");
        match (rare, folds(&draw, &classes(3), 3)) {
            (1, parts) => {
                let message = parts.unwrap_err().to_string();
                assert!(
                    message.contains("class `c0` has no row in the training"),
                    "{message}"
                );
            }
            (_, parts) => {
                let counts = parts.unwrap();
                let counts = counts
                    .iter()
                    .map(|part| positives(&values, &part.validation, 0));
                let mut counts: Vec<usize> = counts.collect();
                counts.sort_unstable();
                assert_eq!(counts, [[0, 1, 1], [1, 1, 1]][rare - 2], "{seed}");
            }
        }
    }
}

#[test]
fn class_that_is_only_found_beside_rarer_ones_stays_in_training() {
    // Units: a with b, a with b, b, a with c, c, and some without a class. All of a could be drawn as rows of b and c.
    let values = [
        [1.0, 1.0, 0.0],
        [1.0, 1.0, 0.0],
        [0.0, 1.0, 0.0],
        [1.0, 0.0, 1.0],
        [0.0, 0.0, 1.0],
        [0.0; 3],
        [0.0; 3],
        [0.0; 3],
    ];
    // The order of the classes decides whom equally rare ones go with.
    for order in [[0, 1, 2], [1, 2, 0], [2, 1, 0]] {
        let values: Vec<f32> = values
            .iter()
            .flat_map(|row| order.map(|class| row[class]))
            .collect();
        let infos = rows(&[1, 2, 3, 4, 5, 6, 7, 8]);
        for seed in 0..100 {
            let draw = Draw {
                targets: Some(Targets {
                    values: &values,
                    task: TaskKind::MultiLabel,
                }),
                fraction: 0.7,
                seed,
                ..draw(&[0; 8], &infos)
            };
            partition(&draw, &classes(3)).unwrap();
            folds(&draw, &classes(3), 2).unwrap();
        }
    }
}
