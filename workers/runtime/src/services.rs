//! The worker's line to the services: reports go out, orders come in, each by a bounded queue. Services that
//! are not there cost nothing but the reports that no longer fit.

use std::os::fd::{AsFd, OwnedFd};

use channel::{Order, Report};
use fabric::{Bell, Counter, MAX_MESSAGE, QueueReader, QueueWriter, SERVICES, Stats};

pub(crate) struct Services {
    pub(crate) reports: QueueWriter,
    pub(crate) orders: QueueReader,
    pub(crate) wake: OwnedFd,
    pub(crate) ring: bool,
}

impl Services {
    /// Tells the services; counted where their queue is full. The last of it is kept for logins: a flood of calls
    /// or refusals must not keep a repeater out.
    pub(crate) fn report(&mut self, stats: &Stats, report: &Report) {
        let mut buffer = [0; MAX_MESSAGE];
        let room = matches!(report, Report::Ask { .. }) || !self.reports.is_tight();
        let pushed =
            room && channel::write(report, &mut buffer).is_some_and(|bytes| self.reports.push(bytes));
        if !pushed {
            stats.add(Counter::ReportsLost, 1);
        }
        self.ring = true;
    }

    /// The next order, if one has come. It stays until [`Self::done`]: whoever dies over it leaves it to its
    /// replacement. What is no order is passed over.
    pub(crate) fn order(&mut self) -> Option<Order> {
        let mut buffer = [0; MAX_MESSAGE];
        loop {
            let len = self.orders.peek(&mut buffer)?;
            let order = channel::read(&buffer[..len]);
            if order.is_some() {
                return order;
            }
            self.orders.pop();
        }
    }

    /// The order was carried out.
    pub(crate) fn done(&mut self) {
        self.orders.pop();
    }

    /// Wakes the services if there is something new for them.
    pub(crate) fn flush(&mut self, stats: &Stats, bell: &Bell) {
        if std::mem::take(&mut self.ring) && bell.ring(SERVICES, self.wake.as_fd()) {
            stats.add(Counter::Doorbells, 1);
        }
    }
}
