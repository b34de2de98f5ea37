//! What of single rows is in the report: the most confidently wrong pictures, the map, pairs alike in train and test.

use artifact::{ExamplesFacts, Split};
use head_report::{Duplicate, Duplicates, Map, MapPoint, Mistake, Mistakes, Named, Section, Thumbnail, Why};
use linear_head::{Standardiser, nearest, principal_plane};

use stage::count;

use crate::data::{Data, Rows};
use crate::head_error;
use crate::outputs::{probabilities, temperature};
use crate::pictures::Pictures;
use crate::report::{NOTHING_JUDGED, Sources, confusion, judged};

/// Wrong pictures shown.
const N_MISTAKES: usize = 24;
/// Points on the map.
const N_POINTS: usize = 1500;
/// Points of each class in colour at least, where there are so many classes that 1500 points are a few of each.
const N_OF_NAMED: usize = 60;
/// Pairs shown.
const N_PAIRS: usize = 12;
/// Cosine of standardised features from which a pair's pictures are compared.
const LEAST_SIMILARITY: f32 = 0.9;
/// A pair is one picture twice where its pixels differ, as a root mean square, by less than this share of the
/// picture's own contrast: what compression, a shift of colour or a small change of size leave (a correlation of 0.97).
const LARGEST_DIFFERENCE: f64 = 0.25;
/// Multiply-adds that looking for pairs may take, some seconds on two cores. Beyond it test rows are sampled.
const MOST_PRODUCTS: usize = 1 << 38;
/// Bytes of pictures held at once while pairs are compared, and the fewest pairs compared all the same.
const PICTURE_BYTES: usize = 128 << 20;
const FEWEST_COMPARED: usize = 100;

fn no_pictures() -> String {
    "The pictures are not at hand: give --examples with --no-classifier.".to_string()
}

pub(crate) fn mistakes(from: &Sources<'_>) -> anyhow::Result<Section<Mistakes>> {
    let Sources { trained, pictures, .. } = *from;
    let Some((split, scored, rows)) = judged(from) else { return Ok(Section::LeftOut(NOTHING_JUDGED.to_string())) };
    let Some(pictures) = pictures else { return Ok(Section::LeftOut(no_pictures())) };
    let probabilities = probabilities(scored.logits.view(), temperature(trained));
    let mut wrong: Vec<(usize, usize, f32)> = Vec::new();
    for (row, probabilities) in probabilities.outer_iter().enumerate() {
        // Of equal probabilities the first, as everywhere.
        let best = probabilities.iter().enumerate().fold(0, |b, (k, p)| if *p > probabilities[b] { k } else { b });
        if best != rows.labels[row] as usize {
            wrong.push((row, best, probabilities[best]));
        }
    }
    wrong.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    let n_wrong = wrong.len();
    wrong.truncate(N_MISTAKES);
    let ids: Vec<String> = wrong.iter().map(|(row, ..)| rows.ids[*row].clone()).collect();
    let thumbnails = thumbnails(pictures, &ids)?;
    let shown = wrong.into_iter().zip(thumbnails).zip(ids).map(|(((row, predicted, probability), picture), id)| {
        Mistake { picture, id, label: rows.labels[row] as usize, predicted, probability: f64::from(probability) }
    });
    Ok(Section::Shown(Mistakes { split, shown: shown.collect(), n_wrong }))
}

/// Test rows, or what there is, standardised by training rows.
pub(crate) fn map(from: &Sources<'_>) -> anyhow::Result<Section<Map>> {
    let Data { train, validation, test, .. } = from.data;
    let splits = [("test", test), ("validation", validation), ("training", train)];
    let Some((split, rows)) = splits.into_iter().find(|(_, rows)| rows.ids.len() > 2) else {
        return Ok(Section::LeftOut("There are fewer than three rows.".to_string()));
    };
    let mut n_rows = vec![0; from.facts.classes.len()];
    rows.labels.iter().for_each(|label| n_rows[*label as usize] += 1);
    let named = Named::choose(&n_rows, confusion(from).as_ref());
    let drawn = map_rows(rows, &named);
    let features = rows.features.select(&drawn)?.standardised(&standardiser(from.data)?)?;
    let plane = principal_plane(features.view(), from.settings.sweep.seed).map_err(head_error)?;
    let points = drawn.iter().zip(plane.coordinates.outer_iter());
    let points = points.map(|(row, at)| MapPoint { x: at[0], y: at[1], class: rows.labels[*row] as usize });
    let (points, n_rows) = (points.collect(), rows.ids.len());
    Ok(Section::Shown(Map { split, points, named, n_rows, explained: plane.explained }))
}

