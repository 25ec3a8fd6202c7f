//! Buckets and quantiles of counted values.

use std::collections::BTreeMap;

use crate::report::model::{Bucket, DistributionOf, Histogram, Quantiles};

/// Values and how often each occurs.
pub(super) type Counted = BTreeMap<u64, u64>;

/// A bucket for each power of two, none missing between the first and the last; 0 has its own.
pub(super) fn buckets(values: &Counted) -> Vec<Bucket> {
    let place = |value: u64| if value == 0 { 0 } else { value.ilog2() + 1 };
    let (Some((&least, _)), Some((&most, _))) = (values.first_key_value(), values.last_key_value()) else {
        return Vec::new();
    };
    (place(least)..=place(most))
        .map(|place| {
            let from = if place == 0 { 0 } else { 1_u64 << (place - 1) };
            let to = if place == 0 { 0 } else { from + (from - 1) };
            Bucket { from, to, count: values.range(from..=to).map(|(_, count)| count).sum() }
        })
        .collect()
}

/// Quantiles by counting.
pub(super) fn quantiles(values: &Counted) -> Quantiles {
    let total: u64 = values.values().sum();
    let at = |part: u64, of: u64| {
        let wanted = u128::from(total) * u128::from(part);
        let mut seen = 0_u128;
        let found = values.iter().find(|(_, count)| {
            seen += u128::from(**count) * u128::from(of);
            seen >= wanted
        });
        found.map_or(0, |(value, _)| *value)
    };
    Quantiles {
        least: values.first_key_value().map_or(0, |(value, _)| *value),
        median: at(1, 2),
        p95: at(19, 20),
        most: values.last_key_value().map_or(0, |(value, _)| *value),
    }
}

/// The distribution over all sources, and of each that has any value.
pub(super) fn distribution(sources: &[Counted], names: &[String]) -> DistributionOf {
    let mut all = Counted::new();
    for values in sources {
        for (value, count) in values {
            *all.entry(*value).or_default() += count;
        }
    }
    let histogram = |(values, name): (&Counted, &String)| Histogram {
        source: name.clone(),
        buckets: buckets(values),
        quantiles: quantiles(values),
    };
    DistributionOf {
        all: buckets(&all),
        sources: sources.iter().zip(names).filter(|(values, _)| !values.is_empty()).map(histogram).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two_without_gaps() {
        let values = Counted::from([(1, 4), (2, 1), (3, 1), (9, 2)]);
        let found: Vec<_> = buckets(&values).iter().map(|b| (b.from, b.to, b.count)).collect();
        assert_eq!(found, [(1, 1, 4), (2, 3, 2), (4, 7, 0), (8, 15, 2)]);
        assert!(buckets(&Counted::new()).is_empty());
        let last = buckets(&Counted::from([(u64::MAX, 1)]));
        assert_eq!((last[0].from, last[0].to), (1 << 63, u64::MAX));
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        let values: Counted = (1..=100).map(|value| (value, 1)).collect();
        assert_eq!(quantiles(&values), Quantiles { least: 1, median: 50, p95: 95, most: 100 });
        assert_eq!(quantiles(&Counted::from([(7, 3)])).median, 7);
        assert_eq!(quantiles(&Counted::new()), Quantiles::default());
    }
}
