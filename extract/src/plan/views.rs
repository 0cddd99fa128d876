//! `--views` and `--augment`, checked.

use common::{
    cache::Identity,
    exit::UsageError,
    image::{Augmentation, DecodeMode},
};

use crate::cli::RunArgs;

/// Most augmented views of an image: with the plain one, as many as a byte counts.
pub const MOST_VIEWS: u8 = u8::MAX - 1;

/// The augmented views of each training image; view 0 is the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Views {
    /// How many, from 1 to [`MOST_VIEWS`].
    pub count: u8,
    /// What they look like.
    pub augmentation: Augmentation,
}

impl Views {
    /// What the options ask for.
    ///
    /// # Errors
    /// One of `--views` and `--augment` without the other, or a decoding that has
    /// only the centre of a picture.
    pub(super) fn of(args: &RunArgs) -> Result<Option<Self>, UsageError> {
        let refuse = |problem: &str| Err(UsageError(problem.to_owned()));
        match (args.views, args.augment) {
            (None, None) => Ok(None),
            (Some(_), None) => {
                refuse("--views needs to know how they are made (add --augment crop-flip)")
            }
            (None, Some(_)) => refuse("--augment needs to know how many views (add --views 4)"),
            (Some(_), Some(_)) if args.image.decode == DecodeMode::Fast => refuse(
                "--decode fast makes pictures as small as the plain view allows, augmented views need all of it (use --decode exact)",
            ),
            (Some(count), Some(augment)) => Ok(Some(Self {
                count,
                augmentation: Augmentation {
                    augment,
                    seed: args.seed,
                },
            })),
        }
    }

    /// The identity of a cache with these views, given that of their plain features.
    pub fn identity(views: Option<Self>, plain: Identity) -> Identity {
        match views {
            None => plain,
            Some(views) => Identity {
                views: views.count + 1,
                augment: Some(views.augmentation.augment.recipe().to_owned()),
                seed: Some(views.augmentation.seed),
                ..plain
            },
        }
    }
}
