//! The two directions in which features vary most, for a map that people can look at.
//!
//! Nothing here takes part in training: a map may show clusters that a head cannot use, and the reverse.

use ndarray::{Array2, ArrayView2, Axis};
use rand::Rng;

use crate::draws::stream;
use crate::split::check_finite;
use crate::{Error, Result};

/// Directions on the map.
const N_SHOWN: usize = 2;
/// Directions that are iterated beside them, so that a third one of nearly the same variance does not slow things down.
const N_SPARE: usize = 6;
/// Iterations at most: 500 leave an error below 1e-3 even where the spare directions help by 1 % only.
const MAX_STEPS: usize = 500;
/// A relative change of the variances below which the directions have come to rest. Variances are good to the square
/// of the directions' error.
const AT_REST: f64 = 1e-13;
/// The stream of the starting directions: beyond those of epochs, which count up from 1.
const START: u64 = u64::MAX;

/// Rows seen from their two principal directions.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalPlane {
    /// f64 `[n, 2]`: (x − μ) · v₁ and (x − μ) · v₂.
    pub coordinates: Array2<f64>,
    /// The share of the total variance that each direction carries, in `[0, 1]`, the larger first.
    pub explained: [f64; N_SHOWN],
}

/// Principal component analysis of f32 `[n, feature_dim]` to two dimensions: v₁ and v₂ are the eigenvectors of largest
/// eigenvalue of Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ / n, found by subspace iteration with Rayleigh–Ritz steps (Golub & Van Loan,
/// *Matrix Computations*, 4th ed., §8.2.4) on eight directions that `seed` draws.
///
/// Each direction's entry of largest size is positive, so that a map is never mirrored from one run to the next. Rows
/// of less than two dimensions get 0 as their second coordinate. Takes 16 · n · feature_dim multiply-adds a step, a
/// few tens of steps, and a centred copy in f64. No threads, so no sum depends on their number.
///
/// # Errors
/// [`Error::EmptySplit`] for no rows or no columns, [`Error::NonFinite`] for a NaN or infinity.
pub fn principal_plane(features: ArrayView2<'_, f32>, seed: u64) -> Result<PrincipalPlane> {
    if features.is_empty() {
        return Err(Error::EmptySplit { split: "mapped" });
    }
    check_finite("mapped", features)?;
    let mut centred = features.mapv(f64::from);
    let mean = centred.mean_axis(Axis(0)).expect("there is a row");
    centred -= &mean;
    let (n, dim) = centred.dim();
    let total = centred.iter().map(|x| x * x).sum::<f64>() / n as f64;
    let n_directions = (N_SHOWN + N_SPARE).min(dim);
    let mut rng = stream(seed, START);
    let mut directions = Array2::from_shape_simple_fn((n_directions, dim), || {
        (rng.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    });
    orthonormalise(&mut directions);
    let mut before = 0.0;
    for _ in 0..MAX_STEPS {
        let seen = directions.dot(&centred.t());
        let (variances, rotation) = symmetric_eigen(seen.dot(&seen.t()) / n as f64);
        let leading: f64 = variances.iter().take(N_SHOWN).sum();
        let rotated = rotation.dot(&directions);
        if (leading - before).abs() <= AT_REST * leading {
            directions = rotated;
            break;
        }
        before = leading;
        directions = rotation.dot(&seen).dot(&centred);
        orthonormalise(&mut directions);
    }
    let mut plane = PrincipalPlane { coordinates: Array2::zeros((n, N_SHOWN)), explained: [0.0; N_SHOWN] };
    for (nth, direction) in directions.outer_iter().enumerate().take(N_SHOWN) {
        let largest = direction.iter().fold(0.0_f64, |best, x| if x.abs() > best.abs() { *x } else { best });
        let seen = centred.dot(&direction) * if largest < 0.0 { -1.0 } else { 1.0 };
        if total > 0.0 {
            plane.explained[nth] = seen.iter().map(|x| x * x).sum::<f64>() / n as f64 / total;
        }
        plane.coordinates.column_mut(nth).assign(&seen);
    }
    Ok(plane)
}

/// Gram–Schmidt over the rows, twice, since once leaves rounding that the next step would magnify. A row that lies in
/// the span of those before it becomes 0.
fn orthonormalise(rows: &mut Array2<f64>) {
    for nth in 0..rows.nrows() {
        let (before, mut rest) = rows.view_mut().split_at(Axis(0), nth);
        let mut row = rest.row_mut(0);
        let length = row.dot(&row).sqrt();
        for _ in 0..2 {
            for other in before.outer_iter() {
                let shared = row.dot(&other);
                row.scaled_add(-shared, &other);
            }
        }
        let left = row.dot(&row).sqrt();
        if left > 1e-12 * length { row /= left } else { row.fill(0.0) }
    }
}

/// Eigenvalues of a small symmetric matrix, largest first, with the eigenvectors as rows: cyclic Jacobi rotations
/// (Golub & Van Loan §8.5.3).
fn symmetric_eigen(mut a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut vectors = Array2::<f64>::eye(n);
    for _ in 0..60 {
        let off: f64 = (0..n).flat_map(|p| (0..p).map(move |q| (p, q))).map(|at| a[at] * a[at]).sum();
        if off <= 1e-32 * a.diag().iter().map(|x| x * x).sum::<f64>() {
            break;
        }
        for (p, q) in (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q))) {
            if a[[p, q]] == 0.0 {
                continue;
            }
            let tau = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
            let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
            let (c, s) = (1.0 / (1.0 + t * t).sqrt(), t / (1.0 + t * t).sqrt());
            for k in 0..n {
                let (x, y) = (a[[k, p]], a[[k, q]]);
                (a[[k, p]], a[[k, q]]) = (c * x - s * y, s * x + c * y);
            }
            for k in 0..n {
                let (x, y) = (a[[p, k]], a[[q, k]]);
                (a[[p, k]], a[[q, k]]) = (c * x - s * y, s * x + c * y);
                let (x, y) = (vectors[[p, k]], vectors[[q, k]]);
                (vectors[[p, k]], vectors[[q, k]]) = (c * x - s * y, s * x + c * y);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|x, y| a[[*y, *y]].total_cmp(&a[[*x, *x]]));
    (order.iter().map(|i| a[[*i, *i]]).collect(), vectors.select(Axis(0), &order))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn an_ellipse_lies_along_its_axes() {
        // Points ±3 along (3, 4)/5 and ±1 along (−4, 3)/5 around (10, 20), in a third dimension constant: variances are
        // 9/2 and 1/2, so shares 0.9 and 0.1, by hand.
        let features = array![[11.8, 22.4, 7.0], [8.2, 17.6, 7.0], [9.2, 20.6, 7.0], [10.8, 19.4, 7.0]];
        let plane = principal_plane(features.view(), 1).unwrap();
        let expected = array![[3.0, 0.0], [-3.0, 0.0], [0.0, -1.0], [0.0, 1.0]];
        for (found, expected) in plane.coordinates.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{}", plane.coordinates);
        }
        assert!((plane.explained[0] - 0.9).abs() < 1e-6 && (plane.explained[1] - 0.1).abs() < 1e-6);
    }

    fn waves() -> Array2<f32> {
        Array2::from_shape_fn((40, 12), |(i, j)| {
            let (x, y) = (i as f64, j as f64);
            (x.cos() * y + 2.0 * (2.0 * x).sin() * (j % 3) as f64 + 0.5 * (x * y).sin()) as f32
        })
    }

    #[test]
    fn variances_equal_numpy() {
        // numpy 2.4.6, of `waves`: u, s, v = svd(X - X.mean(0)); s**2 / sum(s**2), and the first row on v with the signs stated.
        let plane = principal_plane(waves().view(), 3).unwrap();
        assert!((plane.explained[0] - 0.936_599_847_357_425_9).abs() < 1e-9, "{:?}", plane.explained);
        assert!((plane.explained[1] - 0.059_954_254_031_358_98).abs() < 1e-9, "{:?}", plane.explained);
        assert!((plane.coordinates[[0, 0]] - 21.413_446_043).abs() < 1e-5, "{}", plane.coordinates.row(0));
        assert!((plane.coordinates[[0, 1]] + 1.938_090_477).abs() < 1e-5, "{}", plane.coordinates.row(0));
    }

    #[test]
    fn the_seed_starts_the_search_and_does_not_change_what_is_found() {
        let (one, other) = (principal_plane(waves().view(), 1).unwrap(), principal_plane(waves().view(), 2).unwrap());
        assert_eq!(one, principal_plane(waves().view(), 1).unwrap());
        assert!((&one.coordinates - &other.coordinates).iter().all(|d| d.abs() < 1e-4));
    }

    #[test]
    fn fewer_than_two_dimensions_and_none_at_all() {
        let plane = principal_plane(array![[1.0], [3.0]].view(), 0).unwrap();
        assert_eq!((plane.coordinates, plane.explained), (array![[-1.0, 0.0], [1.0, 0.0]], [1.0, 0.0]));
        let same = principal_plane(array![[1.0, 2.0], [1.0, 2.0]].view(), 0).unwrap();
        assert_eq!((same.coordinates, same.explained), (Array2::zeros((2, 2)), [0.0, 0.0]));
        assert!(principal_plane(Array2::zeros((0, 3)).view(), 0).is_err());
        assert!(principal_plane(array![[f32::NAN, 0.0]].view(), 0).is_err());
    }
}
