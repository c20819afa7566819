//! The places of a supervisor's children in start order: found, removed and reordered without walking over all of them, for a
//! supervisor may have 100,000.

use crate::Place;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The children's places in start order. Every place has these, and only supervisors have children.
#[derive(Debug, Default)]
pub(crate) struct Siblings(Option<Box<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    by_order: BTreeMap<u64, Arc<Place>>,
    /// By the place's number.
    order_of: HashMap<u64, u64>,
    next: u64,
}

impl Siblings {
    /// Appends a place at the end of the start order.
    pub(crate) fn push(&mut self, place: Arc<Place>) {
        self.remove(&place);
        let rows = self.0.get_or_insert_default();
        rows.order_of.insert(place.number, rows.next);
        rows.by_order.insert(rows.next, place);
        rows.next += 1;
    }

    pub(crate) fn remove(&mut self, place: &Place) {
        if let Some(rows) = &mut self.0
            && let Some(order) = rows.order_of.remove(&place.number)
        {
            rows.by_order.remove(&order);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.0.iter().flat_map(|rows| rows.by_order.values())
    }

    /// All of them, so that nobody holds the lock while something is done to them.
    pub(crate) fn all(&self) -> Vec<Arc<Place>> {
        self.iter().cloned().collect()
    }
}
