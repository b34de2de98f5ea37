//! What a resized picture has for any size and setting: the wanted shape, nothing enlarged unasked, no level from
//! outside the picture.

#![allow(clippy::unwrap_used, reason = "a test ends where anything fails")]

use picture::{Filter, Fit, Rejected, Resize, Rgb, Scaler, Sizing};
use proptest::prelude::*;

fn any_size() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![(1_u32..70, 1_u32..70), (1_u32..4, 1_u32..600), (1_u32..600, 1_u32..4)]
}

fn any_resize() -> impl Strategy<Value = Resize> {
    let fit = prop_oneof![Just(Fit::Squash), Just(Fit::ShortestEdgeCrop)];
    let filters = [Filter::Box, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];
    (1_u32..70, 1_u32..70, fit, prop::sample::select(filters.to_vec()), any::<bool>())
        .prop_map(|(height, width, fit, filter, enlarge)| Resize { height, width, fit, filter, enlarge })
}

/// Every pixel another colour, as far as there are so many.
fn picture((width, height): (u32, u32)) -> Rgb {
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x * 7, y * 5, x * y].map(|level| level as u8)));
    Rgb { width, height, pixels: pixels.collect() }
}

proptest! {
    #[test]
    fn what_comes_out_has_the_wanted_shape_or_was_too_small(size in any_size(), to in any_resize()) {
        let is_smaller = size.0 < to.width || size.1 < to.height;
        let sizing = Sizing::Resized(to);
        let mut target = vec![0; sizing.n_bytes()];
        match sizing.apply(&picture(size), &mut Scaler::default(), &mut target) {
            Ok(()) => {
                prop_assert!(to.enlarge || !is_smaller, "{size:?} was enlarged unasked");
                let resized = Scaler::default().resize(picture(size), &to).unwrap();
                prop_assert_eq!((resized.width, resized.height), (to.width, to.height));
                prop_assert_eq!(resized.pixels, target);
            }
            Err(Rejected::TooSmall { width, height, wanted_width, wanted_height }) => {
                prop_assert!(!to.enlarge && is_smaller);
                prop_assert_eq!((width, height, wanted_width, wanted_height), (size.0, size.1, to.width, to.height));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    /// Filters without negative weights are means: of levels that are there.
    #[test]
    fn a_mean_lies_between_what_it_is_of(size in any_size(), to in any_resize()) {
        let filter = if to.filter == Filter::Box { Filter::Box } else { Filter::Bilinear };
        let to = Resize { filter, enlarge: true, ..to };
        let before = picture(size);
        let resized = Scaler::default().resize(before.clone(), &to).unwrap();
        for channel in 0..3 {
            let levels = |pixels: &[u8]| pixels.iter().skip(channel).step_by(3).copied().collect::<Vec<_>>();
            let (before, after) = (levels(&before.pixels), levels(&resized.pixels));
            let (least, most) = (before.iter().min().unwrap(), before.iter().max().unwrap());
            prop_assert!(after.iter().all(|level| least <= level && level <= most));
        }
    }

    #[test]
    fn one_colour_stays_that_colour(size in any_size(), to in any_resize(), colour: [u8; 3]) {
        let (width, height) = size;
        let plain = Rgb { width, height, pixels: colour.repeat((width * height) as usize) };
        let resized = Scaler::default().resize(plain, &Resize { enlarge: true, ..to }).unwrap();
        prop_assert!(resized.pixels.chunks(3).all(|pixel| pixel == colour));
    }

    /// A crop keeps the shapes: of a picture that is wide, whole columns go at both ends, and no row.
    #[test]
    fn a_crop_of_the_same_height_takes_whole_columns_of_the_middle(height in 1_u32..40, width in 1_u32..40, more in 0_u32..40) {
        let before = picture((width + more, height));
        let (fit, filter) = (Fit::ShortestEdgeCrop, Filter::Bilinear);
        let cropped = Scaler::default().resize(before.clone(), &Resize { height, width, fit, filter, enlarge: false }).unwrap();
        // Half of an odd number lies between two columns; Python's `round` takes the even one.
        let left = [more / 2, more.div_ceil(2)].into_iter().find(|left| left % 2 == 0 || more % 2 == 0).unwrap() as usize;
        let rows = before.pixels.chunks((width + more) as usize * 3).map(|row| &row[left * 3..(left + width as usize) * 3]);
        prop_assert_eq!(cropped.pixels, rows.flatten().copied().collect::<Vec<_>>());
    }

    #[test]
    fn only_one_size_is_taken_where_nothing_is_resized(size in any_size(), height in 1_u32..70, width in 1_u32..70) {
        let sizing = Sizing::AsTheyAre { height, width };
        let mut target = vec![0; sizing.n_bytes()];
        let applied = sizing.apply(&picture(size), &mut Scaler::default(), &mut target);
        prop_assert_eq!(applied.is_ok(), size == (width, height));
        let exact = picture((width, height));
        sizing.apply(&exact, &mut Scaler::default(), &mut target).unwrap();
        prop_assert_eq!(target, exact.pixels);
    }
}
