//! The similarity, or the coverage of a benchmark item, from which a document goes: an exact fraction, compared in integers.

use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::error::{Error, Result};

/// A fraction in (0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    numerator: u64,
    denominator: u64,
}

impl Threshold {
    /// The fraction `numerator / denominator`.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self> {
        if numerator == 0 || numerator > denominator {
            return Err(Error::Failed(format!(
                "a similarity or coverage of {numerator}/{denominator} is not above 0 and at most 1"
            )));
        }
        Ok(Self { numerator, denominator })
    }

    /// A curriculum's number.
    pub fn from_rational(value: &BigRational) -> Result<Self> {
        match (value.numer().to_u64(), value.denom().to_u64()) {
            (Some(numerator), Some(denominator)) => Self::new(numerator, denominator),
            _ => Err(Error::Failed(format!(
                "a similarity or coverage of {value} is not above 0 and at most 1, or has more than 18 digits"
            ))),
        }
    }

    /// Whether `intersection / union` reaches it; two empty sets do not.
    #[must_use]
    pub fn reached(self, intersection: u64, union: u64) -> bool {
        intersection > 0
            && u128::from(intersection) * u128::from(self.denominator) >= u128::from(union) * u128::from(self.numerator)
    }

    /// Numerator and denominator.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }

    /// The nearest floating-point number, for what is only estimated.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_at_the_border() {
        let t = Threshold::new(8, 10).unwrap();
        assert!(t.reached(4, 5) && t.reached(80, 100) && !t.reached(79_999, 100_000) && !t.reached(0, 0));
        let all = Threshold::new(1, 1).unwrap();
        assert!(all.reached(u64::MAX, u64::MAX) && !all.reached(u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn out_of_range_is_refused() {
        assert!(Threshold::new(0, 1).is_err() && Threshold::new(2, 1).is_err() && Threshold::new(0, 0).is_err());
        let big = BigRational::new(1.into(), num_bigint::BigInt::from(u64::MAX) * 2);
        assert!(Threshold::from_rational(&big).is_err());
        let half = Threshold::from_rational(&BigRational::new(2.into(), 4.into())).unwrap();
        assert_eq!(half, Threshold::new(1, 2).unwrap());
    }
}
