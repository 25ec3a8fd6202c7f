//! Bands: two documents are compared when all values of at least one band of their signatures agree.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::signature::{Signature, VALUES};
use super::threshold::Threshold;
use crate::error::{Error, Result};

/// Weight of missing a similar pair, in hundredths; comparing a dissimilar one, which costs time and nothing else, has the rest.
const WEIGHT_OF_MISS: u32 = 95;

/// Points at which the curve is summed on either side of the threshold.
const POINTS: u32 = 64;

/// How a signature is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    bands: u32,
    rows: u32,
}

impl Bands {
    /// So many bands of so many rows (values).
    pub fn new(bands: u32, rows: u32) -> Result<Self> {
        let values = u64::from(bands) * u64::from(rows);
        if values == 0 || values > u64::try_from(VALUES).unwrap_or(u64::MAX) {
            return Err(Error::Failed(format!(
                "near duplicates: {bands} bands of {rows} rows need {values} values of a signature, which has {VALUES}; \
                 choose at least one of each, and bands x rows at most {VALUES}"
            )));
        }
        Ok(Self { bands, rows })
    }

    /// The cut with the fewest misses for a threshold t: the one for which 0.95 x (area between the curve and 1 above t) +
    /// 0.05 x (area under the curve below t) is smallest. At 0.8: 16 bands of 8 rows.
    #[must_use]
    pub fn for_threshold(threshold: Threshold) -> Self {
        let t = threshold.as_f64();
        let points = f64::from(POINTS);
        let (miss, look) = (f64::from(WEIGHT_OF_MISS), f64::from(100 - WEIGHT_OF_MISS));
        let mut best = (f64::INFINITY, Self { bands: 1, rows: 1 });
        let values = u32::try_from(VALUES).unwrap_or(u32::MAX);
        for rows in 1..=values {
            for bands in 1..=values / rows {
                let cut = Self { bands, rows };
                // Midpoints; sums and products only, so every machine chooses alike.
                let mut cost = 0.0;
                for point in 0..POINTS {
                    let middle = (f64::from(point) + 0.5) / points;
                    cost += look * t * cut.probability(t * middle);
                    cost += miss * (1.0 - t) * (1.0 - cut.probability(t + (1.0 - t) * middle));
                }
                if cost < best.0 {
                    best = (cost, cut);
                }
            }
        }
        best.1
    }

    /// Number of bands.
    #[must_use]
    pub fn bands(self) -> u32 {
        self.bands
    }

    /// Values in a band.
    #[must_use]
    pub fn rows(self) -> u32 {
        self.rows
    }

    /// Probability that two documents of this similarity share a band: 1 - (1 - s^rows)^bands.
    #[must_use]
    pub fn probability(self, similarity: f64) -> f64 {
        1.0 - power(1.0 - power(similarity, self.rows), self.bands)
    }

    /// The curve that `plan` prints: similarity and probability of being compared.
    #[must_use]
    pub fn curve(self) -> [(f64, f64); 4] {
        [0.6, 0.7, 0.8, 0.9].map(|similarity| (similarity, self.probability(similarity)))
    }

    /// A hash for each band of a signature.
    pub fn hashes(self, signature: &Signature) -> impl Iterator<Item = u64> {
        let mut bytes = [0; VALUES * 2];
        for (to, value) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(signature) {
            *to = value.to_le_bytes();
        }
        let rows = usize::try_from(self.rows).unwrap_or(VALUES);
        (0..self.bands).map(move |band| {
            let start = usize::try_from(band).unwrap_or(VALUES) * rows * 2;
            xxh3_64_with_seed(bytes.get(start..start + rows * 2).unwrap_or_default(), u64::from(band))
        })
    }
}

/// x^n by multiplication alone: `powi` may round otherwise on other machines.
fn power(x: f64, n: u32) -> f64 {
    let (mut result, mut square, mut n) = (1.0, x, n);
    while n > 0 {
        if n & 1 == 1 {
            result *= square;
        }
        square *= square;
        n >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_threshold(numerator: u64, denominator: u64) -> Bands {
        Bands::for_threshold(Threshold::new(numerator, denominator).unwrap())
    }

    #[test]
    fn cut_follows_the_threshold() {
        assert_eq!(for_threshold(8, 10), Bands::new(16, 8).unwrap());
        for (numerator, at) in [(5, 0.9), (7, 0.9), (8, 0.9), (9, 0.9)] {
            let cut = for_threshold(numerator, 10);
            assert!(cut.bands() * cut.rows() <= 128);
            let t = f64::from(u32::try_from(numerator).unwrap()) / 10.0;
            assert!(cut.probability(t) > at, "{cut:?} finds {} at {t}", cut.probability(t));
        }
        assert!(for_threshold(1, 1).bands() * for_threshold(1, 1).rows() <= 128);
    }

    #[test]
    fn curve_at_eight_tenths() {
        let cut = for_threshold(8, 10);
        let curve = cut.curve().map(|(_, p)| (p * 1000.0).round() / 1000.0);
        assert_eq!(curve, [0.237, 0.613, 0.947, 1.0]);
        assert!(cut.probability(0.85) > 0.99 && cut.probability(0.9) > 0.999);
    }

    #[test]
    fn bad_cuts_are_refused() {
        assert!(Bands::new(0, 4).is_err() && Bands::new(4, 0).is_err());
        assert!(Bands::new(43, 3).unwrap_err().to_string().contains("129 values"));
        assert!(Bands::new(u32::MAX, u32::MAX).is_err());
    }

    #[test]
    fn bands_see_their_own_rows_alone() {
        let mut a: Signature = std::array::from_fn(|i| u16::try_from(i).unwrap());
        let cut = Bands::new(9, 13).unwrap();
        let before: Vec<u64> = cut.hashes(&a).collect();
        a[13] = 999; // the first value of band 1
        let after: Vec<u64> = cut.hashes(&a).collect();
        assert_eq!(before.len(), 9);
        assert_eq!((0..9).filter(|&i| before[i] != after[i]).collect::<Vec<_>>(), [1]);
        // Equal values in different bands are different buckets.
        let same = cut.hashes(&[7; VALUES]).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(same.len(), 9);
    }
}
