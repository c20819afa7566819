//! The places of a supervisor's children in start order: found, removed and reordered without walking over all of them, for a
//! supervisor may have 100,000.

use crate::Place;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The children's places in start order.
#[derive(Debug, Default)]
pub(crate) struct Siblings {
    by_order: BTreeMap<u64, Arc<Place>>,
    /// By the place's number.
    order_of: HashMap<u64, u64>,
    next: u64,
}

impl Siblings {
    /// Appends a place at the end of the start order.
    pub(crate) fn push(&mut self, place: Arc<Place>) {
        self.remove(&place);
        self.order_of.insert(place.number, self.next);
        self.by_order.insert(self.next, place);
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, place: &Place) {
        if let Some(order) = self.order_of.remove(&place.number) {
            self.by_order.remove(&order);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.by_order.values()
    }

    /// All of them, so that nobody holds the lock while something is done to them.
    pub(crate) fn all(&self) -> Vec<Arc<Place>> {
        self.iter().cloned().collect()
    }
}
