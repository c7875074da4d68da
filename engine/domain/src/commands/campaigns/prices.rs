//! What messages cost, by the operator's table: by category of the template and beginning of the address. Whole millionths of the
//! currency, so that sums are exact.

use std::collections::BTreeMap;

/// What messages cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceTable {
    /// The currency, as it is shown.
    pub currency: String,
    /// By category, and in it by the beginning of the address, in millionths. The longest beginning counts; the empty one is for all
    /// others.
    pub by_category: BTreeMap<String, BTreeMap<String, u64>>,
}

/// What rows cost together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// The sum, in millionths.
    pub micros: u64,
    /// Number of rows for which the table has no price.
    pub unpriced: u64,
}

/// A cost, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostView {
    /// The currency; empty if the operator set none.
    pub currency: String,
    /// The amount with six decimals.
    pub amount: String,
    /// Number of rows without a price, which are not in the amount.
    pub unpriced: u64,
}

impl PriceTable {
    /// The price of a message of this category to this address; `None` if the table has none.
    pub fn price(&self, category: &str, to: &str) -> Option<u64> {
        let prices = self.by_category.get(category)?;
        let fits = prices.iter().filter(|(beginning, _)| to.starts_with(beginning.as_str()));
        fits.max_by_key(|(beginning, _)| beginning.len()).map(|(_, price)| *price)
    }

    /// What is said of rows without a price; nothing where the operator set no prices at all. `first` is the number of the first of
    /// them.
    pub(super) fn warning(&self, category: &str, cost: Cost, first: Option<u32>) -> Option<String> {
        if self.by_category.is_empty() {
            return None;
        }
        let (first, rows) = (first?, cost.unpriced);
        Some(if self.by_category.contains_key(category) {
            format!(
                "rows that are not in the cost: {rows}, because the configuration has no price for {category} to their addresses; \
                 the first of them is row {first}"
            )
        } else {
            format!("the cost is not known: the configuration has no price for {category}")
        })
    }

    /// A cost in the table's currency.
    pub fn shown(&self, cost: Cost) -> CostView {
        let amount = format!("{}.{:06}", cost.micros / 1_000_000, cost.micros % 1_000_000);
        CostView { currency: self.currency.clone(), amount, unpriced: cost.unpriced }
    }
}

impl Cost {
    /// Adds a message.
    pub fn add(&mut self, price: Option<u64>) {
        match price {
            Some(price) => self.micros = self.micros.saturating_add(price),
            None => self.unpriced += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_what_has_no_price_is_counted() {
        let prices = [("", 80_000), ("55", 62_500), ("5511", 60_000)].map(|(to, price)| (to.to_owned(), price));
        let by_category = BTreeMap::from([("marketing".to_owned(), BTreeMap::from(prices))]);
        let table = PriceTable { currency: "USD".to_owned(), by_category };
        assert_eq!(table.price("marketing", "5511999"), Some(60_000));
        assert_eq!(table.price("marketing", "5521999"), Some(62_500));
        assert_eq!(table.price("marketing", "1212"), Some(80_000));
        assert_eq!(table.price("utility", "5511999"), None);
        let mut cost = Cost::default();
        ["5511", "5521", "1"].into_iter().for_each(|to| cost.add(table.price("marketing", to)));
        cost.add(table.price("utility", "5511"));
        let shown = table.shown(cost);
        assert_eq!((shown.amount.as_str(), shown.unpriced), ("0.202500", 1));
    }

    #[test]
    fn what_has_no_price_is_said() {
        let prices = BTreeMap::from([("55".to_owned(), 62_500)]);
        let by_category = BTreeMap::from([("marketing".to_owned(), prices)]);
        let table = PriceTable { currency: "USD".to_owned(), by_category };
        let two = Cost { micros: 62_500, unpriced: 2 };
        let said = table.warning("marketing", two, Some(7)).expect("there is something to say");
        assert!(said.contains("2, because") && said.ends_with("row 7"), "{said}");
        let said = table.warning("utility", two, Some(1)).expect("there is something to say");
        assert!(said.ends_with("no price for utility"), "{said}");
        assert_eq!(table.warning("marketing", Cost::default(), None), None);
        assert_eq!(PriceTable::default().warning("marketing", two, Some(1)), None, "nobody set prices");
    }
}