/// The rows on the map, in their order: a sample of all, and more of each class in colour where that leaves too few.
fn map_rows(rows: &Rows, named: &Named) -> Vec<usize> {
    let every: Vec<usize> = (0..rows.ids.len()).collect();
    let mut drawn = sample(&rows.ids, &every, N_POINTS, "map");
    if named.why != Why::All {
        for class in &named.classes {
            let members: Vec<usize> =
                every.iter().copied().filter(|row| rows.labels[*row] as usize == *class).collect();
            drawn.extend(sample(&rows.ids, &members, N_OF_NAMED, "map"));
        }
        drawn.sort_unstable();
        drawn.dedup();
    }
    drawn
}

/// Pairs of a training and a test picture that are nearly the same: found by features, confirmed by pixels. Features
/// alone do not do, since a backbone may see two pictures of a class as the same.
pub(crate) fn duplicates(from: &Sources<'_>) -> anyhow::Result<Section<Duplicates>> {
    let Sources { data, pictures, .. } = *from;
    if data.test.ids.is_empty() {
        return Ok(Section::LeftOut("There are no test rows.".to_string()));
    }
    let Some(pictures) = pictures else { return Ok(Section::LeftOut(no_pictures())) };
    let standardiser = standardiser(data)?;
    let n_compared = (MOST_PRODUCTS / data.train.features.view().len().max(1)).max(1);
    let every: Vec<usize> = (0..data.test.ids.len()).collect();
    let queries = sample(&data.test.ids, &every, n_compared, "duplicates");
    let found = nearest(
        data.test.features.select(&queries)?.standardised(&standardiser)?.view(),
        data.train.features.standardised(&standardiser)?.view(),
    );
    let found = found.map_err(head_error)?;
    let mut near: Vec<(usize, usize, f32)> = queries
        .iter()
        .zip(&found)
        .filter(|(_, n)| n.similarity >= LEAST_SIMILARITY)
        .map(|(test, n)| (*test, n.row, n.similarity))
        .collect();
    near.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    let n_near = near.len();
    let ExamplesFacts { height, width, .. } = pictures.facts();
    let bytes = 2 * (*height as usize * *width as usize * 3).max(1);
    near.truncate((PICTURE_BYTES / bytes).max(FEWEST_COMPARED));
    let rule = format!(
        "For each of {} of {} test rows the training row of most similar standardised features was looked up; the {} nearest \
         of {} pairs with a cosine of {LEAST_SIMILARITY} or more were compared pixel by pixel, and count as alike where they \
         differ by less than a quarter of the picture's own contrast. Test accuracy is too good by what such pairs add.",
        count(queries.len() as u64),
        count(data.test.ids.len() as u64),
        count(near.len() as u64),
        count(n_near as u64)
    );
    let mut ids: Vec<String> = near.iter().map(|n| data.test.ids[n.0].clone()).collect();
    ids.extend(near.iter().map(|n| data.train.ids[n.1].clone()));
    let mut thumbnails: Vec<Option<Thumbnail>> = thumbnails(pictures, &ids)?.into_iter().map(Some).collect();
    let mut train_pictures = thumbnails.split_off(near.len());
    let mut alike: Vec<Duplicate> = Vec::new();
    for (nth, (test, train, similarity)) in near.into_iter().enumerate() {
        let (Some(of_test), Some(of_train)) = (thumbnails[nth].take(), train_pictures[nth].take()) else { continue };
        let (difference, contrast) = compare(&of_test.rgb, &of_train.rgb);
        if difference > 0.0 && difference >= LARGEST_DIFFERENCE * contrast {
            continue;
        }
        alike.push(Duplicate {
            train: of_train,
            test: of_test,
            ids: (data.train.ids[train].clone(), data.test.ids[test].clone()),
            labels: (data.train.labels[train] as usize, data.test.labels[test] as usize),
            difference,
            similarity: f64::from(similarity),
        });
    }
    let n_pairs = alike.len();
    alike.sort_by(|a, b| a.difference.total_cmp(&b.difference).then_with(|| a.ids.cmp(&b.ids)));
    alike.truncate(N_PAIRS);
    Ok(Section::Shown(Duplicates { shown: alike, n_pairs, rule }))
}

