//! Class folders, also below split folders, as torchvision's `ImageFolder`
//! reads them; and flat folders of unlabelled images.

use std::{collections::BTreeMap, path::Path};

use super::{
    Listing, Sample, SourceError, Split, UNLABELLED,
    directory::{Directory, Entry, Identity, Others, Walk},
    names,
};
use crate::interrupt::Interrupt;

/// Lists the images below `root`, in no particular order, unless `interrupt`
/// is set before the end.
pub(super) fn list(root: &Path, interrupt: &Interrupt) -> Result<Listing, SourceError> {
    let walk = Walk { root, interrupt };
    let top = walk.read(root)?;
    if top.is_empty() {
        return Err(SourceError::Empty(root.to_owned()));
    }
    let mut collector = Collector::new(walk, top.identity);
    match layout_of(walk, &top)? {
        Layout::Splits => {
            refuse_mixture(&top)?;
            for (entry, split) in top
                .folders
                .iter()
                .filter_map(|entry| Some((entry, entry.split()?)))
            {
                collector.classes_or_flat(&walk.read(&entry.path)?, split)?;
            }
            collector.others.append(&mut top.others.clone());
        }
        Layout::Classes => collector.classes_or_flat(&top, Split::None)?,
    }
    collector.finish()
}

enum Layout {
    Splits,
    Classes,
}

/// Folders are splits when all of them are named so. One split name among class
/// names is a class (`train`, between `bus` and `car`) unless it holds folders.
fn layout_of(walk: Walk<'_>, top: &Directory) -> Result<Layout, SourceError> {
    let other = top.folders.iter().find(|entry| entry.split().is_none());
    let Some(other) = other else {
        return Ok(if top.folders.is_empty() {
            Layout::Classes
        } else {
            Layout::Splits
        });
    };
    for entry in top.folders.iter().filter(|entry| entry.split().is_some()) {
        let inner = walk.read(&entry.path)?;
        if inner.images.is_empty() && !inner.folders.is_empty() {
            return Err(SourceError::MixedSplits {
                path: top.path.clone(),
                split: names::escaped(&entry.name),
                other: names::escaped(&other.name),
            });
        }
    }
    Ok(Layout::Classes)
}

fn refuse_mixture(directory: &Directory) -> Result<(), SourceError> {
    match (directory.images.first(), directory.folders.first()) {
        (Some(image), Some(folder)) => Err(SourceError::Mixed {
            path: directory.path.clone(),
            image: names::escaped(&image.name),
            folder: names::escaped(&folder.name),
        }),
        _ => Ok(()),
    }
}

/// Gathers samples; their labels are positions in `classes` until
/// [`Collector::finish`] sorts the names.
struct Collector<'a> {
    walk: Walk<'a>,
    root_identity: Identity,
    classes: Vec<Class>,
    positions: BTreeMap<String, usize>,
    samples: Vec<Sample>,
    others: Others,
}

#[derive(Default)]
struct Class {
    images: u64,
    others: Others,
}

impl<'a> Collector<'a> {
    fn new(walk: Walk<'a>, root_identity: Identity) -> Self {
        Self {
            walk,
            root_identity,
            classes: Vec::new(),
            positions: BTreeMap::new(),
            samples: Vec::new(),
            others: Others::new(),
        }
    }

    fn classes_or_flat(&mut self, directory: &Directory, split: Split) -> Result<(), SourceError> {
        refuse_mixture(directory)?;
        self.others.append(&mut directory.others.clone());
        for image in &directory.images {
            self.push(image, UNLABELLED, split);
        }
        for folder in &directory.folders {
            let class = self.class(names::escaped(&folder.name));
            let inner = self.walk.read(&folder.path)?;
            // Above a split folder lie the other splits: a link to there must end too.
            let mut above = vec![self.root_identity, directory.identity];
            self.descend(&inner, class, split, &mut above)?;
        }
        Ok(())
    }

    fn class(&mut self, name: String) -> usize {
        *self.positions.entry(name).or_insert_with(|| {
            self.classes.push(Class::default());
            self.classes.len() - 1
        })
    }

    /// Takes every image at or below `directory`. A link back to a folder above
    /// is skipped: what lies there is taken once already.
    fn descend(
        &mut self,
        directory: &Directory,
        class: usize,
        split: Split,
        above: &mut Vec<Identity>,
    ) -> Result<(), SourceError> {
        if above.contains(&directory.identity) {
            return Ok(());
        }
        // Labels are i32; so many folders do not fit a file system's directory.
        let label = i32::try_from(class).unwrap_or(i32::MAX);
        for image in &directory.images {
            self.push(image, label, split);
            self.classes[class].images += 1;
        }
        for (kind, count) in &directory.others {
            *self.classes[class].others.entry(kind.clone()).or_default() += count;
        }
        above.push(directory.identity);
        for folder in &directory.folders {
            self.descend(&self.walk.read(&folder.path)?, class, split, above)?;
        }
        above.pop();
        Ok(())
    }

    fn push(&mut self, image: &Entry, label: i32, split: Split) {
        let relative = image
            .path
            .strip_prefix(self.walk.root)
            .unwrap_or(&image.path);
        self.samples.push(Sample {
            uri: names::escaped(relative.as_os_str()),
            label,
            split,
            group: None,
            bytes: image.bytes,
            problem: names::problem_of(relative.as_os_str()),
        });
    }

    fn finish(mut self) -> Result<Listing, SourceError> {
        if self.samples.is_empty() {
            for class in &self.classes {
                for (kind, count) in &class.others {
                    *self.others.entry(kind.clone()).or_default() += count;
                }
            }
            return Err(SourceError::NoImages {
                path: self.walk.root.to_owned(),
                found: summary(&self.others),
            });
        }
        let empty = self
            .positions
            .iter()
            .find(|&(_, &position)| self.classes[position].images == 0);
        if let Some((name, &position)) = empty {
            return Err(SourceError::EmptyClass {
                path: self.walk.root.to_owned(),
                class: name.clone(),
                found: summary(&self.classes[position].others),
            });
        }
        let mut labels = vec![UNLABELLED; self.classes.len()];
        for (label, &position) in (0..).zip(self.positions.values()) {
            labels[position] = label;
        }
        for sample in &mut self.samples {
            if let Some(&label) = usize::try_from(sample.label)
                .ok()
                .and_then(|position| labels.get(position))
            {
                sample.label = label;
            }
        }
        Ok(Listing {
            classes: self.positions.into_keys().collect(),
            samples: self.samples,
        })
    }
}

fn summary(others: &Others) -> String {
    if others.is_empty() {
        return "no files".to_owned();
    }
    let counts: Vec<_> = others
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    counts.join(", ")
}
