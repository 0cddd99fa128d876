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