/// Root mean square difference of two pictures, and the standard deviation of the first, both in grey levels.
fn compare(one: &[u8], other: &[u8]) -> (f64, f64) {
    let n = one.len().max(1) as f64;
    let square = one.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>() / n;
    let mean = one.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = one.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    (square.sqrt(), variance.sqrt())
}

fn standardiser(data: &Data) -> anyhow::Result<Standardiser> {
    Standardiser::fit(data.train.features.view()).map_err(head_error)
}

/// At most `n` of these rows, drawn by a hash of their ids, in their order.
fn sample(ids: &[String], among: &[usize], n: usize, key: &str) -> Vec<usize> {
    let mut order = among.to_vec();
    if order.len() > n {
        order.sort_by(|a, b| Split::position(&ids[*a], key).total_cmp(&Split::position(&ids[*b], key)).then(a.cmp(b)));
        order.truncate(n);
        order.sort_unstable();
    }
    order
}

/// The pictures of these ids, an id perhaps more than once.
fn thumbnails(pictures: &Pictures, ids: &[String]) -> anyhow::Result<Vec<Thumbnail>> {
    let mut unique: Vec<String> = ids.to_vec();
    unique.sort_unstable();
    unique.dedup();
    let pixels = pictures.of(&unique)?;
    let ExamplesFacts { height, width, .. } = *pictures.facts();
    let bytes = height as usize * width as usize * 3;
    let of = |id: &String| {
        let at = unique.binary_search(id).expect("every id is among the unique ones");
        Thumbnail { width, height, rgb: pixels[at * bytes..][..bytes].to_vec() }
    };
    Ok(ids.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_by_hand() {
        assert_eq!(compare(&[0, 0, 10, 10], &[0, 0, 10, 10]), (0.0, 5.0));
        assert_eq!(compare(&[4, 4, 4, 4], &[1, 7, 1, 7]), (3.0, 0.0));
    }

    #[test]
    fn a_sample_keeps_the_order_and_a_smaller_one_lies_within() {
        let ids: Vec<String> = (0..50).map(|i| format!("r{i}")).collect();
        let every: Vec<usize> = (0..50).collect();
        let (few, more) = (sample(&ids, &every, 10, "k"), sample(&ids, &every, 30, "k"));
        assert!(few.is_sorted() && few.len() == 10 && few.iter().all(|row| more.contains(row)));
        assert_eq!(sample(&ids, &every, 50, "k"), every);
        assert!(sample(&ids, &[3, 9, 20, 41], 2, "k").iter().all(|row| [3, 9, 20, 41].contains(row)));
    }

    #[test]
    fn classes_in_colour_have_more_points_than_a_sample_leaves_them() {
        let (n, n_classes) = (20_000, 200);
        let rows = Rows {
            ids: (0..n).map(|i| format!("r{i}")).collect(),
            labels: (0..n as u32).map(|i| i % n_classes).collect(),
            features: ndarray::Array2::zeros((n, 1)).into(),
        };
        let named = Named { classes: vec![7, 150], why: Why::Confused };
        let drawn = map_rows(&rows, &named);
        let of = |class: u32| drawn.iter().filter(|row| rows.labels[**row] == class).count();
        assert_eq!((of(7), of(150)), (N_OF_NAMED, N_OF_NAMED));
        assert!(of(8) < 30 && drawn.len() < N_POINTS + 2 * N_OF_NAMED && drawn.is_sorted());
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "a row is drawn twice");
        assert_eq!(map_rows(&rows, &Named { classes: vec![7], why: Why::All }).len(), N_POINTS);
    }
}
